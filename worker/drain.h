/* The orderly end: no more claims, the flights finish, what does not in time is given
 * back, and the worker signs off. */
#ifndef RB_WORKER_DRAIN_H
#define RB_WORKER_DRAIN_H

#include <stdbool.h>

struct rb_drain;
struct rb_worker;

/* until_empty: end by itself when the queues are empty, or Redis can't be reached. */
struct rb_drain *rb_drain_new(struct rb_worker *w, bool until_empty);
void rb_drain_free(struct rb_drain *drain);

/* SIGTERM; the second one does not wait for the flights any more. */
void rb_drain_begin(struct rb_worker *w);
/* Once a turn: ends the loop when all is done. */
void rb_drain_turn(struct rb_worker *w);
/* The link is of use, or lost: how long --drain waits for it. */
void rb_drain_link(struct rb_worker *w, bool ready);

/* The exit code that the end has earned. */
int rb_drain_exit_code(const struct rb_worker *w);

#endif
