/* How many retries a service may see: a token bucket beside the calls (Finagle's
 * RetryBudget, gRPC A6's throttling), so that an outage does not multiply the load.
 *
 * Each first call adds a share of a retry, and each second some more; so in the long run
 * retries stay below percent of the calls + per_second. After a calm the bucket holds
 * what comes in ten seconds. When it is empty a retry can be promised for later: it takes
 * its token from what will have come by then. One process counts for itself. */
#ifndef RB_WORKER_RETRY_BUDGET_H
#define RB_WORKER_RETRY_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

/* A plain value. */
struct rb_retry_budget {
    int64_t percent, per_second;
    int64_t tokens; /* thousandths of a retry; below 0: promised already */
    int64_t at_ms;
};

void rb_retry_budget_init(struct rb_retry_budget *budget, int64_t percent,
                          int64_t per_second, int64_t now_ms);
/* New rules, after a reload; what was saved stays, as far as it fits. */
void rb_retry_budget_set(struct rb_retry_budget *budget, int64_t percent,
                         int64_t per_second, int64_t now_ms);

/* A call that is no retry is made. */
void rb_retry_budget_call(struct rb_retry_budget *budget, int64_t now_ms);

/* Takes one retry: true with the time to wait for it (0: none), false when it would be
 * more than max_wait_ms. */
bool rb_retry_budget_take(struct rb_retry_budget *budget, int64_t now_ms,
                          int64_t max_wait_ms, int64_t *wait_ms);

#endif
