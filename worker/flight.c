/* Herding flights between lists. */
#include "worker/flight.h"

#include <assert.h>
#include <stdlib.h>

#include "worker/backend.h"
#include "worker/call.h"
#include "worker/worker.h"

#define TO(state) (1u << RB_FLIGHT_##state)

static const unsigned next_of[RB_FLIGHT_STATES] = {
    [RB_FLIGHT_BOARDING] = TO(CALLING) | TO(PUBLISHING) | TO(PARKING) | TO(BURYING) |
                           TO(RETURNING) | TO(LANDED),
    [RB_FLIGHT_CALLING] = TO(PUBLISHING) | TO(BURYING) | TO(RETURNING) | TO(LANDED),
    [RB_FLIGHT_PUBLISHING] = TO(BURYING) | TO(KEPT) | TO(LANDED),
    [RB_FLIGHT_PARKING] = TO(KEPT) | TO(LANDED),
    [RB_FLIGHT_BURYING] = TO(KEPT) | TO(LANDED),
    [RB_FLIGHT_RETURNING] = TO(KEPT) | TO(LANDED),
    [RB_FLIGHT_KEPT] =
        TO(PUBLISHING) | TO(PARKING) | TO(BURYING) | TO(RETURNING) | TO(LANDED),
    [RB_FLIGHT_LANDED] = 0,
};

static const char *const names[] = {"boarding", "calling",   "publishing", "parking",
                                    "burying",  "returning", "kept",       "landed"};
static_assert(sizeof names / sizeof names[0] == RB_FLIGHT_STATES,
              "a name for each state");

const char *rb_flight_state_name(enum rb_flight_state state) { return names[state]; }

bool rb_flight_may_move(enum rb_flight_state from, enum rb_flight_state to) {
    return next_of[from] & (1u << to);
}

void rb_flights_init(struct rb_flights *flights) {
    for (int i = 0; i < RB_FLIGHT_STATES; i++)
        TAILQ_INIT(&flights->in[i]);
    flights->count = 0;
}

struct rb_flight *rb_flight_new(struct rb_worker *w, uint64_t claim) {
    struct rb_flight *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->worker = w;
    f->claim = claim;
    f->claimed_ms = w->now_ms;
    f->outcome = RB_FAILURES;
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
    f->state = to;
    TAILQ_INSERT_TAIL(&flights->in[to], f, link);
    if (to == RB_FLIGHT_LANDED)
        flights->count--;
}

void rb_flight_drop(struct rb_flight *f) {
    if (f->state == RB_FLIGHT_LANDED)
        return;
    if (f->call)
        rb_call_cancel(f->call);
    f->call = NULL;
    if (f->backend)
        rb_backend_job_leaves(f->backend);
    f->backend = NULL;
    rb_flight_move(f, RB_FLIGHT_LANDED);
}

static void flight_free(struct rb_flight *f) {
    rb_job_fini(&f->job);
    rb_services_unref(f->services);
    rb_buffer_fini(&f->event);
    free(f->envelope);
    free(f->id);
    free(f->channel);
    free(f->headers[0]);
    free(f->headers[1]);
    free(f->reason);
    free(f);
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
