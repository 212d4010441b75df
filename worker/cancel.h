/* Jobs that somebody cancelled, and services that are paused. Those in a queue are told
 * apart when they are claimed, in the same step; those in hand are heard of by pub/sub,
 * and what was missed there is read from Redis when the connection is back; what is told
 * sooner than a claim's answer comes is kept until then. */
#ifndef RB_WORKER_CANCEL_H
#define RB_WORKER_CANCEL_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>

struct rb_cancels;
struct rb_flight;
struct rb_worker;

/* NULL when out of memory. */
struct rb_cancels *rb_cancels_new(struct rb_worker *w);
void rb_cancels_free(struct rb_cancels *cancels);

/* The ids that came with the claim of this number, and what is paused then (arrays of
 * strings, borrowed), until NULL is said. */
void rb_cancels_claimed(struct rb_worker *w, uint64_t claim, const struct redisReply *ids,
                        const struct redisReply *paused);
/* Is this flight, which was just claimed, among them? */
bool rb_cancels_has(const struct rb_worker *w, const struct rb_flight *f);

/* Is its service paused? */
bool rb_cancels_pause(const struct rb_worker *w, const struct rb_flight *f);
/* For how long it is put aside then. */
int64_t rb_cancels_pause_ms(struct rb_worker *w);

/* The link for commands is of use again. */
void rb_cancels_resume(struct rb_worker *w);

/* Breaks off whatever the flight does, and ends it. */
void rb_cancels_end(struct rb_flight *f);

#endif
