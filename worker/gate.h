/* The gate of a service: when a call of it may start in this process. In its way may be
 * the circuit breaker, a pause that the service asked for, the number of calls at once
 * (here, or over all workers) and a rate limit; a flight that must wait stands in line,
 * and one for which the line is too long is parked. Nothing here holds up another
 * service. */
#ifndef RB_WORKER_GATE_H
#define RB_WORKER_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "jobs/retry_policy.h"

struct rb_backend;
struct rb_flight;
struct rb_gate;
struct rb_worker;

/* NULL when out of memory. Name and backend are borrowed. Must outlive the worker's link.
 */
struct rb_gate *rb_gate_new(struct rb_worker *w, struct rb_backend *backend,
                            const char *service);
void rb_gate_free(struct rb_gate *gate);

/* The flight wants to call: it is let through (rb_attempt_start), waits, is parked, or is
 * refused since the breaker is open. */
void rb_gate_enter(struct rb_flight *f);

/* The call of a flight that was let through has ended; outcome NULL: with success. */
void rb_gate_leave(struct rb_flight *f, const struct rb_retry_outcome *outcome,
                   int64_t took_us);

/* The flight makes no call after all, wherever it stands: legal in any state. */
void rb_gate_withdraw(struct rb_flight *f);

/* Is it a rate limit, or a pause that the service asked for, that holds calls up? */
bool rb_gate_is_limited(const struct rb_flight *f);

/* May the failed call be made again, as far as the service's budget goes? With true,
 * *wait_ms says not before when. */
bool rb_gate_take_retry(struct rb_flight *f, int64_t max_wait_ms, int64_t *wait_ms);

/* How long the breaker refuses for certain. */
int64_t rb_gate_open_ms(const struct rb_flight *f);

#endif
