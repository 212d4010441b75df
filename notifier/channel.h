/* Channels of one process and who waits on them: the core of hearing. Live messages and
 * pages of history go in, each subscriber hears every event once and in order, or is told
 * what is missing. No socket and no Redis in here, so that tests script every order of
 * things.
 *
 * The members of a channel stand in groups, each at one position (the last event it has
 * heard). The live group stands at the tip and hears messages as they come. Every other
 * group reads history, page after page, until it meets the tip and joins the live one. A
 * hole in the chain of ids, and a lost link, turn the live group into one that reads. */
#ifndef RB_NOTIFIER_CHANNEL_H
#define RB_NOTIFIER_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "config/status.h"
#include "config/text.h"
#include "jobs/stream_id.h"
#include "notifier/encode.h"
#include "notifier/wait.h"

struct rb_channels; /* all of the process */
struct rb_channel;
struct rb_group; /* members at one position, or the reading that they wait for */

enum rb_delivery_kind {
    RB_DELIVERY_EVENT, /* an entry of the stream */
    RB_DELIVERY_GAP,   /* told by us: events before `id` are lost to this subscriber */
    RB_DELIVERY_RAW    /* an app's own PUBLISH: no id, not kept */
};

/* The ways in which the bytes of one delivery are shared among clients. */
enum rb_encoding {
    RB_ENCODING_WEBSOCKET,
    RB_ENCODING_WEBSOCKET_PACKED, /* compressed, where that is shorter */
    RB_ENCODING_SSE,              /* as one chunk */
    RB_ENCODING_SSE_PLAIN,        /* for HTTP/1.0, without chunks */
    RB_ENCODING_STREAM,
    RB_ENCODING_STREAM_PLAIN,
    RB_ENCODING_POLL, /* as a member of the array in its answer */
    RB_ENCODINGS
};

/* What a subscriber hears. Borrowed for the call; who wants to keep bytes refs them. */
struct rb_delivery {
    enum rb_delivery_kind kind;
    bool terminal;          /* done or failed */
    struct rb_stream_id id; /* 0-0 for raw */
    struct rb_text channel;
    struct rb_text json;  /* the event, whole, with its id; for raw the payload */
    struct rb_text event; /* its name; "message" for raw */
    struct rb_bytes *encoded[RB_ENCODINGS]; /* filled by whoever needs one first */
    struct rb_receipt *receipt;             /* likewise, see rb_receipt_of */
    bool receipted;                         /* it was asked for */
};

struct rb_subscription;

/* What a subscriber is told. A function may unsubscribe its own owner's subscriptions,
 * never another owner's, and must not subscribe. Each may be called before
 * rb_channel_subscribe returns. */
struct rb_sink {
    void (*deliver)(struct rb_subscription *subscription, struct rb_delivery *delivery);
    /* Once, when it is known where the cursor stands, before anything is delivered:
     * finished = the event at the cursor was terminal. May be NULL. */
    void (*verified)(struct rb_subscription *subscription, bool finished);
    /* All that is kept was delivered; from now on it hears live. Again after a hole or a
     * lost link was read up. May be NULL. */
    void (*live)(struct rb_subscription *subscription);
    /* There was no memory to serve it; it is unsubscribed already. Never NULL. */
    void (*failed)(struct rb_subscription *subscription);
    /* True while it can't take more history: reading pauses until rb_channel_resume. May
     * be NULL: never. */
    bool (*full)(const struct rb_subscription *subscription);
};

/* In the owner's storage, from rb_channel_subscribe until rb_channel_unsubscribe. */
struct rb_subscription {
    const struct rb_sink *sink;      /* set by the owner before subscribing */
    void *owner;                     /* likewise */
    struct rb_subscription *sibling; /* the owner's own list; not touched here */
    struct rb_group *group;          /* NULL when not subscribed */
    union {
        TAILQ_ENTRY(rb_subscription) member;
        struct rb_stream_id stood; /* its cursor while it is not subscribed */
    };
    bool stands;  /* stood is one */
    bool told;    /* ->verified was called */
    uint8_t mark; /* the owner's own; not touched here */
};

/* RB_OK or RB_NOMEM. A cursor that is not given: everything kept is delivered. */
RB_MUST_CHECK enum rb_status rb_channel_subscribe(struct rb_channels *channels,
                                                  struct rb_text name,
                                                  struct rb_cursor cursor,
                                                  struct rb_subscription *subscription);
/* Legal when not subscribed. */
void rb_channel_unsubscribe(struct rb_subscription *subscription);
/* The sink is not full any more. */
void rb_channel_resume(struct rb_subscription *subscription);

/* The channel's name, while it is subscribed. */
struct rb_text rb_subscription_channel(const struct rb_subscription *subscription);
/* Where it stands, or stood when it was unsubscribed. */
struct rb_cursor rb_subscription_cursor(const struct rb_subscription *subscription);
/* It has heard all that is kept and hears live now; or is not subscribed. */
bool rb_subscription_live(const struct rb_subscription *subscription);

/* How many subscriptions this process has on the channel; 0 for one nobody waits on. */
size_t rb_channel_waiters(const struct rb_channels *channels, struct rb_text name);
/* Calls `each` for every channel that somebody waits on. */
void rb_channels_each(const struct rb_channels *channels,
                      void (*each)(void *ctx, struct rb_text name, size_t waiters),
                      void *ctx);
size_t rb_channels_count(const struct rb_channels *channels);
size_t rb_channels_subscriptions(const struct rb_channels *channels);

/* --- between the core and who feeds it (feed.c, or a test) --- */

/* One entry of a stream. */
struct rb_entry {
    struct rb_stream_id id;
    bool has_prev; /* entries that others wrote may lack it */
    struct rb_stream_id prev;
    bool has_json; /* likewise; such an entry is stepped over */
    struct rb_text json;
};

/* The answer to one reading: entries in order. */
struct rb_page {
    enum rb_status
        status; /* not RB_OK: nothing was read; rb_channels_retry reads again */
    const struct rb_entry *entries;
    size_t count;
    bool more;       /* the page was full: there may be entries behind it */
    bool last_known; /* asked only where no entry stands at or behind the cursor */
    struct rb_stream_id last; /* the channel's last id as its meta hash tells it */
    bool last_terminal;       /* that event was terminal, as far as is known */
};

/* Where to read: XRANGE from `from` (inclusive or not) to the end. */
struct rb_reading {
    struct rb_text channel;
    struct rb_stream_id from;
    bool inclusive;
    bool verify; /* `from` is a cursor: where nothing is found tell the last id too */
    unsigned count;
};

struct rb_channel_feed {
    void (*subscribe)(void *ctx, struct rb_text channel);
    void (*unsubscribe)(void *ctx, struct rb_text channel);
    /* Answered by exactly one rb_channel_page(group, …), never from inside; RB_NOMEM: not
     * at all, and rb_channels_retry comes later. */
    enum rb_status (*read)(void *ctx, const struct rb_reading *reading,
                           struct rb_group *group);
    void *ctx;
};

struct rb_channels_limits {
    unsigned page_max; /* entries a page at most */
    size_t page_bytes; /* what a page should weigh: the next one's count follows it */
    /* Live messages kept of a channel while somebody reads up, or may come back. */
    unsigned recent_events;
    size_t recent_bytes;
    size_t recent_total_bytes; /* of all channels */
    size_t max_message;        /* a live payload beyond it is not handed on */
    int64_t linger_ms;         /* how long a channel stays subscribed without members */
};

/* NULL when out of memory. seed: random, so that nobody chooses names that collide. */
struct rb_channels *rb_channels_new(const struct rb_channel_feed *feed,
                                    const struct rb_channels_limits *limits,
                                    const uint64_t seed[2]);
/* All subscriptions and readings must be gone. */
void rb_channels_free(struct rb_channels *channels);

/* The subscribed link went down: confirmations and messages are not to be trusted until
 * each channel was subscribed and confirmed again. */
void rb_channels_down(struct rb_channels *channels);
/* It is up again: subscribes up to `count` more of the channels that need it; true while
 * there are more. The feed calls it in the pace it wants. */
bool rb_channels_resubscribe(struct rb_channels *channels, size_t count);
/* The command link is up again: reads what could not be read. */
void rb_channels_retry(struct rb_channels *channels);

void rb_channel_confirmed(struct rb_channels *channels, struct rb_text name);
/* Messages for these are about to come: brings what they need into the processor's cache,
 * of all at the same time. At most RB_CHANNELS_FETCH. */
#define RB_CHANNELS_FETCH 16
void rb_channels_fetch(const struct rb_channels *channels, const struct rb_text *names,
                       size_t count);
/* One payload of the channel's pub/sub: "<prev> <id> <event>", or raw. */
void rb_channel_message(struct rb_channels *channels, struct rb_text name,
                        struct rb_text payload);
void rb_channel_page(struct rb_group *group, const struct rb_page *page);

/* Once a turn of the loop: what time it is, and lets channels go that had no members for
 * linger_ms (at most twice as long). Returns ms until it is worth calling again, or -1.
 */
int64_t rb_channels_turn(struct rb_channels *channels, int64_t now_ms, int64_t unix_ms);

/* What happened so far, for the metrics. */
struct rb_channels_stats {
    uint64_t messages; /* heard live, with id */
    uint64_t raw;
    uint64_t duplicates; /* heard live and known already */
    uint64_t holes;      /* in the chain of live messages */
    uint64_t gaps;       /* told to a subscriber */
    uint64_t readings;
    uint64_t oversize; /* messages over max_message, told as a gap; raw ones dropped */
    uint64_t unheard; /* terminal ones, on a channel that nobody here waits on any more */
};
const struct rb_channels_stats *rb_channels_stats(const struct rb_channels *channels);

#endif
