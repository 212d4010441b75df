/* From an answer to a terminal event that is out, and on to settling or burial; and the
 * other ways in which a flight leaves. */
#ifndef RB_WORKER_FINISH_H
#define RB_WORKER_FINISH_H

#include <stdint.h>

#include "config/status.h"
#include "jobs/event.h"

struct rb_answer;
struct rb_flight;
struct rb_worker;

/* The service answered, or the call failed (rb_call_fn; ctx is the flight). */
void rb_finish_on_answer(void *ctx, const struct rb_answer *answer);

/* The job ends without a result. `sentence` goes to the browser; status is the service's,
 * or 0. A job that nobody can be told of is buried, so that it is not lost in silence. */
void rb_finish_failed(struct rb_flight *f, enum rb_failure failure, const char *sentence,
                      int status);
/* Likewise, for a job that can never work: it is told and buried. */
void rb_finish_invalid(struct rb_flight *f, enum rb_failure failure,
                       const char *sentence);

/* Publishes `started`, and does not wait for it. */
void rb_finish_started(struct rb_flight *f);

/* Puts the job aside until a time (unix ms), or back into its queue. */
void rb_finish_park(struct rb_flight *f, int64_t until_ms);
void rb_finish_give_back(struct rb_flight *f);

/* What a mode's park, bury or give_back has come to; error is Redis's when RB_REFUSED. */
void rb_finish_confirmed(struct rb_flight *f, enum rb_status status, const char *error);

/* Says again what Redis did not take; see kept.h. */
void rb_finish_resume(struct rb_flight *f);

#endif
