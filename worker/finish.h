/* From an answer to a terminal event that is out, and on to settling or burial; and the
 * other ways in which a flight leaves. */
#ifndef RB_WORKER_FINISH_H
#define RB_WORKER_FINISH_H

#include <stdint.h>

#include "config/status.h"
#include "jobs/event.h"

struct rb_answer;
struct rb_dead_fate;
struct rb_flight;
struct rb_worker;

/* The service answered, or the call failed, and there will be no other one. */
void rb_finish_answered(struct rb_flight *f, const struct rb_answer *answer);

/* The job has its result: JSON. origin says where it is from; NULL: from its own call. It
 * and data may lie in the worker's scratch. */
#define RB_FINISH_MISSING_MAX 4096 /* bytes of origin->missing */
void rb_finish_done(struct rb_flight *f, const struct rb_event_origin *origin,
                    struct rb_text data);

/* The job ends without a result. `sentence` goes to the browser; status is the service's,
 * or 0. A job that nobody can be told of is buried, so that it is not lost in silence. */
void rb_finish_failed(struct rb_flight *f, enum rb_failure failure, const char *sentence,
                      int status);
/* Likewise, when that is known from elsewhere; origin as above. */
void rb_finish_failed_from(struct rb_flight *f, const struct rb_event_origin *origin,
                           const struct rb_event_error *error);
/* Likewise, for a job that can never work: it is told and buried. */
void rb_finish_invalid(struct rb_flight *f, enum rb_failure failure,
                       const char *sentence);

/* What is noted of a job that is buried; borrowed from it. */
struct rb_dead_fate rb_finish_fate(const struct rb_flight *f);

/* The job ends and nobody is told: somebody else will tell its channel. */
void rb_finish_dropped(struct rb_flight *f, enum rb_failure failure);

/* Publish `started` and `retrying`, and do not wait for it. attempt is the one to come.
 */
void rb_finish_started(struct rb_flight *f);
void rb_finish_retrying(struct rb_flight *f, int attempt, int64_t delay_ms,
                        const struct rb_event_error *error);

/* Likewise of one of several calls: its answer, or that it is made again. data may lie in
 * the worker's scratch. */
void rb_finish_partial(struct rb_flight *f, struct rb_text part, int parts,
                       struct rb_text data);
void rb_finish_part_retrying(struct rb_flight *f, struct rb_text part, int attempt,
                             int64_t delay_ms, const struct rb_event_error *error);

/* "the service answered with status 503", written into `room`. */
#define RB_FINISH_SENTENCE 64
const char *rb_finish_sentence(int status, char room[RB_FINISH_SENTENCE]);

/* Puts the job aside until a time (unix ms), or back into its queue. */
void rb_finish_park(struct rb_flight *f, int64_t until_ms);
void rb_finish_give_back(struct rb_flight *f);
/* Gives a job that waits to other workers: its tries are not forgotten. */
void rb_finish_put_off(struct rb_flight *f);

/* Gives back the memory that a large result has taken in scratch. */
void rb_finish_trim(struct rb_worker *w);

/* What a mode's park, bury or give_back has come to; error is Redis's when RB_REFUSED. */
void rb_finish_confirmed(struct rb_flight *f, enum rb_status status, const char *error);

/* Says again what Redis did not take; see kept.h. */
void rb_finish_resume(struct rb_flight *f);

#endif
