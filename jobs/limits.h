/* How much a service may be asked at once and in a time: `concurrency:` and `rate_limit:`
 * of a definition. */
#ifndef RB_JOBS_LIMITS_H
#define RB_JOBS_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "config/yaml.h"

/* A plain value; limit 0 = none. */
struct rb_concurrency {
    int64_t limit; /* calls at once … */
    bool global;   /* … of all workers together, else of each process */
};

/* `concurrency: 100` or `concurrency: {limit: 100, scope: process|global}`. Mistakes are
 * added to `errors`. */
void rb_concurrency_read(const struct rb_yaml *node, struct rb_concurrency *concurrency,
                         struct rb_errors *errors);

/* A plain value; limit 0 = none. In any stretch of time t at most burst + t × limit /
 * period calls start, counted over all workers. */
struct rb_rate_limit {
    int64_t limit;
    int64_t period_ms;
    int64_t burst; /* that may start at once after a calm; 1 = evenly spaced */
};

/* `rate_limit: {limit: 50, period: 1s, burst: 10}`; period defaults to 1s, burst to 1.
 * Mistakes are added to `errors`. */
void rb_rate_limit_read(const struct rb_yaml *node, struct rb_rate_limit *rate,
                        struct rb_errors *errors);

#endif
