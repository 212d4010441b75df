/* concurrency, rate_limit and cache: what a definition may say. */
#include "jobs/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "jobs/cache_policy.h"

static struct rb_errors errors;

static struct rb_yaml *parse(const char *yaml) {
    struct rb_yaml *root = NULL;
    errors = (struct rb_errors){0};
    assert_int_equal(rb_yaml_parse("s.yaml", rb_text_of(yaml), &root, &errors), RB_OK);
    return root;
}

static struct rb_concurrency concurrency(const char *yaml) {
    struct rb_yaml *root = parse(yaml);
    struct rb_concurrency out;
    rb_concurrency_read(rb_yaml_get(root, "c"), &out, &errors);
    rb_yaml_free(root);
    return out;
}

static struct rb_rate_limit rate(const char *yaml) {
    struct rb_yaml *root = parse(yaml);
    struct rb_rate_limit out;
    rb_rate_limit_read(rb_yaml_get(root, "r"), &out, &errors);
    rb_yaml_free(root);
    return out;
}

static struct rb_cache_policy cache(const char *yaml) {
    struct rb_yaml *root = parse(yaml);
    struct rb_cache_policy out;
    rb_cache_policy_read(rb_yaml_get(root, "c"), &out, &errors);
    rb_yaml_free(root);
    return out;
}

static void refused(const char *yaml, const char *says, int line, int column) {
    if (errors.count != 1)
        fail_msg("%s: %zu mistakes: %s", yaml, errors.count, errors.kept[0].text);
    const struct rb_error *e = &errors.kept[0];
    if (!strstr(e->text, says) || e->line != line || e->column != column)
        fail_msg("%s: %d:%d: %s", yaml, e->line, e->column, e->text);
}

static void concurrency_is_a_number_or_a_mapping(void **state) {
    (void)state;
    struct rb_concurrency c = concurrency("c: 100");
    assert_int_equal(errors.count, 0);
    assert_int_equal(c.limit, 100);
    assert_false(c.global);
    c = concurrency("c: {limit: 5}");
    assert_int_equal(c.limit, 5);
    assert_false(c.global);
    c = concurrency("c: {limit: 5, scope: global}");
    assert_int_equal(errors.count, 0);
    assert_true(c.global);
    c = concurrency("c: {limit: 5, scope: process}");
    assert_int_equal(errors.count, 0);
    assert_false(c.global);
    concurrency("c: 0");
    refused("0", "a whole number from 1 to 100000", 1, 4);
    concurrency("c: many");
    refused("many", "a whole number", 1, 4);
    concurrency("c: [1]");
    refused("[1]", "expected a mapping, got a list", 1, 4);
    concurrency("c:\n  scope: global");
    refused("no limit", "limit is missing", 1, 1);
    concurrency("c: {limit: 5, scope: worker}");
    refused("worker", "expected process or global", 1, 22);
    concurrency("c: {limit: 5, scop: global}");
    refused("scop", "did you mean \"scope\"", 1, 15);
}

static void rate_limits(void **state) {
    (void)state;
    struct rb_rate_limit r = rate("r: {limit: 50, period: 1m, burst: 10}");
    assert_int_equal(errors.count, 0);
    assert_int_equal(r.limit, 50);
    assert_int_equal(r.period_ms, 60000);
    assert_int_equal(r.burst, 10);
    r = rate("r: {limit: 7}");
    assert_int_equal(errors.count, 0);
    assert_int_equal(r.period_ms, 1000);
    assert_int_equal(r.burst, 1);
    rate("r: 50");
    refused("50", "expected a mapping", 1, 4);
    rate("r: {period: 1s}");
    refused("no limit", "limit is missing", 1, 1);
    rate("r: {limit: 0}");
    refused("0", "from 1 to 1000000", 1, 12);
    rate("r: {limit: 5, burst: 0}");
    refused("burst", "from 1 to", 1, 22);
    rate("r: {limit: 5, period: 1}");
    refused("period", "a duration from 1ms to 1d", 1, 23);
    rate("r: {limit: 5, per: 1s}");
    refused("per", "unknown key", 1, 15);
    rate("r: {limit: 1000, period: 1ms}");
    assert_int_equal(errors.count, 0);
    rate("r: {limit: 1001, period: 1ms}");
    refused("1001", "at most one call a microsecond: 1000", 1, 12);
}

static void caches(void **state) {
    (void)state;
    struct rb_cache_policy c =
        cache("c: {ttl: 5s, negative_ttl: 1s, stale_if_error: 1h, coalesce: true}");
    assert_int_equal(errors.count, 0);
    assert_int_equal(c.ttl_ms, 5000);
    assert_int_equal(c.negative_ttl_ms, 1000);
    assert_int_equal(c.stale_if_error_ms, 3600000);
    assert_true(c.coalesce);
    c = cache("c: {coalesce: true}");
    assert_int_equal(errors.count, 0);
    assert_int_equal(c.ttl_ms, 0);
    cache("c: {}");
    refused("{}", "expected ttl, negative_ttl or coalesce", 1, 1);
    cache("c: 5s");
    refused("5s", "expected a mapping", 1, 4);
    cache("c: {ttl: 0}");
    refused("0", "a duration from 1ms to 30d", 1, 10);
    cache("c: {coalesce: true, stale_if_error: 1h}");
    refused("stale", "stale_if_error needs ttl", 1, 21);
    cache("c: {ttl: 5s, coalesce: maybe}");
    refused("maybe", "true or false", 1, 24);
    cache("c: {tll: 5s, coalesce: true}");
    refused("tll", "did you mean \"ttl\"", 1, 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(concurrency_is_a_number_or_a_mapping),
        cmocka_unit_test(rate_limits),
        cmocka_unit_test(caches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
