/* Services by name, and what is counted of each. */
#include "worker/backend.h"

#include <stdlib.h>
#include <uthash.h>

#include "worker/gate.h"
#include "worker/worker.h"

#define UNKNOWN "unknown"

struct rb_backend {
    UT_hash_handle hh;
    char *name;
    struct rb_stats *stats;
    rb_series outcome[RB_FAILURES + 1]; /* 0 until it is needed */
    rb_series cache[RB_CACHE_OUTCOMES]; /* likewise */
    rb_series in_flight, call_seconds, job_seconds, wait_seconds;
    rb_series retries, retries_denied, pushbacks;
    rb_series breaker[RB_BREAKER_STATES]; /* 0 until it opened once */
    struct rb_gate *gate;
    struct rb_tally tally;
};

struct rb_backends {
    struct rb_worker *worker;
    struct rb_stats *stats;
    struct rb_backend *by_name;
};

struct rb_backends *rb_backends_new(struct rb_worker *w) {
    struct rb_backends *backends = calloc(1, sizeof *backends);
    if (!backends)
        return NULL;
    backends->worker = w;
    backends->stats = w->stats;
    return backends;
}

static void backend_free(struct rb_backend *backend) {
    rb_gate_free(backend->gate);
    free(backend->name);
    free(backend);
}

void rb_backends_free(struct rb_backends *backends) {
    struct rb_backend *backend, *next;
    if (!backends)
        return;
    HASH_ITER(hh, backends->by_name, backend, next) {
        HASH_DEL(backends->by_name, backend);
        backend_free(backend);
    }
    free(backends);
}

static struct rb_backend *backend_new(struct rb_backends *backends, struct rb_text name) {
    struct rb_backend *backend = calloc(1, sizeof *backend);
    if (!backend)
        return NULL;
    backend->name = rb_text_copy(name);
    if (backend->name)
        backend->gate = rb_gate_new(backends->worker, backend, backend->name);
    if (!backend->gate) {
        backend_free(backend);
        return NULL;
    }
    backend->stats = backends->stats;
    backend->in_flight = rb_stats_in_flight(backends->stats, name);
    backend->call_seconds = rb_stats_call_seconds(backends->stats, name);
    backend->job_seconds = rb_stats_job_seconds(backends->stats, name);
    backend->wait_seconds = rb_stats_wait_seconds(backends->stats, name);
    backend->retries = rb_stats_retries(backends->stats, name);
    backend->retries_denied = rb_stats_retries_denied(backends->stats, name);
    backend->pushbacks = rb_stats_pushbacks(backends->stats, name);
    HASH_ADD_KEYPTR(hh, backends->by_name, backend->name, name.len, backend);
    return backend;
}

struct rb_backend *rb_backends_get(struct rb_backends *backends, struct rb_text service) {
    struct rb_backend *backend;
    if (service.len == 0)
        service = RB_TEXT(UNKNOWN);
    HASH_FIND(hh, backends->by_name, service.at, service.len, backend);
    return backend ? backend : backend_new(backends, service);
}

struct rb_gate *rb_backend_gate(struct rb_backend *backend) {
    return backend->gate;
}

void rb_backends_each(const struct rb_backends *backends,
                      void (*fn)(void *ctx, const char *name,
                                 const struct rb_tally *tally),
                      void *ctx) {
    struct rb_backend *backend, *next;
    HASH_ITER(hh, backends->by_name, backend, next)
    fn(ctx, backend->name, &backend->tally);
}

static struct rb_metrics *metrics_of(const struct rb_backend *backend) {
    return rb_stats_of(backend->stats);
}

void rb_backend_job_begins(struct rb_backend *backend) {
    rb_metrics_add(metrics_of(backend), backend->in_flight, 1);
    backend->tally.in_flight++;
}

void rb_backend_job_leaves(struct rb_backend *backend) {
    rb_metrics_add(metrics_of(backend), backend->in_flight, -1);
    backend->tally.in_flight--;
}

void rb_backend_job_ends(struct rb_backend *backend, enum rb_failure outcome,
                         int64_t total_us) {
    rb_series *series = &backend->outcome[outcome];
    if (*series == 0)
        *series = rb_stats_outcome(backend->stats, rb_text_of(backend->name), outcome);
    rb_metrics_add(metrics_of(backend), *series, 1);
    rb_metrics_observe(metrics_of(backend), backend->job_seconds, total_us);
    *(outcome == RB_FAILURES ? &backend->tally.done : &backend->tally.failed) += 1;
    rb_backend_job_leaves(backend);
}

void rb_backend_cache(struct rb_backend *backend, enum rb_cache_outcome outcome) {
    static const struct rb_text names[RB_CACHE_OUTCOMES] = {
        [RB_CACHE_HIT] = {"hit", 3},
        [RB_CACHE_MISS] = {"miss", 4},
        [RB_CACHE_STALE] = {"stale", 5},
        [RB_CACHE_COALESCED] = {"coalesced", 9},
    };
    rb_series *series = &backend->cache[outcome];
    if (*series == 0)
        *series =
            rb_stats_cache(backend->stats, rb_text_of(backend->name), names[outcome]);
    rb_metrics_add(metrics_of(backend), *series, 1);
    backend->tally.cache_lookups++;
    backend->tally.cache_hits += outcome != RB_CACHE_MISS;
}

void rb_backend_waited(struct rb_backend *backend, int64_t wait_us) {
    rb_metrics_observe(metrics_of(backend), backend->wait_seconds, wait_us);
}

void rb_backend_called(struct rb_backend *backend, int64_t call_us) {
    size_t bound = 0;
    while (bound < RB_STATS_BOUNDS && (double)call_us > rb_stats_bounds[bound] * 1e6)
        bound++;
    backend->tally.calls[bound]++;
    rb_metrics_observe(metrics_of(backend), backend->call_seconds, call_us);
}

void rb_backend_retries(struct rb_backend *backend) {
    rb_metrics_add(metrics_of(backend), backend->retries, 1);
}

void rb_backend_retry_denied(struct rb_backend *backend) {
    rb_metrics_add(metrics_of(backend), backend->retries_denied, 1);
}

void rb_backend_pushed_back(struct rb_backend *backend) {
    rb_metrics_add(metrics_of(backend), backend->pushbacks, 1);
}

/* Of the three gauges one is 1, so that their sums count processes. */
void rb_backend_breaker_is(struct rb_backend *backend, enum rb_breaker_state state) {
    backend->tally.breaker = state;
    for (int i = 0; i < RB_BREAKER_STATES; i++) {
        rb_series *series = &backend->breaker[i];
        if (*series == 0)
            *series = rb_stats_breaker(backend->stats, rb_text_of(backend->name),
                                       (enum rb_breaker_state)i);
        rb_metrics_set(metrics_of(backend), *series, (enum rb_breaker_state)i == state);
    }
}
