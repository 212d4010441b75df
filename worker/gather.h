/* What came of the calls of one job that asks several services: who has answered, whether
 * that is enough, and the result that is made of it. Pure: no time, no calls. */
#ifndef RB_WORKER_GATHER_H
#define RB_WORKER_GATHER_H

#include <stddef.h>
#include <stdint.h>

#include "config/buffer.h"
#include "config/status.h"
#include "jobs/definition.h"
#include "jobs/event.h"

enum rb_gather_verdict {
    RB_GATHER_WAIT,   /* for more answers */
    RB_GATHER_DONE,   /* what is needed is there */
    RB_GATHER_FAILED, /* it can't be reached any more */
};

struct rb_gather;

/* need: how many answers are enough, or RB_NEED_SETTLED: all have ended and one answered.
 * The legs are borrowed for their names. NULL when out of memory. */
struct rb_gather *rb_gather_new(const struct rb_leg *legs, size_t count, int64_t need);
void rb_gather_free(struct rb_gather *gather);

/* Each leg ends once, by one of these. data is JSON, and is copied; so is the error's
 * message. RB_NOMEM: it has not ended. */
RB_MUST_CHECK enum rb_status rb_gather_answered(struct rb_gather *gather, size_t leg,
                                                struct rb_text data);
RB_MUST_CHECK enum rb_status rb_gather_failed(struct rb_gather *gather, size_t leg,
                                              const struct rb_event_error *error);
bool rb_gather_ended(const struct rb_gather *gather, size_t leg);

enum rb_gather_verdict rb_gather_verdict(const struct rb_gather *gather);
/* Nothing more is waited for: DONE when there is an answer at all. */
enum rb_gather_verdict rb_gather_close(const struct rb_gather *gather);

/* The error that came first; NULL when none did. Valid until _free. */
const struct rb_event_error *rb_gather_error(const struct rb_gather *gather);

/* {"<leg>": data or {"error": …}, …} of those that have ended, in the definition's order;
 * and ["<leg>", …] of those that have not, nothing at all when all have. */
void rb_gather_write(const struct rb_gather *gather, struct rb_buffer *out);
void rb_gather_write_missing(const struct rb_gather *gather, struct rb_buffer *out);

#endif
