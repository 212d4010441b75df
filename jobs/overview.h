/* How it all stands, in one look at Redis: what waits in the queues, what is due, dead
 * and paused, which workers live and what they tell of their services. One asking is two
 * rounds of commands, some for each queue, then two for each worker; none of them is
 * longer for more jobs. */
#ifndef RB_JOBS_OVERVIEW_H
#define RB_JOBS_OVERVIEW_H

#include "config/buffer.h"
#include "config/settings.h"
#include "jobs/figures.h"
#include "jobs/keys.h"
#include "jobs/link.h"
#include "jobs/name.h"

#define RB_OVERVIEW_WORKERS 4096 /* further ones are not looked at */

struct rb_overview_queue {
    char name[RB_NAME_MAX + 1];
    long long waiting, retry;
    double oldest_ms; /* unix ms, when the job that comes next was asked; 0: unknown */
    bool paused;
};

struct rb_overview_worker {
    char id[RB_JOB_ID_MAX + 1];
    double lease_end_ms;
    long long held;
};

struct rb_overview {
    enum rb_status status; /* RB_OK, or why the rest is not whole */
    char error[192];       /* what was asked, and what Redis said */
    double now_ms;         /* Redis TIME */
    long long due, dead;
    struct rb_overview_queue *queues;
    size_t queue_count;
    struct rb_overview_worker *workers;
    size_t worker_count;
    char (*paused_services)[RB_NAME_MAX + 1];
    size_t paused_service_count;
    struct rb_figures figures;
};

/* The receiver frees it. NULL: out of memory. */
typedef void rb_overview_fn(void *ctx, struct rb_overview *overview);

/* Calls fn once: from the loop, or from inside when there is no memory. The prefixes that
 * `keys` borrows must stay until then, the rest is copied. */
void rb_overview_ask(struct rb_link *link, const struct rb_keys *keys,
                     const struct rb_list *queues, rb_overview_fn *fn, void *ctx);
void rb_overview_free(struct rb_overview *overview); /* NULL is legal */

/* How long the next job of the queue has waited; negative: unknown. */
double rb_overview_age_s(const struct rb_overview *overview,
                         const struct rb_overview_queue *queue);

/* The members of a JSON object, without its braces: "queues", "due", "dead",
 * "paused_services", "workers", "services". before: an earlier look, for calls a second,
 * or NULL. latency: also how long the calls of each service took. */
void rb_overview_write(struct rb_buffer *out, const struct rb_overview *overview,
                       const struct rb_overview *before, bool latency);

#endif
