/* What the notifier counts. One row here a series; to count a new thing add a name to the
 * enum and its line to the table in metrics.c. */
#ifndef RB_NOTIFIER_METRICS_H
#define RB_NOTIFIER_METRICS_H

#include "config/metrics.h"

enum rb_count {
    /* gauges */
    RB_COUNT_CONNECTIONS_HTTP, /* reading a request, or idle between two */
    RB_COUNT_CONNECTIONS_WEBSOCKET,
    RB_COUNT_CONNECTIONS_SSE,
    RB_COUNT_CONNECTIONS_POLL,
    RB_COUNT_CONNECTIONS_STREAM,
    RB_COUNT_CONNECTIONS_ADMIN,
    RB_COUNT_CHANNELS,
    RB_COUNT_SUBSCRIPTIONS,
    RB_COUNT_REDIS_UP,
    /* counters */
    RB_COUNT_ACCEPTED,
    RB_COUNT_REQUESTS,
    RB_COUNT_MESSAGES, /* heard from Redis, with id */
    RB_COUNT_MESSAGES_RAW,
    RB_COUNT_DELIVERED_WEBSOCKET, /* events handed to a client's socket */
    RB_COUNT_DELIVERED_SSE,
    RB_COUNT_DELIVERED_POLL,
    RB_COUNT_DELIVERED_STREAM,
    RB_COUNT_GAPS,
    RB_COUNT_READINGS, /* pages of history asked of Redis */
    RB_COUNT_REDIS_LOST,
    RB_COUNT_BYTES_SENT,
    RB_COUNT_ACCEPT_PAUSES,    /* max_accepts_per_second was reached */
    RB_COUNT_ENQUEUED,         /* jobs of WebSockets */
    RB_COUNT_TERMINAL_WRITTEN, /* to at least one client */
    RB_COUNT_TERMINAL_UNWRITTEN,
    RB_COUNT_TERMINAL_WITHOUT_WAITER,
    RB_COUNT_RECEIPTS_LOST,
    RB_COUNT_TLS_FULL, /* handshakes */
    RB_COUNT_TLS_RESUMED,
    RB_COUNT_HOOK_ALLOWED, /* answers of the web app */
    RB_COUNT_HOOK_REFUSED,
    RB_COUNT_HOOK_FAILED,        /* none, or one that can't be read */
    RB_COUNT_PUBLISHED_NEW,      /* by the admin listener */
    RB_COUNT_PUBLISHED_REPLAYED, /* it was out already, under the same Idempotency-Key */
    RB_COUNT_PUBLISHED_FAILED,
    RB_COUNT_HOOK_KEPT, /* it was not asked: the answer was kept, or is on its way */
    /* refusals and drops, each by its reason */
    RB_COUNT_REFUSED_CONNECTIONS, /* over max_connections */
    RB_COUNT_REFUSED_ADDRESS,     /* over max_connections_per_address */
    RB_COUNT_REFUSED_PACE,        /* over max_accepts_per_second_per_address */
    RB_COUNT_REFUSED_PROXY,       /* the PROXY protocol was not spoken, or by strangers */
    RB_COUNT_REFUSED_COMMAND,     /* over max_commands_per_second */
    RB_COUNT_REFUSED_ENQUEUE,     /* a job of a WebSocket */
    RB_COUNT_REFUSED_FILES,       /* out of descriptors */
    RB_COUNT_REFUSED_ORIGIN,
    RB_COUNT_REFUSED_TOKEN, /* none, or one that is not good: 401 */
    /* An address or token that the admin listener refuses; or whoever would watch the
     * status, or ask it of all processes, when so many do already. */
    RB_COUNT_REFUSED_ADMIN,
    RB_COUNT_REFUSED_HOOK,         /* the web app did not answer: 503 */
    RB_COUNT_REFUSED_MAX_PUBLISH,  /* published by admin: over max_publish: 413 */
    RB_COUNT_REFUSED_PUBLISH_RATE, /* over publish_rate: 429 */
    RB_COUNT_REFUSED_CHANNEL,      /* not among what the client may hear: 403 */
    RB_COUNT_REFUSED_TLS,          /* the handshake failed */
    RB_COUNT_REFUSED_REQUEST,      /* malformed or too large */
    RB_COUNT_REFUSED_OVERSIZE,     /* a raw message beyond what is handed on */
    RB_COUNT_CLOSED_SLOW,          /* queue over max_queue, or no progress */
    RB_COUNT_CLOSED_TOO_FAST,      /* went on beyond max_commands_per_second */
    RB_COUNT_CLOSED_HEAD,          /* head_timeout */
    RB_COUNT_CLOSED_SILENT,        /* no answer to pings */
    RB_COUNT_CLOSED_PROTOCOL,      /* broke WebSocket's rules */
    RB_COUNT_CLOSED_MEMORY,        /* an allocation failed */
    RB_COUNT_CLOSED_EXPIRED,       /* its token came to its end */
    RB_COUNT_CLOSED_REVOKED,       /* what it was let in with was taken back */
    RB_COUNT_CLOSED_DROPPED,       /* DELETE /connections/<id> */
    RB_COUNTS
};

struct rb_server;

/* Members of a JSON object: the name of a family, without what all have in common, and
 * its value of all processes together, or an object of them by label. */
void rb_notifier_metrics_json(const struct rb_metrics *metrics,
                              const rb_series series[RB_COUNTS], struct rb_buffer *out);

/* Before the processes fork. Dies on lack of memory. */
struct rb_metrics *rb_notifier_metrics_new(int processes);
/* Looks up all series once, for rb_count. */
void rb_notifier_metrics_attach(struct rb_metrics *metrics, int row,
                                rb_series series[RB_COUNTS]);

#endif
