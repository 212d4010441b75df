/* Unique jobs: while one with a key is in a worker's hands, waits for its retry, or is
 * parked, others with the same key are duplicates, and dropped. */
#ifndef RB_WORKER_UNIQUE_H
#define RB_WORKER_UNIQUE_H

struct rb_flight;

/* Takes the key, then goes to the gate; a duplicate ends here. */
void rb_unique_take(struct rb_flight *f);
/* The job is put aside until f->park_until: the key stays its own. */
void rb_unique_keep(struct rb_flight *f);
/* The job is over. Both are legal for jobs without a key. */
void rb_unique_drop(struct rb_flight *f);

#endif
