/* Letting calls through. */
#include "worker/gate.h"

#include <stddef.h>
#include <stdlib.h>

#include "config/process.h"
#include "worker/attempt.h"
#include "worker/backend.h"
#include "worker/breaker.h"
#include "worker/claim.h"
#include "worker/finish.h"
#include "worker/permits.h"
#include "worker/places.h"
#include "worker/pushback.h"
#include "worker/retry.h"
#include "worker/retry_budget.h"
#include "worker/worker.h"

/* The line holds what starts within this time, and some, but no more than its share of
 * those who may wait; what is behind is better off in Redis, where any worker can take
 * it. */
#define LINE_US 1000000
#define LINE_MIN 32
#define LINE_SHARE 4
#define PLACE_MARGIN_MS 30000 /* a place is kept so much longer than a try may take */

struct rb_gate {
    struct rb_worker *worker;
    struct rb_backend *backend;
    const char *service;
    struct rb_limiter limiter;
    struct rb_breaker breaker;
    struct rb_pushback pushback;
    struct rb_retry_budget budget;
    struct rb_permits permits;
    struct rb_places places;
    ev_timer wake; /* when something that holds calls up is over */
    bool pumping;
};

static void pump(struct rb_gate *g);

static struct rb_flight *flight_in(struct rb_in_line *line) {
    return (struct rb_flight *)(void *)((char *)line - offsetof(struct rb_flight, line));
}

static struct rb_gate *gate_of(const struct rb_flight *f) {
    return rb_backend_gate(f->backend);
}

static void on_wake(struct ev_loop *loop, ev_timer *timer, int revents) {
    (void)loop, (void)revents;
    pump(timer->data);
}

static void on_answer(void *ctx) { pump(ctx); }

static void on_change(void *ctx, const struct rb_breaker_change *change) {
    struct rb_gate *g = ctx;
    rb_log(change->to == RB_BREAKER_OPEN ? RB_LOG_WARN : RB_LOG_INFO, "breaker.changed",
           RB_S("service", g->service), RB_S("from", rb_breaker_state_name(change->from)),
           RB_S("to", rb_breaker_state_name(change->to)), RB_I("calls", change->calls),
           RB_I("failures", change->failures), RB_I("slow", change->slow));
    rb_backend_breaker_is(g->backend, change->to);
}

struct rb_gate *rb_gate_new(struct rb_worker *w, struct rb_backend *backend,
                            const char *service) {
    struct rb_gate *g = calloc(1, sizeof *g);
    struct rb_retry_policy usual;
    if (!g)
        return NULL;
    g->worker = w;
    g->backend = backend;
    g->service = service;
    rb_retry_policy_init(&usual);
    rb_limiter_init(&g->limiter, 0);
    rb_breaker_init(&g->breaker, on_change, g);
    rb_retry_budget_init(&g->budget, usual.budget.percent, usual.budget.per_second,
                         w->now_ms);
    rb_permits_init(&g->permits, w, service, on_answer, g);
    rb_places_init(&g->places, w, service, on_answer, g);
    ev_timer_init(&g->wake, on_wake, 0.0, 0.0);
    g->wake.data = g;
    return g;
}

void rb_gate_free(struct rb_gate *g) {
    if (!g)
        return;
    ev_timer_stop(g->worker->loop, &g->wake);
    rb_places_fini(&g->places);
    free(g);
}

static void wake_in(struct rb_gate *g, int64_t wait_ms) {
    if (wait_ms <= 0)
        return; /* an answer from Redis, or the end of a call, will wake it */
    ev_timer_stop(g->worker->loop, &g->wake);
    ev_timer_set(&g->wake, (double)wait_ms / 1000.0, 0.0);
    ev_timer_start(g->worker->loop, &g->wake);
}

/* How many could start if nothing but permits or places were in their way. */
static int64_t wanted(const struct rb_gate *g) {
    int64_t waiting = g->limiter.waiting > 0 ? g->limiter.waiting : 1;
    int64_t room = g->limiter.limit > 0 ? g->limiter.limit - g->limiter.running : waiting;
    return room < waiting ? room : waiting;
}

static int64_t keep_ms(const struct rb_definition *d) {
    return d->timeout.per_try + PLACE_MARGIN_MS;
}

static bool may_start(struct rb_gate *g, const struct rb_definition *d) {
    if (!rb_limiter_has_room(&g->limiter, rb_pushback_most(&g->pushback)))
        return false;
    int64_t pause_ms = rb_pushback_wait_ms(&g->pushback, g->worker->now_ms);
    if (pause_ms > 0) {
        wake_in(g, pause_ms);
        return false;
    }
    if (!rb_permits_ready(&g->permits, &d->rate_limit, wanted(g))) {
        wake_in(g, rb_permits_wait_ms(&g->permits));
        return false;
    }
    if (d->concurrency.global &&
        !rb_places_ready(&g->places, d->concurrency.limit, keep_ms(d), wanted(g))) {
        wake_in(g, rb_places_wait_ms(&g->places));
        return false;
    }
    return true;
}

static bool is_open(const struct rb_gate *g, const struct rb_definition *d) {
    return d->circuit_breaker.enabled &&
           rb_breaker_wait_ms(&g->breaker, g->worker->now_ms) > 0;
}

static void let_through(struct rb_gate *g, struct rb_flight *f) {
    const struct rb_definition *d = f->definition;
    if (!rb_breaker_admit(&g->breaker, &d->circuit_breaker, g->worker->now_ms,
                          &f->ticket)) {
        rb_retry_circuit_open(f);
        return;
    }
    rb_permits_use(&g->permits);
    f->place = d->concurrency.global ? rb_places_use(&g->places) : 0;
    rb_limiter_begin(&g->limiter);
    f->through = true;
    if (f->attempts == 0)
        rb_retry_budget_call(&g->budget, g->worker->now_ms);
    rb_attempt_start(f);
}

/* Starts whoever may, in order. A breaker that has opened refuses the whole line: nobody
 * is kept waiting for a service that does not work. */
static void pump(struct rb_gate *g) {
    struct rb_in_line *first;
    const struct rb_definition *d = NULL;
    if (g->pumping)
        return;
    g->pumping = true;
    while ((first = rb_limiter_first(&g->limiter))) {
        struct rb_flight *f = flight_in(first);
        d = f->definition;
        bool open = is_open(g, d);
        if (!open && !may_start(g, d))
            break;
        rb_limiter_withdraw(&g->limiter, first);
        if (open)
            rb_retry_circuit_open(f);
        else
            let_through(g, f);
    }
    if (!first) {
        rb_permits_forget(&g->permits);
        rb_places_forget(&g->places);
    }
    rb_places_flush(&g->places);
    g->pumping = false;
}

static int64_t pace_us(const struct rb_definition *d) {
    const struct rb_rate_limit *rate = &d->rate_limit;
    return rate->limit > 0 ? rate->period_ms * 1000 / rate->limit : 0;
}

static int64_t line_bound(const struct rb_gate *g, const struct rb_definition *d) {
    int64_t at_once = g->limiter.limit;
    int64_t most = rb_pushback_most(&g->pushback);
    if (most > 0 && (at_once == 0 || most < at_once))
        at_once = most;
    int64_t bound = 2 * at_once;
    if (g->limiter.took_us > 0 && at_once * LINE_US / g->limiter.took_us > bound)
        bound = at_once * LINE_US / g->limiter.took_us;
    int64_t pace = pace_us(d);
    if (pace > 0 && LINE_US / pace > bound)
        bound = LINE_US / pace;
    int64_t most_waiting = g->worker->limit / LINE_SHARE;
    bound = bound > most_waiting ? most_waiting : bound;
    return bound < LINE_MIN ? LINE_MIN : bound;
}

static void park(struct rb_gate *g, struct rb_flight *f) {
    struct rb_worker *w = g->worker;
    int64_t wait_ms = rb_limiter_park_ms(&g->limiter, w->now_ms, pace_us(f->definition),
                                         (uint32_t)rb_process_random());
    int64_t last_ms = rb_flight_last_ms(f);
    if (last_ms && w->now_ms + wait_ms > last_ms)
        wait_ms = last_ms > w->now_ms ? last_ms - w->now_ms : 0;
    rb_finish_park(f, rb_worker_unix_ms(w) + wait_ms);
}

void rb_gate_enter(struct rb_flight *f) {
    struct rb_gate *g = gate_of(f);
    struct rb_worker *w = g->worker;
    const struct rb_definition *d = f->definition;
    rb_limiter_set(&g->limiter, d->concurrency.limit);
    rb_retry_budget_set(&g->budget, d->retry.budget.percent, d->retry.budget.per_second,
                        w->now_ms);
    if (is_open(g, d))
        rb_retry_circuit_open(f);
    else if (!rb_limiter_first(&g->limiter) && may_start(g, d))
        let_through(g, f);
    else if (rb_claims_stopped(w))
        rb_finish_put_off(f);
    else if (rb_flights_may_wait(w) &&
             rb_limiter_wait(&g->limiter, &f->line, line_bound(g, d)))
        rb_flight_wait(f, 0);
    else
        park(g, f);
}

static enum rb_breaker_outcome judge(const struct rb_flight *f,
                                     const struct rb_retry_outcome *o) {
    if (!o)
        return RB_BREAKER_SUCCESS;
    switch (o->cause) {
    case RB_RETRY_TIMEOUT:
        /* A job in a hurry says nothing about the service. */
        return f->hurried ? RB_BREAKER_NO_MATTER : RB_BREAKER_FAILURE;
    case RB_RETRY_CONNECT:
    case RB_RETRY_RESET:
    case RB_RETRY_TLS:
        return RB_BREAKER_FAILURE;
    case RB_RETRY_STATUS:
        return o->status >= 500   ? RB_BREAKER_FAILURE
               : o->status == 429 ? RB_BREAKER_NO_MATTER
                                  : RB_BREAKER_SUCCESS;
    default:
        return RB_BREAKER_NO_MATTER;
    }
}

/* What a service asks for is heeded as far as its definition lets it. */
static void hear_pushback(struct rb_gate *g, const struct rb_flight *f,
                          const struct rb_retry_outcome *o) {
    int64_t now_ms = g->worker->now_ms;
    if (!o || o->cause != RB_RETRY_STATUS || o->status != 429) {
        if (!o || o->cause == RB_RETRY_STATUS)
            rb_pushback_answered(&g->pushback);
        return;
    }
    int64_t asked_ms = o->retry_after_ms;
    if (asked_ms > f->definition->retry.max_retry_after_ms)
        asked_ms = f->definition->retry.max_retry_after_ms;
    if (rb_pushback_refused(&g->pushback, now_ms, f->called_ms, asked_ms,
                            g->limiter.running, (uint32_t)rb_process_random())) {
        rb_backend_pushed_back(g->backend);
        rb_log(RB_LOG_INFO, "service.pushed_back", RB_S("service", g->service),
               RB_I("pause_ms", rb_pushback_wait_ms(&g->pushback, now_ms)),
               RB_I("at_once", rb_pushback_most(&g->pushback)));
    }
}

static void leave(struct rb_gate *g, struct rb_flight *f, enum rb_breaker_outcome outcome,
                  int64_t took_us) {
    f->through = false;
    rb_limiter_end(&g->limiter, took_us);
    rb_breaker_settle(&g->breaker, &f->definition->circuit_breaker, g->worker->now_ms,
                      f->ticket, outcome, took_us / 1000);
    if (f->place)
        rb_places_release(&g->places, f->place);
    f->place = 0;
}

void rb_gate_leave(struct rb_flight *f, const struct rb_retry_outcome *outcome,
                   int64_t took_us) {
    struct rb_gate *g = gate_of(f);
    if (!f->through)
        return;
    hear_pushback(g, f, outcome);
    leave(g, f, judge(f, outcome), took_us);
    pump(g);
}

void rb_gate_withdraw(struct rb_flight *f) {
    struct rb_gate *g = f->backend ? gate_of(f) : NULL;
    if (!g)
        return;
    rb_limiter_withdraw(&g->limiter, &f->line);
    if (!f->through)
        return;
    leave(g, f, RB_BREAKER_NO_MATTER, -1);
    pump(g);
}

bool rb_gate_is_limited(const struct rb_flight *f) {
    const struct rb_gate *g = gate_of(f);
    return rb_pushback_wait_ms(&g->pushback, g->worker->now_ms) > 0 ||
           (f->definition->rate_limit.limit > 0 && g->permits.stock == 0 &&
            rb_limiter_has_room(&g->limiter, rb_pushback_most(&g->pushback)));
}

bool rb_gate_take_retry(struct rb_flight *f, int64_t max_wait_ms, int64_t *wait_ms) {
    struct rb_gate *g = gate_of(f);
    return rb_retry_budget_take(&g->budget, g->worker->now_ms, max_wait_ms, wait_ms);
}

int64_t rb_gate_open_ms(const struct rb_flight *f) {
    const struct rb_gate *g = gate_of(f);
    return rb_breaker_wait_ms(&g->breaker, g->worker->now_ms);
}
