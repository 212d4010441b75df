/* Taking jobs: when to ask for how many, and the two ways to do it behind one struct of
 * functions. */
#ifndef RB_WORKER_CLAIM_H
#define RB_WORKER_CLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include "config/status.h"
#include "config/text.h"

struct rb_flight;
struct rb_worker;

#define RB_CLAIM_BATCH 128 /* jobs asked for at once */

/* How jobs are taken, and what becomes of those that were. All answers come from the
 * loop: rb_claims_answered, rb_flight_confirmed. */
struct rb_claiming {
    const char *name;
    bool scripts; /* may Redis be asked to run scripts? */
    /* RB_OK, RB_NOMEM. What it makes is on the worker; stop is legal after a failure. */
    enum rb_status (*start)(struct rb_worker *w);
    void (*stop)(struct rb_worker *w);
    /* The link for commands came up (rb_worker_set_ready is to be called when work may
     * go on) or went down. */
    void (*link_up)(struct rb_worker *w);
    void (*link_down)(struct rb_worker *w);
    /* Takes up to `want` jobs off the queues, then rb_claims_answered. */
    void (*ask)(struct rb_worker *w, size_t want);
    /* The queues are empty: sees to it that rb_claims_poke is called when one is not any
     * more. Called in every turn until then. */
    void (*await)(struct rb_worker *w);
    /* No more waiting; true when nothing is on its way to us any more. */
    bool (*cease)(struct rb_worker *w);
    /* Sends what was gathered in this turn. */
    void (*turn)(struct rb_worker *w);
    /* Each moves a flight on by a command, or lands it at once. */
    void (*settle)(struct rb_flight *f);
    void (*park)(struct rb_flight *f);
    void (*bury)(struct rb_flight *f);
    void (*give_back)(struct rb_flight *f);
    /* Its calls so far are written down for whoever takes it over; NULL where nobody
     * does.
     */
    void (*note)(struct rb_flight *f);
    /* Gives everything back and signs off; true when that is done or can't be. */
    bool (*leave)(struct rb_worker *w);
    /* Moves jobs whose time has come to their queues; then rb_due_heard. */
    void (*promote)(struct rb_worker *w);
};

extern const struct rb_claiming rb_claim_by_lease;
extern const struct rb_claiming rb_claim_by_blpop;

/* By lease: a heartbeat was answered. Lists that could not be waited for are tried again,
 * and the queues are looked at once, whatever the waiting links know. */
void rb_claim_lease_beat(struct rb_worker *w);

struct rb_claims;

struct rb_claims *rb_claims_new(struct rb_worker *w);
void rb_claims_free(struct rb_claims *claims);

/* How many jobs may still be taken; not positive when there is no room. */
int64_t rb_claims_room(const struct rb_worker *w);
/* One more is asked for, however it is: all are numbered from 1. */
void rb_claims_count(struct rb_worker *w);
/* The number of the last one. */
uint64_t rb_claims_counted(const struct rb_worker *w);

/* Once a turn: asks when there is room and reason, else waits. */
void rb_claims_turn(struct rb_worker *w);
/* A queue may have something. */
void rb_claims_poke(struct rb_worker *w);
/* The answer to `ask`: how many jobs came, and whether there was more. */
void rb_claims_answered(struct rb_worker *w, size_t claimed, bool more);
/* `ask` failed: asked again after a moment. */
void rb_claims_failed(struct rb_worker *w);
/* The worker is ready (again): asked at once. */
void rb_claims_resume(struct rb_worker *w);
/* No more claims. */
void rb_claims_stop(struct rb_worker *w);
bool rb_claims_stopped(const struct rb_worker *w);
/* Nothing is asked and the queues were empty when it was asked last. */
bool rb_claims_empty(const struct rb_worker *w);
bool rb_claims_asking(const struct rb_worker *w);

#endif
