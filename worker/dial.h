/* When a call may start: once its host is resolved, and not faster than a host can
 * accept new connections (ten thousand SYNs in one turn overflow any backlog, and each
 * one dropped costs a second).
 *
 * Addresses are kept for a minute and used while they are refreshed; a failed lookup is
 * remembered for a moment. They reach curl through CURLOPT_RESOLVE and its shared DNS
 * cache. */
#ifndef RB_WORKER_DIAL_H
#define RB_WORKER_DIAL_H

#include <curl/curl.h>
#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "config/status.h"
#include "config/text.h"

#define RB_DIAL_FRESH_MS 60000  /* addresses are used so long without another lookup */
#define RB_DIAL_STALE_MS 600000 /* and so long when lookups fail for now */
#define RB_DIAL_FAILED_MS 2000  /* a failed lookup is not repeated earlier */
#define RB_DIAL_BURST 100       /* new connections to one host at once, then */
#define RB_DIAL_PER_MS 10       /* so many each millisecond */

struct rb_stats;
struct rb_host;
struct rb_dial;

/* One call that wants to start; a member of the call, so that waiting costs nothing. */
struct rb_dialer {
    TAILQ_ENTRY(rb_dialer) link;
    struct rb_host *host; /* NULL before _start */
    unsigned lane;        /* from `go` on */
    bool waiting;         /* go was not called yet */
    bool token;           /* it may open a connection and has not yet */
    bool resting;         /* it should find a resting connection in its lane */
    /* May start now; or never, when the name has no address. */
    void (*go)(struct rb_dialer *dialer, bool resolved);
};

/* NULL when out of memory. stats may be NULL. */
struct rb_dial *rb_dial_new(struct ev_loop *loop, unsigned lanes, struct rb_stats *stats);
/* Every dialer must have been released. */
void rb_dial_free(struct rb_dial *dial);

/* Calls dialer->go once, at once or later, unless it is released before. RB_INVALID when
 * the URL has no host, RB_NOMEM or RB_SYSTEM (no thread to look it up): go is not called.
 */
RB_MUST_CHECK enum rb_status rb_dial_start(struct rb_dial *dial, struct rb_dialer *dialer,
                                           struct rb_text url, int64_t now_ms);
/* The call has its connection, or ends without. Legal at any time, also twice. */
void rb_dial_release(struct rb_dial *dial, struct rb_dialer *dialer);
/* The call has ended well and leaves its connection for the next one. */
void rb_dial_rest(struct rb_dialer *dialer);

/* From `go`: the list for CURLOPT_RESOLVE, or NULL when curl knows these addresses
 * already. It stays valid to the end of this turn of the loop. */
struct curl_slist *rb_dial_addresses(struct rb_dialer *dialer);
/* From `go`: scheme, host and port, read once and for all calls there; and where in the
 * url that was given to _start the path begins. */
CURLU *rb_dial_url(const struct rb_dialer *dialer);
size_t rb_dial_path_at(const struct rb_dialer *dialer);
/* From `go`: has the host more than one address? */
bool rb_dial_has_choice(const struct rb_dialer *dialer);

/* A connection is being opened for this call: that counts against the pace. */
void rb_dial_opened(struct rb_dial *dial, struct rb_dialer *dialer);
/* No connection came about: the addresses may have changed, look them up next time. */
void rb_dial_failed(struct rb_dialer *dialer);

/* Starts those whose turn has come, since calls that found an open connection gave their
 * token back. True when one started. */
bool rb_dial_turn(struct rb_dial *dial, int64_t now_ms);

/* scheme://host[:port]… → the host (without brackets) and the port. RB_INVALID. */
RB_MUST_CHECK enum rb_status rb_dial_parse(struct rb_text url, struct rb_text *host,
                                           int *port);

#endif
