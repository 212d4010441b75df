/* The `circuit_breaker:` of a definition: when a service counts as broken. */
#ifndef RB_JOBS_BREAKER_POLICY_H
#define RB_JOBS_BREAKER_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "config/yaml.h"

/* A plain value; all zero = no breaker. */
struct rb_breaker_policy {
    bool enabled;
    int64_t failure_rate;   /* percent of the window's calls */
    int64_t slow_call_rate; /* likewise; 0 = the time a call takes does not matter */
    int64_t slow_call_ms;
    int64_t minimum_calls; /* in the window, before rates mean anything */
    int64_t window_ms;
    int64_t open_for_ms;
    int64_t half_open_calls; /* that must all be well before it closes */
};

/* An empty mapping means: failure_rate 50, minimum_calls 20, window 60s, open_for 30s,
 * half_open_calls 3; slow calls do not matter; with `slow_call` alone slow_call_rate is
 * 100. Mistakes are added to `errors`. */
void rb_breaker_policy_read(const struct rb_yaml *node, struct rb_breaker_policy *policy,
                            struct rb_errors *errors);

#endif
