/* The `cache:` of a definition: which answers are kept, and for whom. */
#ifndef RB_JOBS_CACHE_POLICY_H
#define RB_JOBS_CACHE_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "config/yaml.h"

/* A plain value; all zero = every job makes its own call. */
struct rb_cache_policy {
    int64_t ttl_ms;            /* a result is given again for so long; 0 = never */
    int64_t negative_ttl_ms;   /* likewise an answer with a status that is no success */
    int64_t stale_if_error_ms; /* a result is given for so long behind its ttl when the
                                  call fails (RFC 5861 §4) */
    bool coalesce; /* the same question in flight is asked once (a single flight) */
};

/* At least one of ttl, negative_ttl and coalesce must be given; stale_if_error needs ttl.
 * Mistakes are added to `errors`. */
void rb_cache_policy_read(const struct rb_yaml *node, struct rb_cache_policy *policy,
                          struct rb_errors *errors);

#endif
