/* The retry policy: what a definition may say, and what is decided by it. */
#include "jobs/retry_policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW 1000000
#define FAR (NOW + 100000000)

static const struct rb_retry_outcome refused = {RB_RETRY_CONNECT, 0, RB_RETRY_NO_WISH};

/* Reads `retry: <yaml>`; returns how many mistakes there were. */
static size_t read_policy(const char *yaml, struct rb_retry_policy *policy,
                          struct rb_errors *errors) {
    struct rb_yaml *root = NULL;
    *errors = (struct rb_errors){0};
    assert_int_equal(rb_yaml_parse("s.yaml", rb_text_of(yaml), &root, errors), RB_OK);
    rb_retry_policy_read(rb_yaml_get(root, "retry"), policy, errors);
    rb_yaml_free(root);
    return errors->count;
}

static struct rb_retry_policy policy_of(const char *yaml) {
    struct rb_retry_policy policy;
    struct rb_errors errors;
    if (read_policy(yaml, &policy, &errors) != 0)
        fail_msg("%s: %s", yaml, errors.kept[0].text);
    return policy;
}

static enum rb_retry_verdict ask(const struct rb_retry_policy *policy,
                                 enum rb_retry_cause cause, int status) {
    int64_t delay_ms;
    const struct rb_retry_outcome outcome = {cause, status, RB_RETRY_NO_WISH};
    return rb_retry_decide(policy, 1, &outcome, NOW, FAR, 0, &delay_ms);
}

static void no_retry_without_a_policy(void **state) {
    (void)state;
    struct rb_retry_policy policy;
    rb_retry_policy_init(&policy);
    assert_int_equal(ask(&policy, RB_RETRY_CONNECT, 0), RB_RETRY_NOT_NAMED);
    assert_int_equal(policy.max_attempts, 1);
}

static void the_defaults_of_an_empty_policy(void **state) {
    (void)state;
    struct rb_retry_policy policy = policy_of("retry: {}");
    assert_int_equal(policy.max_attempts, 3);
    assert_int_equal(policy.base_ms, 200);
    assert_int_equal(policy.max_ms, 5000);
    assert_int_equal(policy.max_retry_after_ms, 10000);
    assert_int_equal(policy.budget.percent, 20);
    assert_int_equal(policy.budget.per_second, 10);
    assert_int_equal(ask(&policy, RB_RETRY_CONNECT, 0), RB_RETRY_AGAIN);
    assert_int_equal(ask(&policy, RB_RETRY_TIMEOUT, 0), RB_RETRY_AGAIN);
    assert_int_equal(ask(&policy, RB_RETRY_RESET, 0), RB_RETRY_AGAIN);
    assert_int_equal(ask(&policy, RB_RETRY_TLS, 0), RB_RETRY_NOT_NAMED);
    assert_int_equal(ask(&policy, RB_RETRY_STATUS, 429), RB_RETRY_AGAIN);
    assert_int_equal(ask(&policy, RB_RETRY_STATUS, 500), RB_RETRY_NOT_NAMED);
    assert_int_equal(ask(&policy, RB_RETRY_STATUS, 503), RB_RETRY_AGAIN);
    assert_int_equal(ask(&policy, RB_RETRY_CIRCUIT_OPEN, 0), RB_RETRY_NOT_NAMED);
    assert_int_equal(ask(&policy, RB_RETRY_NEVER, 0), RB_RETRY_NOT_NAMED);
}

static void only_what_is_named(void **state) {
    (void)state;
    struct rb_retry_policy policy = policy_of("retry: {on: [tls, 5xx, 404, \"202\"]}");
    assert_int_equal(ask(&policy, RB_RETRY_TLS, 0), RB_RETRY_AGAIN);
    assert_int_equal(ask(&policy, RB_RETRY_CONNECT, 0), RB_RETRY_NOT_NAMED);
    assert_int_equal(ask(&policy, RB_RETRY_STATUS, 202), RB_RETRY_AGAIN);
    assert_int_equal(ask(&policy, RB_RETRY_STATUS, 404), RB_RETRY_AGAIN);
    assert_int_equal(ask(&policy, RB_RETRY_STATUS, 405), RB_RETRY_NOT_NAMED);
    assert_int_equal(ask(&policy, RB_RETRY_STATUS, 499), RB_RETRY_NOT_NAMED);
    assert_int_equal(ask(&policy, RB_RETRY_STATUS, 500), RB_RETRY_AGAIN);
    assert_int_equal(ask(&policy, RB_RETRY_STATUS, 599), RB_RETRY_AGAIN);
    assert_int_equal(ask(&policy, RB_RETRY_STATUS, 600), RB_RETRY_NOT_NAMED);
    assert_int_equal(ask(&policy, RB_RETRY_STATUS, 0), RB_RETRY_NOT_NAMED);
    policy = policy_of("retry: {on: [circuit_open]}");
    assert_int_equal(ask(&policy, RB_RETRY_CIRCUIT_OPEN, 0), RB_RETRY_AGAIN);
    policy = policy_of("retry: {on: [connect]}");
    assert_int_equal(ask(&policy, RB_RETRY_STATUS, 503), RB_RETRY_NOT_NAMED);
}

static void the_jitter_is_full(void **state) {
    (void)state;
    struct rb_retry_policy policy =
        policy_of("retry: {max_attempts: 9, backoff: {base: 100ms, max: 1s}}");
    static const int64_t ceilings[] = {100, 200, 400, 800, 1000, 1000, 1000, 1000};
    for (int attempts = 1; attempts <= 8; attempts++) {
        int64_t least, half, most;
        assert_int_equal(
            rb_retry_decide(&policy, attempts, &refused, NOW, FAR, 0, &least),
            RB_RETRY_AGAIN);
        assert_int_equal(
            rb_retry_decide(&policy, attempts, &refused, NOW, FAR, 1U << 31, &half),
            RB_RETRY_AGAIN);
        assert_int_equal(
            rb_retry_decide(&policy, attempts, &refused, NOW, FAR, UINT32_MAX, &most),
            RB_RETRY_AGAIN);
        assert_int_equal(least, 0);
        assert_int_equal(half, ceilings[attempts - 1] / 2);
        assert_int_equal(most, ceilings[attempts - 1]);
    }
    int64_t delay_ms;
    assert_int_equal(rb_retry_decide(&policy, 9, &refused, NOW, FAR, 0, &delay_ms),
                     RB_RETRY_SPENT);
}

static void the_largest_values_do_not_overflow(void **state) {
    (void)state;
    struct rb_retry_policy policy = policy_of(
        "retry: {max_attempts: 100, backoff: {base: 1h, max: 1d}, max_retry_after: 1d}");
    int64_t delay_ms;
    assert_int_equal(
        rb_retry_decide(&policy, 99, &refused, NOW, INT64_MAX, UINT32_MAX, &delay_ms),
        RB_RETRY_AGAIN);
    assert_int_equal(delay_ms, 86400000);
    const struct rb_retry_outcome wish = {RB_RETRY_STATUS, 429, 86400000};
    assert_int_equal(
        rb_retry_decide(&policy, 1, &wish, NOW, INT64_MAX, UINT32_MAX, &delay_ms),
        RB_RETRY_AGAIN);
    assert_int_equal(delay_ms, 86400000 + 3600000);
}

static void never_past_the_deadline(void **state) {
    (void)state;
    struct rb_retry_policy policy =
        policy_of("retry: {backoff: {base: 100ms, max: 100ms}}");
    int64_t delay_ms;
    assert_int_equal(
        rb_retry_decide(&policy, 1, &refused, NOW, NOW + 101, UINT32_MAX, &delay_ms),
        RB_RETRY_AGAIN);
    assert_int_equal(delay_ms, 100);
    assert_int_equal(
        rb_retry_decide(&policy, 1, &refused, NOW, NOW + 100, UINT32_MAX, &delay_ms),
        RB_RETRY_TOO_LATE);
    assert_int_equal(rb_retry_decide(&policy, 1, &refused, NOW, NOW, 0, &delay_ms),
                     RB_RETRY_TOO_LATE);
    assert_int_equal(rb_retry_decide(&policy, 1, &refused, NOW, NOW - 5, 0, &delay_ms),
                     RB_RETRY_TOO_LATE);
}

static void what_the_service_asks_for(void **state) {
    (void)state;
    struct rb_retry_policy policy =
        policy_of("retry: {backoff: {base: 100ms, max: 5s}, max_retry_after: 3s}");
    struct rb_retry_outcome wish = {RB_RETRY_STATUS, 429, 2000};
    int64_t delay_ms;
    assert_int_equal(rb_retry_decide(&policy, 1, &wish, NOW, FAR, 0, &delay_ms),
                     RB_RETRY_AGAIN);
    assert_int_equal(delay_ms, 2000);
    assert_int_equal(rb_retry_decide(&policy, 1, &wish, NOW, FAR, UINT32_MAX, &delay_ms),
                     RB_RETRY_AGAIN);
    assert_int_equal(delay_ms, 2100);
    wish.retry_after_ms = 3000;
    assert_int_equal(rb_retry_decide(&policy, 1, &wish, NOW, FAR, 0, &delay_ms),
                     RB_RETRY_AGAIN);
    wish.retry_after_ms = 3001;
    assert_int_equal(rb_retry_decide(&policy, 1, &wish, NOW, FAR, 0, &delay_ms),
                     RB_RETRY_TOO_LONG);
    /* "At once" does not switch the backoff off. */
    wish.retry_after_ms = 0;
    assert_int_equal(rb_retry_decide(&policy, 2, &wish, NOW, FAR, UINT32_MAX, &delay_ms),
                     RB_RETRY_AGAIN);
    assert_int_equal(delay_ms, 200);
}

static int64_t after(const char *field) {
    return rb_retry_after_ms(rb_text_of(field), 784111777);
}

static void retry_after_is_seconds_or_a_date(void **state) {
    (void)state;
    assert_int_equal(after("0"), 0);
    assert_int_equal(after("120"), 120000);
    assert_int_equal(after(" 7\t"), 7000);
    assert_int_equal(after("Sun, 06 Nov 1994 08:49:47 GMT"), 10000);
    assert_int_equal(after("Sunday, 06-Nov-94 08:50:37 GMT"), 60000);
    assert_int_equal(after("Sun Nov  6 08:49:38 1994"), 1000);
    assert_int_equal(after("Sun, 06 Nov 1994 08:49:37 GMT"), 0);
    assert_int_equal(after("Sun, 06 Nov 1993 08:49:37 GMT"), 0);
    assert_true(after("99999999999999999999999999") > INT64_C(86400000) * 365);
    assert_int_equal(after(""), RB_RETRY_NO_WISH);
    assert_int_equal(after("-1"), RB_RETRY_NO_WISH);
    assert_int_equal(after("1.5"), RB_RETRY_NO_WISH);
    assert_int_equal(after("5s"), RB_RETRY_NO_WISH);
    assert_int_equal(after("soon"), RB_RETRY_NO_WISH);
}

static void mistakes_have_their_place(void **state) {
    (void)state;
    static const struct {
        const char *yaml;
        int line, column;
        const char *says;
    } wrong[] = {
        {"retry: 3", 1, 8, "expected a mapping, got a string"},
        {"retry:\n  tries: 3", 2, 3, "unknown key \"tries\""},
        {"retry: {max_attempts: 0}", 1, 23, "a whole number from 1 to 100, got \"0\""},
        {"retry: {max_attempts: 101}", 1, 23, "from 1 to 100"},
        {"retry: {max_attempts: 2.5}", 1, 23, "a whole number"},
        {"retry: {on: timeout}", 1, 13, "expected a list of connect"},
        {"retry: {on: []}", 1, 13, "got an empty one"},
        {"retry: {on: [conect]}", 1, 14, "expected connect, timeout"},
        {"retry: {on: [199]}", 1, 14, "from 200 to 599, got \"199\""},
        {"retry: {on: [4xx]}", 1, 14, "got \"4xx\""},
        {"retry: {on: [[429]]}", 1, 14, "got a list"},
        {"retry: {backoff: 1s}", 1, 18, "expected a mapping"},
        {"retry: {backoff: {base: 0}}", 1, 25, "a duration from 1ms to 1h"},
        {"retry: {backoff: {base: 2}}", 1, 25, "a duration"},
        {"retry: {backoff: {base: 2s, max: 1s}}", 1, 34, "from 2s to 1d"},
        {"retry: {backoff: {cap: 2s}}", 1, 19, "unknown key \"cap\""},
        {"retry: {max_retry_after: [1s]}", 1, 26, "got a list"},
        {"retry: {budget: {percent: 0}}", 1, 27, "a percentage from 1 to 100"},
        {"retry: {budget: {percent: 101%}}", 1, 27, "a percentage from 1 to 100"},
        {"retry: {budget: {per_second: 0}}", 1, 30, "from 1 to 100000"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct rb_retry_policy policy;
        struct rb_errors errors;
        if (read_policy(wrong[i].yaml, &policy, &errors) != 1)
            fail_msg("%s: %zu mistakes", wrong[i].yaml, errors.count);
        const struct rb_error *e = &errors.kept[0];
        if (e->line != wrong[i].line || e->column != wrong[i].column ||
            !strstr(e->text, wrong[i].says))
            fail_msg("%s: %d:%d: %s", wrong[i].yaml, e->line, e->column, e->text);
    }
}

static void a_base_above_the_usual_maximum(void **state) {
    (void)state;
    struct rb_retry_policy policy = policy_of("retry: {backoff: {base: 30s}}");
    assert_int_equal(policy.max_ms, 30000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_retry_without_a_policy),
        cmocka_unit_test(the_defaults_of_an_empty_policy),
        cmocka_unit_test(only_what_is_named),
        cmocka_unit_test(the_jitter_is_full),
        cmocka_unit_test(the_largest_values_do_not_overflow),
        cmocka_unit_test(never_past_the_deadline),
        cmocka_unit_test(what_the_service_asks_for),
        cmocka_unit_test(retry_after_is_seconds_or_a_date),
        cmocka_unit_test(mistakes_have_their_place),
        cmocka_unit_test(a_base_above_the_usual_maximum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
