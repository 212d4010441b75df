/* When to ask for jobs: one question at a time, as long as there is room and the queues
 * have something; so that under load each answer brings what gathered while it was on its
 * way, and an idle worker only waits. A busy worker of whose slots only a few are free
 * lets more come free first, for a millisecond at most. */
#include "worker/claim.h"

#include <stdlib.h>

#include "worker/stats.h"
#include "worker/worker.h"

#define RETRY_S 1.0    /* after Redis refused a claim */
#define GATHER_S 0.001 /* at most, for slots to come free */
#define FEW 8          /* less than so many-th of all slots */

struct rb_claims {
    struct rb_worker *worker;
    ev_timer retry;
    ev_timer gather;
    uint64_t count;
    bool hurry; /* something new may be there, or enough was gathered */
    bool asking;
    bool poked;   /* while asking: a queue may have got something since */
    bool empty;   /* as far as known: `await` is to tell */
    bool stopped; /* no more claims */
};

static void on_retry(struct ev_loop *loop, ev_timer *timer, int revents) {
    (void)loop, (void)timer, (void)revents; /* the turn's end asks */
}

static void on_gathered(struct ev_loop *loop, ev_timer *timer, int revents) {
    struct rb_claims *claims = timer->data;
    (void)loop, (void)revents;
    claims->hurry = true;
}

struct rb_claims *rb_claims_new(struct rb_worker *w) {
    struct rb_claims *claims = calloc(1, sizeof *claims);
    if (!claims)
        return NULL;
    claims->worker = w;
    claims->hurry = true;
    ev_timer_init(&claims->retry, on_retry, RETRY_S, 0.0);
    ev_timer_init(&claims->gather, on_gathered, GATHER_S, 0.0);
    claims->gather.data = claims;
    return claims;
}

void rb_claims_free(struct rb_claims *claims) {
    if (!claims)
        return;
    ev_timer_stop(claims->worker->loop, &claims->retry);
    ev_timer_stop(claims->worker->loop, &claims->gather);
    free(claims);
}

static bool is_gathering(struct rb_worker *w, int64_t room) {
    struct rb_claims *claims = w->claims;
    if (claims->hurry || room >= w->limit / FEW)
        return false;
    if (!ev_is_active(&claims->gather)) {
        ev_timer_set(&claims->gather, GATHER_S, 0.0);
        ev_timer_start(w->loop, &claims->gather);
    }
    return true;
}

int64_t rb_claims_room(const struct rb_worker *w) {
    return w->limit - rb_flights_slots(&w->flights, w->limit);
}

void rb_claims_count(struct rb_worker *w) {
    w->claims->count++;
    rb_stats_add(w->stats, RB_STAT_CLAIMS, 1);
}

uint64_t rb_claims_counted(const struct rb_worker *w) { return w->claims->count; }

void rb_claims_turn(struct rb_worker *w) {
    struct rb_claims *claims = w->claims;
    int64_t room = rb_claims_room(w);
    if (!w->ready || claims->stopped || claims->asking || room <= 0 ||
        ev_is_active(&claims->retry))
        return;
    if (claims->empty) {
        w->mode->await(w);
        return;
    }
    if (is_gathering(w, room))
        return;
    ev_timer_stop(w->loop, &claims->gather);
    claims->asking = true;
    claims->poked = claims->hurry = false;
    rb_claims_count(w);
    w->mode->ask(w, (size_t)(room < RB_CLAIM_BATCH ? room : RB_CLAIM_BATCH));
}

void rb_claims_poke(struct rb_worker *w) {
    w->claims->poked = w->claims->hurry = true;
    w->claims->empty = false;
}

void rb_claims_answered(struct rb_worker *w, size_t claimed, bool more) {
    struct rb_claims *claims = w->claims;
    claims->asking = false;
    claims->empty = !more && !claims->poked;
    if (claimed > 0)
        rb_log(RB_LOG_DEBUG, "worker.claimed", RB_I("jobs", claimed),
               RB_I("in_flight", w->flights.count));
}

void rb_claims_failed(struct rb_worker *w) {
    struct rb_claims *claims = w->claims;
    claims->asking = claims->empty = false;
    if (!ev_is_active(&claims->retry)) {
        ev_timer_set(&claims->retry, RETRY_S, 0.0);
        ev_timer_start(w->loop, &claims->retry);
    }
}

void rb_claims_resume(struct rb_worker *w) {
    ev_timer_stop(w->loop, &w->claims->retry);
    rb_claims_poke(w);
}

void rb_claims_stop(struct rb_worker *w) { w->claims->stopped = true; }

bool rb_claims_stopped(const struct rb_worker *w) { return w->claims->stopped; }

bool rb_claims_empty(const struct rb_worker *w) {
    return w->claims->empty && !w->claims->asking;
}

bool rb_claims_asking(const struct rb_worker *w) { return w->claims->asking; }
