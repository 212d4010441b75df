/* Cancelling a job by its id, wherever it is: in a queue, waiting for its time, or in a
 * worker's hands. The worker that has it, or claims it next, breaks it off and publishes
 * its terminal event, `failed` with `cancelled`. */
#ifndef RB_JOBS_CANCEL_H
#define RB_JOBS_CANCEL_H

#include "jobs/keys.h"
#include "jobs/link.h"

/* How many notes of cancelled jobs are kept, and for how long. */
#define RB_CANCEL_KEPT "100000"
#define RB_CANCEL_KEPT_MS "604800000" /* 7 days */

struct rb_cancelled {
    enum rb_status status;
    const char *error; /* Redis's words when RB_REFUSED, else "" */
    long long workers; /* how many were told */
    size_t hastened;   /* jobs that waited for a time, and are now queued to end */
};
typedef void rb_cancel_fn(void *ctx, const struct rb_cancelled *cancelled);

/* First the note, from which on the job is not begun any more; then those that wait for a
 * time are looked through, so that its end does not wait as well. id must be a name.
 * fn is called once, from the loop unless there is no memory. */
void rb_cancel(struct rb_link *link, const struct rb_keys *keys, struct rb_text id,
               rb_cancel_fn *fn, void *ctx);

#endif
