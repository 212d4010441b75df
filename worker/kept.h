/* Flights about which Redis did not take a command: they wait for the link, or, where
 * Redis refused, for a moment that grows. */
#ifndef RB_WORKER_KEPT_H
#define RB_WORKER_KEPT_H

#include <stdbool.h>

struct rb_flight;
struct rb_kept;
struct rb_worker;

struct rb_kept *rb_kept_new(struct rb_worker *w);
void rb_kept_free(struct rb_kept *kept);

/* The flight's state becomes KEPT, and what it was about is said again later. */
void rb_kept_add(struct rb_flight *f);
/* Now: the link is up and the lease is held. */
void rb_kept_resume(struct rb_worker *w);
/* Redis took a command: the next wait is a short one again. */
void rb_kept_went_well(struct rb_worker *w);

#endif
