/* What a definition says about failing, limits, keeping and times; each policy is read in
 * the file of its own name. */
#include "jobs/definition_section.h"
#include "jobs/schedule.h"
#include "jobs/yaml_value.h"

#define MAX_QUEUE_TIME_MS (INT64_C(30) * 86400000)

void rb_read_retry(struct rb_reading *r, const struct rb_yaml *node) {
    if (node)
        rb_retry_policy_read(node, &r->definition->retry, r->errors);
    else
        rb_retry_policy_init(&r->definition->retry);
}

void rb_read_concurrency(struct rb_reading *r, const struct rb_yaml *node) {
    if (node)
        rb_concurrency_read(node, &r->definition->concurrency, r->errors);
}

void rb_read_rate_limit(struct rb_reading *r, const struct rb_yaml *node) {
    if (node)
        rb_rate_limit_read(node, &r->definition->rate_limit, r->errors);
}

void rb_read_circuit_breaker(struct rb_reading *r, const struct rb_yaml *node) {
    if (node)
        rb_breaker_policy_read(node, &r->definition->circuit_breaker, r->errors);
}

void rb_read_cache(struct rb_reading *r, const struct rb_yaml *node) {
    if (node)
        rb_cache_policy_read(node, &r->definition->cache, r->errors);
}

void rb_read_max_queue_time(struct rb_reading *r, const struct rb_yaml *node) {
    if (node)
        rb_value_duration(node, 1, MAX_QUEUE_TIME_MS, &r->definition->max_queue_time_ms,
                          r->errors);
}

void rb_read_schedule(struct rb_reading *r, const struct rb_yaml *node) {
    if (node)
        r->definition->schedule =
            rb_schedule_read(r->root, r->definition->params, r->errors);
}

/* time_zone and schedule_params are read with the schedule. */
void rb_read_of_schedule(struct rb_reading *r, const struct rb_yaml *node) {
    if (node && !rb_yaml_get(r->root, "schedule"))
        rb_yaml_key_error(node, r->errors, "\"" RB_TEXT_FMT "\" stands without schedule",
                          RB_TEXT_ARG(node->key));
}
