/* Two calls, one answer. */
#include "worker/hedge.h"

#include <stdlib.h>

#include "jobs/name.h"
#include "worker/gate.h"
#include "worker/worker.h"

struct rb_hedge {
    struct rb_flight *flight;
    struct rb_call_order order;
    struct rb_call *calls[2];
    ev_timer timer;
    rb_call_fn *fn;
    void *ctx;
};

static struct rb_worker *worker_of(const struct rb_hedge *hedge) {
    return hedge->flight->worker;
}

void rb_hedge_cancel(struct rb_hedge *hedge) {
    ev_timer_stop(worker_of(hedge)->loop, &hedge->timer);
    for (int i = 0; i < 2; i++)
        if (hedge->calls[i])
            rb_call_cancel(hedge->calls[i]);
    rb_request_free(hedge->order.request);
    free(hedge);
}

/* A failure is worth less than what the other call may still bring. */
static bool is_final(const struct rb_answer *answer) {
    return answer->failure == RB_FAILURES && answer->status < 500 &&
           answer->status != 429;
}

static void on_answer(struct rb_hedge *hedge, int which, const struct rb_answer *answer) {
    rb_call_fn *fn = hedge->fn;
    void *ctx = hedge->ctx;
    hedge->calls[which] = NULL;
    if (hedge->calls[1 - which] && !is_final(answer))
        return;
    rb_hedge_cancel(hedge);
    fn(ctx, answer);
}

static void on_first(void *ctx, const struct rb_answer *answer) {
    on_answer(ctx, 0, answer);
}

static void on_second(void *ctx, const struct rb_answer *answer) {
    on_answer(ctx, 1, answer);
}

static void start(struct rb_hedge *hedge, int which) {
    struct rb_worker *w = worker_of(hedge);
    rb_request_ref(hedge->order.request);
    hedge->calls[which] = rb_call_start(w->caller, &hedge->order, w->now_ms,
                                        which == 0 ? on_first : on_second, hedge);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents) {
    struct rb_hedge *hedge = timer->data;
    int64_t wait_ms;
    (void)loop, (void)revents;
    if (!rb_gate_take_retry(hedge->flight, 0, &wait_ms))
        return;
    start(hedge, 1);
    rb_log(RB_LOG_DEBUG, "job.hedged", RB_S("job", hedge->flight->id),
           RB_S("service", hedge->flight->job.service),
           RB_T("channel", rb_name_shown(rb_text_of(hedge->flight->channel))));
}

struct rb_hedge *rb_hedge_start(struct rb_flight *f, const struct rb_call_order *order,
                                int64_t after_ms, rb_call_fn *fn, void *ctx) {
    struct rb_hedge *hedge = calloc(1, sizeof *hedge);
    if (!hedge) {
        rb_request_free(order->request);
        return NULL;
    }
    hedge->flight = f;
    hedge->order = *order;
    hedge->fn = fn;
    hedge->ctx = ctx;
    ev_timer_init(&hedge->timer, on_timer, (double)after_ms / 1000.0, 0.0);
    hedge->timer.data = hedge;
    start(hedge, 0);
    if (!hedge->calls[0]) {
        rb_hedge_cancel(hedge);
        return NULL;
    }
    if (after_ms > 0)
        ev_timer_start(f->worker->loop, &hedge->timer);
    return hedge;
}
