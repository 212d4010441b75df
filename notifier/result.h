/* GET /wait/<channel>?result=<job>: a result that is too large for its channel. The event
 * `done` has the link; who may hear the channel may read it. */
#ifndef RB_NOTIFIER_RESULT_H
#define RB_NOTIFIER_RESULT_H

#include <stdbool.h>

#include "notifier/exchange.h"
#include "notifier/wait.h"

/* Is that what the request asks for? */
bool rb_result_is_asked(const struct rb_exchange *exchange, const struct rb_wait *wait);

/* Answers it; the wait is admitted. */
void rb_result_answer(struct rb_exchange *exchange, const struct rb_wait *wait);

#endif
