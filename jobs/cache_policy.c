/* The `cache:` of a definition, read. */
#include "jobs/cache_policy.h"

#include "jobs/section.h"

#define MAX_MS (INT64_C(30) * 86400000)

void rb_cache_policy_read(const struct rb_yaml *node, struct rb_cache_policy *policy,
                          struct rb_errors *errors) {
    static const char *const known[] = {
        "ttl", "negative_ttl", "stale_if_error", "coalesce", NULL,
    };
    *policy = (struct rb_cache_policy){0};
    if (!rb_section_open(node, known, NULL, errors))
        return;
    rb_section_duration(node, "ttl", 1, MAX_MS, &policy->ttl_ms, errors);
    rb_section_duration(node, "negative_ttl", 1, MAX_MS, &policy->negative_ttl_ms,
                        errors);
    rb_section_duration(node, "stale_if_error", 1, MAX_MS, &policy->stale_if_error_ms,
                        errors);
    rb_section_bool(node, "coalesce", &policy->coalesce, errors);
    const struct rb_yaml *stale = rb_yaml_get(node, "stale_if_error");
    if (stale && !rb_yaml_get(node, "ttl"))
        rb_yaml_key_error(stale, errors,
                          "stale_if_error needs ttl: what is not kept cannot be given");
    if (!rb_yaml_get(node, "ttl") && !rb_yaml_get(node, "negative_ttl") &&
        !rb_yaml_get(node, "coalesce"))
        rb_yaml_key_error(node, errors, "expected ttl, negative_ttl or coalesce");
}
