/* The same question asked once: jobs of one service whose requests are the same share one
 * call, in this process and, by a lock in Redis that is renewed, over all of them; and
 * answers are kept there for as long as `cache:` of the definition says.
 *
 * A question has a leader, the flight that makes the call, and followers that wait for
 * what comes of it. When the leader leaves without an answer (its own time is up, it is
 * given back), a follower leads. Redis is a help here and no need: when it does not
 * answer, the call is made. */
#ifndef RB_WORKER_COALESCE_H
#define RB_WORKER_COALESCE_H

#include <stdbool.h>

#include "config/text.h"

struct rb_coalesce;
struct rb_event_error;
struct rb_event_origin;
struct rb_flight;
struct rb_worker;

/* NULL when out of memory. */
struct rb_coalesce *rb_coalesce_new(struct rb_worker *w);
/* Every flight must have left. */
void rb_coalesce_free(struct rb_coalesce *coalesce);

/* The flight is ready for its call: it goes to the gate, or it waits for an answer that
 * it need not ask for, or it has it. */
void rb_coalesce_enter(struct rb_flight *f);

/* A flight with a question has the result of its own call, which is kept and shared. An
 * origin that says what is missing makes it one that is not kept. */
void rb_coalesce_done(struct rb_flight *f, const struct rb_event_origin *origin,
                      struct rb_text data);

/* A flight with a question is about to fail. True: it does not yet, since there may be an
 * older result to give. */
bool rb_coalesce_failed(struct rb_flight *f, const struct rb_event_error *error);

/* The flight leaves without an outcome. Legal without a question. */
void rb_coalesce_leave(struct rb_flight *f);

/* It has waited for an answer for as long as it may. */
void rb_coalesce_overdue(struct rb_flight *f);

#endif
