/* Jobs that wait for a time: one timer, set to when the next of them is due. */
#ifndef RB_WORKER_DUE_H
#define RB_WORKER_DUE_H

#include <stdbool.h>
#include <stdint.h>

struct rb_due;
struct rb_worker;

struct rb_due *rb_due_new(struct rb_worker *w);
void rb_due_free(struct rb_due *due);

/* Redis said when the next job is due (unix ms; -1: none is). */
void rb_due_heard(struct rb_worker *w, int64_t next_ms);
/* Is a job due in a moment? Then the queues are not empty yet: it may be one that was put
 * aside until its service has room. */
bool rb_due_is_soon(const struct rb_worker *w);
/* The answer to a mode's `promote`: how many jobs were queued, and when is the next. */
void rb_due_promoted(struct rb_worker *w, int64_t jobs, int64_t next_ms);

#endif
