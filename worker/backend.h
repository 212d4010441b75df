/* What this process knows of one external service while it runs. It outlives reloads of
 * the definition: what is counted goes on. */
#ifndef RB_WORKER_BACKEND_H
#define RB_WORKER_BACKEND_H

#include <stdint.h>

#include "config/text.h"
#include "jobs/event.h"
#include "worker/breaker.h"
#include "worker/stats.h"

struct rb_backend;
struct rb_backends;
struct rb_gate;
struct rb_worker;

/* What `ringback status` shows of one, since this process began. */
struct rb_tally {
    int64_t in_flight, done, failed;
    int64_t cache_hits, cache_lookups;
    int64_t calls[RB_STATS_BOUNDS + 1]; /* by rb_stats_bounds; the last: longer ones */
    enum rb_breaker_state breaker;
};

/* NULL when out of memory. Jobs that name no known service are booked on one backend of
 * their own, called "unknown". */
struct rb_backends *rb_backends_new(struct rb_worker *w);
void rb_backends_free(struct rb_backends *backends);

/* Made when it is asked for first; of a service without a definition pass "". NULL when
 * out of memory. */
struct rb_backend *rb_backends_get(struct rb_backends *backends, struct rb_text service);

struct rb_gate *rb_backend_gate(struct rb_backend *backend);

/* Each that was asked for, in no order. */
void rb_backends_each(const struct rb_backends *backends,
                      void (*fn)(void *ctx, const char *name,
                                 const struct rb_tally *tally),
                      void *ctx);

void rb_backend_job_begins(struct rb_backend *backend);
/* outcome: RB_FAILURES for done, or why it failed. */
void rb_backend_job_ends(struct rb_backend *backend, enum rb_failure outcome,
                         int64_t total_us);
/* A job leaves without an outcome: parked, given back or fenced. */
void rb_backend_job_leaves(struct rb_backend *backend);
void rb_backend_waited(struct rb_backend *backend, int64_t wait_us);
void rb_backend_called(struct rb_backend *backend, int64_t call_us);
/* What a job of a service with `cache:` met there. */
enum rb_cache_outcome {
    RB_CACHE_HIT,
    RB_CACHE_MISS,
    RB_CACHE_STALE,
    RB_CACHE_COALESCED,
    RB_CACHE_OUTCOMES
};
void rb_backend_cache(struct rb_backend *backend, enum rb_cache_outcome outcome);
/* A call will be made again, or was not since the retry budget is spent. */
void rb_backend_retries(struct rb_backend *backend);
void rb_backend_retry_denied(struct rb_backend *backend);
/* The service answered 429 and its calls pause. */
void rb_backend_pushed_back(struct rb_backend *backend);
void rb_backend_breaker_is(struct rb_backend *backend, enum rb_breaker_state state);

#endif
