/* One process of the notifier: its loop and what lives on it. The struct is the context
 * that every module is handed; each reads it, server.c alone writes it. */
#ifndef RB_NOTIFIER_SERVER_H
#define RB_NOTIFIER_SERVER_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/log.h"
#include "config/settings.h"
#include "jobs/publish.h"
#include "notifier/channel.h"
#include "notifier/exchange.h"
#include "notifier/feed.h"
#include "notifier/listener.h"
#include "notifier/metrics.h"
#include "notifier/publish_pace.h"
#include "notifier/timers.h"

struct rb_connection;
struct rb_census;
struct rb_survey;
struct rb_deflate;
struct rb_slab;
struct rb_ws_hash;
struct rb_tls;
struct rb_tls_tickets;
struct rb_access;
struct rb_hook;
struct rb_receipts;
struct rb_admin_status;
struct rb_address_count;
struct rb_pace;

/* Lines that a peer can cause, each held back by itself. */
enum rb_log_line {
    RB_LINE_REFUSED,
    RB_LINE_BAD_REQUEST,
    RB_LINE_CLOSED,
    RB_LINE_ACCEPT,
    RB_LINE_MEMORY,
    RB_LINE_HOOK,
    RB_LINE_ADMIN,
    RB_LINE_TLS,
    RB_LINE_PROXY,
    RB_LINE_TOO_FAST,
    RB_LINE_ENQUEUE,
    RB_LINE_PUBLISH,
    RB_LINES
};

struct rb_server {
    struct ev_loop *loop;
    int64_t now_ms; /* rb_clock_ms() of this turn */
    char id[33];    /* of this process: for census and logs */
    int row, processes;
    bool draining;
    bool proxied;      /* a listener speaks the PROXY protocol */
    int64_t max_local; /* connections that this process has descriptors for */

    const struct rb_settings *settings; /* another one after a reload */
    const struct rb_access *access;     /* made of them */
    const struct rb_tls *tls;           /* likewise; NULL where no listener needs it */
    struct rb_hook *hook;               /* asks the web app */
    struct rb_channel_policy policy;    /* for rb_publish */
    struct rb_feed *feed;
    struct rb_channels *channels;   /* of the feed */
    struct rb_census *census;       /* made after the feed, freed after it */
    struct rb_survey *survey;       /* likewise */
    uint32_t accepted;              /* numbers connections */
    struct rb_receipts *receipts;   /* likewise */
    struct rb_admin_status *status; /* likewise */
    struct rb_deflate *deflate;
    struct rb_ws_hash *hash; /* of WebSocket keys */
    struct rb_metrics *metrics;
    rb_series series[RB_COUNTS];
    struct rb_timers *timers; /* of connections */
    rb_handler_fn *handlers[RB_SIDES];

    struct rb_slab *connections;
    struct rb_slab *subscriptions;
    struct rb_connection *turn_first, **turn_last; /* to be flushed or reaped */
    size_t turn_count, round_left;    /* of those; until all who waited had their turn */
    size_t gathered, gathered_before; /* bytes kept for them in this round, before it */
    struct rb_http_parser *spare_parsers[2][8]; /* by side: a request takes one */
    unsigned spare_parser_count[2];
    struct rb_address_count *addresses; /* NULL: no limit by address */
    struct rb_pace *pace; /* of new connections by address; NULL: never asked for */
    uint32_t accept_spent, over_spent; /* of new ones, of polite refusals: pace.h */
    struct rb_buffer scratch;          /* for what is built and copied at once */
    struct rb_bytes *poll_fields;      /* of the last poll: most polls have the same */
    struct rb_buffer answer;           /* likewise, of an exchange alone */
    uint64_t random;
    struct rb_publish_pace publish_pace;
    char *read_buffer; /* of the loop: bytes are looked at where they come in */
    struct rb_log_limit lines[RB_LINES];
    struct rb_server_private *private; /* watchers and listeners: server.c */
};
#define RB_READ_BYTES ((size_t)64 * 1024)

struct rb_server_options {
    struct rb_settings *settings; /* taken */
    const struct rb_redis_address *redis;
    struct rb_addresses *addresses; /* borrowed; descriptors are taken */
    struct rb_metrics *metrics;
    struct rb_address_count *address_count; /* NULL: no limit */
    const struct rb_tls_tickets *tickets;   /* outlive the server */
    rb_handler_fn *handlers[RB_SIDES];
    int row, processes;
    int64_t max_files; /* descriptors that this process may have open */
    /* Reads the settings again (SIGHUP); NULL when they are wrong. The caller frees. */
    struct rb_settings *(*reload)(void *ctx);
    void *ctx;
};

/* Everything but running. NULL after a message in the log. */
struct rb_server *rb_server_new(struct ev_loop *loop,
                                const struct rb_server_options *options);
void rb_server_free(struct rb_server *server);
/* Runs until SIGTERM and the drain behind it. */
void rb_server_run(struct rb_server *server);

static inline void rb_count(const struct rb_server *server, enum rb_count count,
                            int64_t delta) {
    rb_metrics_add(server->metrics, server->series[count], delta);
}

/* The delay ±10 %, so that clients that came together do not come back together. */
int64_t rb_server_jitter(struct rb_server *server, int64_t delay_ms);
/* How long until a client that waits is to be written to again, so that nobody on the way
 * takes it for dead: the ping_interval ±10 %, at the same moment as one or two
 * hundred others, so that the process is woken seldom. */
int64_t rb_server_beat(struct rb_server *server);
/* The line "Date: …" of this second, with its CRLF. */
struct rb_text rb_server_date(struct rb_server *server);
/* Not for secrets: 0 … below - 1. */
uint64_t rb_server_random(struct rb_server *server, uint64_t below);

/* True when the line may be written now; *held goes into suppressed=…. */
static inline bool rb_server_line(struct rb_server *server, enum rb_log_line line,
                                  unsigned *held) {
    return rb_log_allow(&server->lines[line], server->now_ms, held);
}

#endif
