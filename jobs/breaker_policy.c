/* The `circuit_breaker:` of a definition, read. */
#include "jobs/breaker_policy.h"

#include "jobs/section.h"

#define HOUR_MS 3600000
#define DAY_MS (24 * HOUR_MS)
#define MAX_CALLS 1000000

void rb_breaker_policy_read(const struct rb_yaml *node, struct rb_breaker_policy *policy,
                            struct rb_errors *errors) {
    static const char *const known[] = {
        "failure_rate", "slow_call_rate", "slow_call",       "minimum_calls",
        "window",       "open_for",       "half_open_calls", NULL,
    };
    *policy = (struct rb_breaker_policy){
        .failure_rate = 50,
        .minimum_calls = 20,
        .window_ms = 60000,
        .open_for_ms = 30000,
        .half_open_calls = 3,
    };
    if (!rb_section_open(node, known, NULL, errors))
        return;
    policy->enabled = true;
    rb_section_percent(node, "failure_rate", &policy->failure_rate, errors);
    rb_section_int(node, "minimum_calls", 1, MAX_CALLS, &policy->minimum_calls, errors);
    rb_section_duration(node, "window", 1000, HOUR_MS, &policy->window_ms, errors);
    rb_section_duration(node, "open_for", 100, DAY_MS, &policy->open_for_ms, errors);
    rb_section_int(node, "half_open_calls", 1, 1000, &policy->half_open_calls, errors);
    const struct rb_yaml *rate = rb_yaml_get(node, "slow_call_rate");
    if (rb_yaml_get(node, "slow_call"))
        policy->slow_call_rate = 100;
    else if (rate)
        rb_yaml_key_error(rate, errors,
                          "slow_call_rate needs slow_call, e.g. slow_call: 2s");
    rb_section_percent(node, "slow_call_rate", &policy->slow_call_rate, errors);
    rb_section_duration(node, "slow_call", 1, HOUR_MS, &policy->slow_call_ms, errors);
}
