/* A small HTTP listener for scrapers: GET /metrics, /healthz and /readyz, one request a
 * connection, few connections, little time. Keep it on loopback. */
#ifndef RB_WORKER_SCRAPE_H
#define RB_WORKER_SCRAPE_H

#include <ev.h>
#include <stdbool.h>

#include "config/metrics.h"
#include "config/text.h"

struct rb_scrape;

struct rb_scrape_options {
    struct rb_text address; /* host:port, v4:port, [v6]:port, *:port or unix:/path */
    const struct rb_metrics *metrics;
    bool (*is_ready)(void *ctx);
    void *ctx;
};

/* NULL with errno when the address can't be bound or memory is short. Several processes
 * may listen on one address; each answers with the sum of all. */
struct rb_scrape *rb_scrape_new(struct ev_loop *loop,
                                const struct rb_scrape_options *options);
void rb_scrape_free(struct rb_scrape *scrape);

/* The core, without sockets: what is answered to what came. RB_UNAVAILABLE: the head is
 * not whole yet. Else RB_OK, and `out` holds the whole answer. */
enum rb_status rb_scrape_answer(struct rb_text head, bool ready,
                                const struct rb_metrics *metrics, struct rb_buffer *out);

#endif
