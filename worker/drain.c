/* Stages of the end; each has its time, so that none can hold up the process. */
#include "worker/drain.h"

#include <stdlib.h>

#include "config/process.h"
#include "worker/claim.h"
#include "worker/due.h"
#include "worker/finish.h"
#include "worker/lease.h"
#include "worker/worker.h"

#define LINGER_S 2.0  /* for what is on its way to Redis when time is up */
#define LEAVING_S 1.0 /* for Redis to take the rest back */
#define CONNECTS 3    /* times redis.connect_timeout, that --drain waits for Redis */

enum stage {
    WORKING,
    FINISHING, /* flights may finish, until drain_timeout */
    RETURNING, /* calls are broken off and their jobs given back */
    LEAVING,   /* what is left is for the last command */
    GONE
};

struct rb_drain {
    struct rb_worker *worker;
    enum stage stage;
    bool until_empty;
    int exit_code;
    ev_timer timer;    /* of the stage */
    ev_timer patience; /* with a Redis that can't be reached */
};

static void enter(struct rb_worker *w, enum stage stage);

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents) {
    struct rb_drain *drain = timer->data;
    (void)loop, (void)revents;
    enter(drain->worker, drain->stage + 1);
}

static void on_patience(struct ev_loop *loop, ev_timer *timer, int revents) {
    struct rb_drain *drain = timer->data;
    (void)loop, (void)revents;
    rb_log(RB_LOG_ERROR, "worker.no_redis",
           RB_S("error", rb_link_last_error(drain->worker->link)));
    drain->exit_code = RB_EXIT_UNAVAILABLE;
    enter(drain->worker, GONE);
}

struct rb_drain *rb_drain_new(struct rb_worker *w, bool until_empty) {
    struct rb_drain *drain = calloc(1, sizeof *drain);
    if (!drain)
        return NULL;
    drain->worker = w;
    drain->until_empty = until_empty;
    ev_timer_init(&drain->timer, on_timer, 0.0, 0.0);
    ev_timer_init(&drain->patience, on_patience, 0.0, 0.0);
    drain->timer.data = drain->patience.data = drain;
    return drain;
}

void rb_drain_free(struct rb_drain *drain) {
    if (!drain)
        return;
    ev_timer_stop(drain->worker->loop, &drain->timer);
    ev_timer_stop(drain->worker->loop, &drain->patience);
    free(drain);
}

static void set_timer(struct rb_drain *drain, double seconds) {
    ev_timer_stop(drain->worker->loop, &drain->timer);
    ev_timer_set(&drain->timer, seconds, 0.0);
    ev_timer_start(drain->worker->loop, &drain->timer);
}

static void give_back_calls(struct rb_worker *w) {
    struct rb_flight_list *calling = &w->flights.in[RB_FLIGHT_CALLING];
    struct rb_flight_list *asking = &w->flights.in[RB_FLIGHT_ASKING];
    while (!TAILQ_EMPTY(calling))
        rb_finish_give_back(TAILQ_FIRST(calling));
    while (!TAILQ_EMPTY(asking))
        rb_finish_give_back(TAILQ_FIRST(asking));
}

/* Whoever waits can as well wait in Redis, for another worker. What was tried already
 * keeps its count and its time. */
static void send_waiting_away(struct rb_worker *w) {
    struct rb_flight_list *waiting = &w->flights.in[RB_FLIGHT_WAITING];
    struct rb_flight *f;
    while ((f = TAILQ_FIRST(waiting)))
        rb_finish_put_off(f);
}

static void drop_all(struct rb_worker *w) {
    for (int state = 0; state < RB_FLIGHT_LANDED; state++)
        while (!TAILQ_EMPTY(&w->flights.in[state]))
            rb_flight_drop(TAILQ_FIRST(&w->flights.in[state]));
}

static void enter(struct rb_worker *w, enum stage stage) {
    struct rb_drain *drain = w->drain;
    drain->stage = stage;
    switch (stage) {
    case WORKING:
        break;
    case FINISHING:
        rb_claims_stop(w);
        send_waiting_away(w);
        set_timer(drain, (double)w->live->worker.drain_timeout / 1000.0);
        break;
    case RETURNING:
        give_back_calls(w);
        set_timer(drain, LINGER_S);
        break;
    case LEAVING:
        drop_all(w);
        set_timer(drain, LEAVING_S);
        break;
    case GONE:
        ev_timer_stop(w->loop, &drain->timer);
        ev_break(w->loop, EVBREAK_ALL);
        break;
    }
}

void rb_drain_begin(struct rb_worker *w) {
    struct rb_drain *drain = w->drain;
    if (drain->stage == WORKING) {
        rb_log(RB_LOG_INFO, "worker.draining", RB_I("in_flight", w->flights.count));
        rb_process_notify("STOPPING=1");
        enter(w, FINISHING);
    } else if (drain->stage == FINISHING) {
        rb_log(RB_LOG_INFO, "worker.hurrying", RB_I("in_flight", w->flights.count));
        enter(w, RETURNING);
    }
}

void rb_drain_turn(struct rb_worker *w) {
    struct rb_drain *drain = w->drain;
    if (drain->stage == WORKING && drain->until_empty && w->ready &&
        w->flights.count == 0 && rb_claims_empty(w) && !rb_due_is_soon(w) &&
        !rb_lease_is_reaping(w))
        enter(w, FINISHING);
    if (drain->stage == WORKING || drain->stage == GONE)
        return;
    if (w->mode->cease(w) && w->flights.count == 0 && w->mode->leave(w))
        enter(w, GONE);
}

void rb_drain_link(struct rb_worker *w, bool ready) {
    struct rb_drain *drain = w->drain;
    if (!drain->until_empty)
        return;
    ev_timer_stop(w->loop, &drain->patience);
    if (ready)
        return;
    double seconds = CONNECTS * (double)w->settings->redis.connect_timeout / 1000.0;
    ev_timer_set(&drain->patience, seconds, 0.0);
    ev_timer_start(w->loop, &drain->patience);
}

int rb_drain_exit_code(const struct rb_worker *w) { return w->drain->exit_code; }
