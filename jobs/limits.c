/* `concurrency:` and `rate_limit:`, read. */
#include "jobs/limits.h"

#include "jobs/section.h"
#include "jobs/yaml_value.h"

#define MAX_CONCURRENCY 100000
#define MAX_LIMIT 1000000
#define DAY_MS 86400000

void rb_concurrency_read(const struct rb_yaml *node, struct rb_concurrency *concurrency,
                         struct rb_errors *errors) {
    static const char *const known[] = {"limit", "scope", NULL};
    static const char *const needed[] = {"limit", NULL};
    *concurrency = (struct rb_concurrency){0};
    if (node->kind == RB_YAML_SCALAR) {
        rb_value_int(node, 1, MAX_CONCURRENCY, &concurrency->limit, errors);
        return;
    }
    if (!rb_section_open(node, known, needed, errors))
        return;
    rb_section_int(node, "limit", 1, MAX_CONCURRENCY, &concurrency->limit, errors);
    const struct rb_yaml *scope = rb_yaml_get(node, "scope");
    struct rb_text word;
    if (!scope || !rb_value_text(scope, &word, errors))
        return;
    concurrency->global = rb_text_is(word, "global");
    if (!concurrency->global && !rb_text_is(word, "process"))
        rb_yaml_error(scope, errors,
                      "expected process or global, got \"" RB_TEXT_FMT "\"",
                      RB_TEXT_ARG(word));
}

void rb_rate_limit_read(const struct rb_yaml *node, struct rb_rate_limit *rate,
                        struct rb_errors *errors) {
    static const char *const known[] = {"limit", "period", "burst", NULL};
    static const char *const needed[] = {"limit", NULL};
    *rate = (struct rb_rate_limit){.period_ms = 1000, .burst = 1};
    if (!rb_section_open(node, known, needed, errors))
        return;
    rb_section_int(node, "limit", 1, MAX_LIMIT, &rate->limit, errors);
    rb_section_duration(node, "period", 1, DAY_MS, &rate->period_ms, errors);
    rb_section_int(node, "burst", 1, MAX_LIMIT, &rate->burst, errors);
    /* Redis counts in microseconds. */
    if (rate->limit > rate->period_ms * 1000)
        rb_yaml_error(rb_yaml_get(node, "limit"), errors,
                      "expected at most one call a microsecond: %lld for this period",
                      (long long)(rate->period_ms * 1000));
}
