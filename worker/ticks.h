/* Recurring jobs: one timer, set to the next time that any definition's `schedule` names.
 * Every worker sees it come, and the first to tell Redis queues the job. */
#ifndef RB_WORKER_TICKS_H
#define RB_WORKER_TICKS_H

struct rb_ticks;
struct rb_worker;

struct rb_ticks *rb_ticks_new(struct rb_worker *w);
void rb_ticks_free(struct rb_ticks *ticks);

/* Redis can be reached and its time is known, or there are new definitions: queues what
 * is due, and waits for what is next. Times of the last minute that nobody has queued,
 * since all workers were restarting, are made up for. */
void rb_ticks_run(struct rb_worker *w);

#endif
