/* What Redis holds for this worker (claim: lease): settling, giving back, burying and
 * parking what was claimed. */
#ifndef RB_WORKER_HELD_H
#define RB_WORKER_HELD_H

#include <stdbool.h>
#include <stdint.h>

struct rb_flight;
struct rb_held;
struct rb_worker;

struct rb_held *rb_held_new(struct rb_worker *w);
void rb_held_free(struct rb_held *held);

/* After a lost link: gives back what Redis holds for us and we do not know, that is,
 * claims whose answers were lost; then the worker is ready. */
void rb_held_compare(struct rb_worker *w);
/* Redis said with a heartbeat how many jobs it holds for us: when there are some that we
 * do not know, what was to prevent that has failed, and they would stay there for as long
 * as we live. So they are looked for. */
void rb_held_beat(struct rb_worker *w, int64_t count);
/* A job that was claimed under this number is not begun: it goes back. */
void rb_held_decline(struct rb_worker *w, uint64_t number);
/* Everything belongs to others now: nothing is to be settled or given back. */
void rb_held_forget(struct rb_worker *w);
/* The link went down: what was asked and not answered is asked again when it is up. */
void rb_held_link_down(struct rb_worker *w);

/* The functions of struct rb_claiming. */
void rb_held_settle(struct rb_flight *f);
void rb_held_give_back(struct rb_flight *f);
void rb_held_park(struct rb_flight *f);
/* Without an answer: at worst a call more is made. */
void rb_held_note(struct rb_flight *f);
void rb_held_bury(struct rb_flight *f);
void rb_held_turn(struct rb_worker *w);
bool rb_held_leave(struct rb_worker *w);

#endif
