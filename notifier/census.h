/* Who waits on a channel, counted over all processes of all notifiers: the question goes
 * out by pub/sub on a name that each of them hears, the answers come back on the asker's
 * own name. Redis tells how many heard the question, so that the asker knows when all
 * have answered. */
#ifndef RB_NOTIFIER_CENSUS_H
#define RB_NOTIFIER_CENSUS_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "config/status.h"
#include "notifier/feed.h"

/* Answers that have not come after so long are not waited for. */
#define RB_CENSUS_MS 200

struct rb_census;

/* id names this process among all. Hears and answers questions from now on. NULL when out
 * of memory. Borrows the feed, and is freed after it. */
struct rb_census *rb_census_new(struct ev_loop *loop, struct rb_feed *feed,
                                const char *id);
void rb_census_free(struct rb_census *census); /* NULL is legal */

/* complete: every process that heard the question has answered. */
typedef void rb_census_fn(void *ctx, size_t waiters, bool complete);

/* fn is called exactly once, from the loop; the one exception is being out of memory,
 * when it is called, with this process's own count, before this returns. */
void rb_census_ask(struct rb_census *census, struct rb_text channel, rb_census_fn *fn,
                   void *ctx);
/* The same, as a rule for the price of one question to Redis: where nobody is subscribed
 * to the channel, or this process alone, no other one is asked. What was counted when
 * `complete` is false is the least that there are. */
void rb_census_count(struct rb_census *census, struct rb_text channel, rb_census_fn *fn,
                     void *ctx);

#endif
