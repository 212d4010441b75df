/* Herding flights between lists. */
#include "worker/flight.h"

#include <assert.h>
#include <stdlib.h>

#include "worker/alone.h"
#include "worker/backend.h"
#include "worker/blocks.h"
#include "worker/call.h"
#include "worker/coalesce.h"
#include "worker/fanout.h"
#include "worker/gate.h"
#include "worker/hedge.h"
#include "worker/retry.h"
#include "worker/worker.h"

#define CLOCK_SLACK_MS 20
#define ASKING_GRACE_MS                                                                  \
    250                /* who makes the call has the same time, and is to end first */
#define WAITING_MIN 64 /* may wait, however few may be in flight */

#define TO(state) (1u << RB_FLIGHT_##state)

static const unsigned next_of[RB_FLIGHT_STATES] = {
    [RB_FLIGHT_BOARDING] = TO(ASKING) | TO(WAITING) | TO(CALLING) | TO(PUBLISHING) |
                           TO(PARKING) | TO(BURYING) | TO(RETURNING) | TO(LANDED),
    [RB_FLIGHT_ASKING] = TO(WAITING) | TO(CALLING) | TO(PUBLISHING) | TO(PARKING) |
                         TO(BURYING) | TO(RETURNING) | TO(LANDED),
    [RB_FLIGHT_WAITING] = TO(ASKING) | TO(CALLING) | TO(PUBLISHING) | TO(PARKING) |
                          TO(BURYING) | TO(RETURNING) | TO(LANDED),
    [RB_FLIGHT_CALLING] = TO(ASKING) | TO(WAITING) | TO(PUBLISHING) | TO(PARKING) |
                          TO(BURYING) | TO(RETURNING) | TO(LANDED),
    [RB_FLIGHT_PUBLISHING] = TO(BURYING) | TO(KEPT) | TO(LANDED),
    [RB_FLIGHT_PARKING] = TO(KEPT) | TO(LANDED),
    [RB_FLIGHT_BURYING] = TO(KEPT) | TO(LANDED),
    [RB_FLIGHT_RETURNING] = TO(KEPT) | TO(LANDED),
    [RB_FLIGHT_KEPT] =
        TO(PUBLISHING) | TO(PARKING) | TO(BURYING) | TO(RETURNING) | TO(LANDED),
    [RB_FLIGHT_LANDED] = 0,
};

static const char *const names[] = {"boarding",   "asking",  "waiting", "calling",
                                    "publishing", "parking", "burying", "returning",
                                    "kept",       "landed"};
static_assert(sizeof names / sizeof names[0] == RB_FLIGHT_STATES,
              "a name for each state");

const char *rb_flight_state_name(enum rb_flight_state state) { return names[state]; }

bool rb_flight_may_move(enum rb_flight_state from, enum rb_flight_state to) {
    return next_of[from] & (1u << to);
}

void rb_flights_init(struct rb_flights *flights) {
    for (int i = 0; i < RB_FLIGHT_STATES; i++)
        TAILQ_INIT(&flights->in[i]);
    flights->count = flights->waiting = flights->publishing = 0;
    flights->kept_bytes = 0;
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents) {
    struct rb_flight *f = timer->data;
    (void)loop, (void)revents;
    if (f->state == RB_FLIGHT_ASKING)
        rb_coalesce_overdue(f);
    else
        rb_retry_woken(f);
}

static int64_t earlier(int64_t a, int64_t b) { return a < b ? a : b; }

int64_t rb_flights_slots(const struct rb_flights *flights, int64_t limit) {
    return flights->count - flights->waiting - earlier(flights->publishing, limit / 2);
}

/* It holds no slot, and its timer runs. */
static bool waits(enum rb_flight_state state) {
    return state == RB_FLIGHT_WAITING || state == RB_FLIGHT_ASKING;
}

struct rb_flight *rb_flight_new(struct rb_worker *w, uint64_t claim) {
    struct rb_flight *f = rb_blocks_calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->worker = w;
    f->claim = claim;
    f->claimed_ms = w->now_ms;
    f->outcome = f->last_failure = RB_FAILURES;
    ev_timer_init(&f->timer, on_timer, 0.0, 0.0);
    f->timer.data = f;
    rb_buffer_init(&f->event, 0);
    f->state = RB_FLIGHT_BOARDING;
    TAILQ_INSERT_TAIL(&w->flights.in[RB_FLIGHT_BOARDING], f, link);
    w->flights.count++;
    return f;
}

void rb_flight_move(struct rb_flight *f, enum rb_flight_state to) {
    struct rb_flights *flights = &f->worker->flights;
    assert(rb_flight_may_move(f->state, to));
    TAILQ_REMOVE(&flights->in[f->state], f, link);
    if (waits(f->state)) {
        ev_timer_stop(f->worker->loop, &f->timer);
        flights->waiting--;
    }
    if (f->state == RB_FLIGHT_PUBLISHING)
        flights->publishing--;
    flights->kept_bytes -= f->kept_bytes;
    f->kept_bytes = to == RB_FLIGHT_KEPT ? f->event.room + f->data_len : 0;
    flights->kept_bytes += f->kept_bytes;
    f->state = to;
    TAILQ_INSERT_TAIL(&flights->in[to], f, link);
    if (waits(to))
        flights->waiting++;
    if (to == RB_FLIGHT_PUBLISHING)
        flights->publishing++;
    if (to >= RB_FLIGHT_PUBLISHING)
        rb_alone_leave(f);
    if (to == RB_FLIGHT_LANDED)
        flights->count--;
}

void rb_flight_wait(struct rb_flight *f, int64_t wake_ms) {
    struct rb_worker *w = f->worker;
    int64_t at_ms = rb_flight_last_ms(f);
    if (wake_ms && (!at_ms || wake_ms < at_ms))
        at_ms = wake_ms;
    if (f->state != RB_FLIGHT_WAITING)
        rb_flight_move(f, RB_FLIGHT_WAITING);
    ev_timer_stop(w->loop, &f->timer);
    if (!at_ms)
        return;
    int64_t wait_ms = at_ms > w->now_ms ? at_ms - w->now_ms : 0;
    ev_timer_set(&f->timer, (double)wait_ms / 1000.0, 0.0);
    ev_timer_start(w->loop, &f->timer);
}

void rb_flight_ask(struct rb_flight *f) {
    struct rb_worker *w = f->worker;
    rb_flight_set_deadline(f);
    if (f->state != RB_FLIGHT_ASKING)
        rb_flight_move(f, RB_FLIGHT_ASKING);
    ev_timer_stop(w->loop, &f->timer);
    int64_t left_ms = f->deadline_ms > w->now_ms ? f->deadline_ms - w->now_ms : 0;
    ev_timer_set(&f->timer, (double)(left_ms + ASKING_GRACE_MS) / 1000.0, 0.0);
    ev_timer_start(w->loop, &f->timer);
}

/* One in line may have its turn elsewhere, now. */
int64_t rb_flight_wait_left_ms(struct rb_flight *f) {
    if (f->line.waiting || !ev_is_active(&f->timer))
        return 0;
    double left_s = ev_timer_remaining(f->worker->loop, &f->timer);
    return left_s > 0 ? (int64_t)(left_s * 1000.0) : 0;
}

bool rb_flights_may_wait(const struct rb_worker *w) {
    int64_t most = w->limit > WAITING_MIN ? w->limit : WAITING_MIN;
    return w->flights.waiting < most;
}

void rb_flight_set_deadline(struct rb_flight *f) {
    struct rb_worker *w = f->worker;
    if (f->deadline_ms)
        return;
    f->deadline_ms = w->now_ms + f->definition->timeout.total;
    if (f->job.expires)
        f->deadline_ms = earlier(f->deadline_ms, f->job.expires - w->ahead_ms);
}

int64_t rb_flight_until_ms(const struct rb_flight *f) {
    return f->deadline_ms ? f->deadline_ms + f->worker->ahead_ms : 0;
}

bool rb_flight_expires_by(const struct rb_flight *f, int64_t at_ms) {
    return f->job.expires &&
           f->job.expires - f->worker->ahead_ms <= at_ms + CLOCK_SLACK_MS;
}

int64_t rb_flight_last_ms(const struct rb_flight *f) {
    if (f->attempts > 0 || !f->start_by_ms)
        return f->deadline_ms;
    return f->deadline_ms ? earlier(f->deadline_ms, f->start_by_ms) : f->start_by_ms;
}

void rb_flight_hang_up(struct rb_flight *f) {
    if (f->call)
        rb_call_cancel(f->call);
    if (f->hedge)
        rb_hedge_cancel(f->hedge);
    rb_fanout_free(f->fanout);
    f->call = NULL;
    f->hedge = NULL;
    f->fanout = NULL;
}

void rb_flight_drop(struct rb_flight *f) {
    if (f->state == RB_FLIGHT_LANDED)
        return;
    rb_flight_hang_up(f);
    rb_coalesce_leave(f);
    rb_gate_withdraw(f);
    if (f->backend)
        rb_backend_job_leaves(f->backend);
    f->backend = NULL;
    rb_flight_move(f, RB_FLIGHT_LANDED);
}

static void flight_free(struct rb_flight *f) {
    rb_job_fini(&f->job);
    json_decref(f->params);
    rb_services_unref(f->services);
    rb_buffer_fini(&f->event);
    free(f->envelope);
    free(f->id);
    free(f->channel);
    free(f->headers[0]);
    free(f->headers[1]);
    free(f->reason);
    free(f->data);
    rb_blocks_free(f);
}

void rb_flights_reap(struct rb_flights *flights) {
    struct rb_flight *f, *next;
    for (f = TAILQ_FIRST(&flights->in[RB_FLIGHT_LANDED]); f; f = next) {
        next = TAILQ_NEXT(f, link);
        if (f->asked)
            continue;
        TAILQ_REMOVE(&flights->in[RB_FLIGHT_LANDED], f, link);
        flight_free(f);
    }
}

void rb_flights_fini(struct rb_flights *flights) {
    struct rb_flight *f;
    for (int i = 0; i < RB_FLIGHT_STATES; i++)
        while ((f = TAILQ_FIRST(&flights->in[i]))) {
            rb_flight_drop(f);
            TAILQ_REMOVE(&flights->in[RB_FLIGHT_LANDED], f, link);
            flight_free(f);
        }
}
