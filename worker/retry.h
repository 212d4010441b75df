/* Calling again: by the policy of the definition, within the budget of the service and
 * the time of the job. A short wait is spent in memory under the lease; a long one in
 * Redis, where it survives this worker. */
#ifndef RB_WORKER_RETRY_H
#define RB_WORKER_RETRY_H

#include <stdbool.h>

#include "jobs/retry_policy.h"

struct rb_answer;
struct rb_flight;

/* The call failed so. True: there will be another, the flight waits for it or is parked;
 * false: nothing was done. */
bool rb_retry_again(struct rb_flight *f, const struct rb_answer *answer,
                    const struct rb_retry_outcome *outcome);

/* The breaker is open: waits for it where the policy says so, else the job fails. */
void rb_retry_circuit_open(struct rb_flight *f);

/* The flight's wait is over: it goes to the gate, or its time is up. */
void rb_retry_woken(struct rb_flight *f);

#endif
