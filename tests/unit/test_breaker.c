/* The circuit breaker: every way between its three states, and what its definition may
 * say. */
#include "worker/breaker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW 1000000

static const struct rb_breaker_policy policy = {
    .enabled = true,
    .failure_rate = 50,
    .minimum_calls = 4,
    .window_ms = 10000,
    .open_for_ms = 5000,
    .half_open_calls = 2,
};

struct told {
    int count;
    struct rb_breaker_change last;
};

static void on_change(void *ctx, const struct rb_breaker_change *change) {
    struct told *told = ctx;
    told->count++;
    told->last = *change;
}

static bool one_call(struct rb_breaker *b, const struct rb_breaker_policy *p, int64_t at,
                     enum rb_breaker_outcome outcome, int64_t took_ms) {
    uint32_t ticket;
    if (!rb_breaker_admit(b, p, at, &ticket))
        return false;
    rb_breaker_settle(b, p, at, ticket, outcome, took_ms);
    return true;
}

static void fail_times(struct rb_breaker *b, int64_t at, int times) {
    for (int i = 0; i < times; i++)
        assert_true(one_call(b, &policy, at, RB_BREAKER_FAILURE, 1));
}

static void opens_at_its_rate(void **state) {
    (void)state;
    struct told told = {0};
    struct rb_breaker b;
    rb_breaker_init(&b, on_change, &told);
    fail_times(&b, NOW, 3);
    assert_int_equal(b.state, RB_BREAKER_CLOSED);
    /* A success may be the call that makes the minimum. */
    assert_true(one_call(&b, &policy, NOW, RB_BREAKER_SUCCESS, 1));
    assert_int_equal(b.state, RB_BREAKER_OPEN);
    assert_int_equal(told.count, 1);
    assert_int_equal(told.last.from, RB_BREAKER_CLOSED);
    assert_int_equal(told.last.to, RB_BREAKER_OPEN);
    assert_int_equal(told.last.calls, 4);
    assert_int_equal(told.last.failures, 3);
    assert_int_equal(rb_breaker_wait_ms(&b, NOW), 5000);
}

static void stays_closed_below_its_rate(void **state) {
    (void)state;
    struct rb_breaker b;
    rb_breaker_init(&b, NULL, NULL);
    for (int i = 0; i < 1000; i++) {
        assert_true(one_call(&b, &policy, NOW, RB_BREAKER_SUCCESS, 1));
        assert_true(one_call(&b, &policy, NOW, RB_BREAKER_SUCCESS, 1));
        assert_true(one_call(&b, &policy, NOW, RB_BREAKER_FAILURE, 1));
    }
    assert_int_equal(b.state, RB_BREAKER_CLOSED);
}

static void old_failures_leave_the_window(void **state) {
    (void)state;
    struct rb_breaker b;
    rb_breaker_init(&b, NULL, NULL);
    fail_times(&b, NOW, 3);
    fail_times(&b, NOW + 10000, 3);
    assert_int_equal(b.state, RB_BREAKER_CLOSED);
    fail_times(&b, NOW + 19000, 1);
    assert_int_equal(b.state, RB_BREAKER_OPEN);
}

static void what_does_not_matter_is_not_counted(void **state) {
    (void)state;
    struct rb_breaker b;
    rb_breaker_init(&b, NULL, NULL);
    fail_times(&b, NOW, 3);
    for (int i = 0; i < 100; i++)
        assert_true(one_call(&b, &policy, NOW, RB_BREAKER_NO_MATTER, 100000));
    assert_int_equal(b.state, RB_BREAKER_CLOSED);
    fail_times(&b, NOW, 1);
    assert_int_equal(b.state, RB_BREAKER_OPEN);
}

static void slow_calls_count_where_they_are_asked_for(void **state) {
    (void)state;
    struct rb_breaker b;
    struct rb_breaker_policy slow = policy;
    rb_breaker_init(&b, NULL, NULL);
    for (int i = 0; i < 100; i++)
        assert_true(one_call(&b, &slow, NOW, RB_BREAKER_SUCCESS, 100000));
    assert_int_equal(b.state, RB_BREAKER_CLOSED);

    slow.slow_call_rate = 100;
    slow.slow_call_ms = 2000;
    rb_breaker_init(&b, NULL, NULL);
    for (int i = 0; i < 3; i++)
        assert_true(one_call(&b, &slow, NOW, RB_BREAKER_SUCCESS, 2000));
    assert_true(one_call(&b, &slow, NOW, RB_BREAKER_SUCCESS, 1999));
    assert_int_equal(b.state, RB_BREAKER_CLOSED);
    slow.slow_call_rate = 80;
    assert_true(one_call(&b, &slow, NOW, RB_BREAKER_SUCCESS, 2000));
    assert_int_equal(b.state, RB_BREAKER_OPEN);
}

static void refuses_while_open_then_tries(void **state) {
    (void)state;
    struct told told = {0};
    struct rb_breaker b;
    uint32_t one, two, three;
    rb_breaker_init(&b, on_change, &told);
    fail_times(&b, NOW, 4);
    assert_false(rb_breaker_admit(&b, &policy, NOW + 4999, &one));
    assert_int_equal(rb_breaker_wait_ms(&b, NOW + 4999), 1);
    assert_true(rb_breaker_admit(&b, &policy, NOW + 5000, &one));
    assert_int_equal(b.state, RB_BREAKER_HALF_OPEN);
    assert_true(rb_breaker_admit(&b, &policy, NOW + 5000, &two));
    assert_false(rb_breaker_admit(&b, &policy, NOW + 5000, &three));
    rb_breaker_settle(&b, &policy, NOW + 6000, one, RB_BREAKER_SUCCESS, 1);
    /* One went well and one is out: still no third. */
    assert_false(rb_breaker_admit(&b, &policy, NOW + 6000, &three));
    rb_breaker_settle(&b, &policy, NOW + 6000, two, RB_BREAKER_SUCCESS, 1);
    assert_int_equal(b.state, RB_BREAKER_CLOSED);
    assert_int_equal(told.count, 3);
    assert_int_equal(told.last.from, RB_BREAKER_HALF_OPEN);
    /* The window begins anew. */
    fail_times(&b, NOW + 6000, 3);
    assert_int_equal(b.state, RB_BREAKER_CLOSED);
}

static void a_probe_that_fails_opens_it_again(void **state) {
    (void)state;
    struct rb_breaker b;
    uint32_t one, two;
    rb_breaker_init(&b, NULL, NULL);
    fail_times(&b, NOW, 4);
    assert_true(rb_breaker_admit(&b, &policy, NOW + 5000, &one));
    assert_true(rb_breaker_admit(&b, &policy, NOW + 5000, &two));
    rb_breaker_settle(&b, &policy, NOW + 5500, one, RB_BREAKER_FAILURE, 1);
    assert_int_equal(b.state, RB_BREAKER_OPEN);
    assert_int_equal(rb_breaker_wait_ms(&b, NOW + 5500), 5000);
    /* The other probe belongs to what is over. */
    rb_breaker_settle(&b, &policy, NOW + 5600, two, RB_BREAKER_SUCCESS, 1);
    assert_int_equal(b.state, RB_BREAKER_OPEN);
    assert_true(rb_breaker_admit(&b, &policy, NOW + 10500, &one));
    assert_true(rb_breaker_admit(&b, &policy, NOW + 10500, &two));
}

static void a_probe_without_outcome_is_given_again(void **state) {
    (void)state;
    struct rb_breaker b;
    uint32_t ticket;
    rb_breaker_init(&b, NULL, NULL);
    fail_times(&b, NOW, 4);
    for (int i = 0; i < 10; i++) {
        assert_true(rb_breaker_admit(&b, &policy, NOW + 5000, &ticket));
        rb_breaker_settle(&b, &policy, NOW + 5000, ticket, RB_BREAKER_NO_MATTER, 1);
    }
    assert_int_equal(b.state, RB_BREAKER_HALF_OPEN);
}

static void calls_of_before_say_nothing_after(void **state) {
    (void)state;
    struct rb_breaker b;
    uint32_t early[10], probe;
    rb_breaker_init(&b, NULL, NULL);
    for (int i = 0; i < 10; i++)
        assert_true(rb_breaker_admit(&b, &policy, NOW, &early[i]));
    for (int i = 0; i < 4; i++)
        rb_breaker_settle(&b, &policy, NOW, early[i], RB_BREAKER_FAILURE, 1);
    assert_int_equal(b.state, RB_BREAKER_OPEN);
    assert_true(rb_breaker_admit(&b, &policy, NOW + 5000, &probe));
    for (int i = 4; i < 10; i++)
        rb_breaker_settle(&b, &policy, NOW + 5000, early[i], RB_BREAKER_FAILURE, 1);
    assert_int_equal(b.state, RB_BREAKER_HALF_OPEN);
}

static void reloads(void **state) {
    (void)state;
    struct rb_breaker b;
    struct rb_breaker_policy other = policy;
    uint32_t one, two;
    /* Fewer probes than already went well: it closes. */
    rb_breaker_init(&b, NULL, NULL);
    fail_times(&b, NOW, 4);
    assert_true(one_call(&b, &policy, NOW + 5000, RB_BREAKER_SUCCESS, 1));
    other.half_open_calls = 1;
    assert_true(rb_breaker_admit(&b, &other, NOW + 5000, &one));
    assert_int_equal(b.state, RB_BREAKER_CLOSED);
    /* The breaker is taken away with a probe out, and comes back. */
    rb_breaker_init(&b, NULL, NULL);
    fail_times(&b, NOW, 4);
    assert_true(rb_breaker_admit(&b, &policy, NOW + 5000, &one));
    other = (struct rb_breaker_policy){0};
    rb_breaker_settle(&b, &other, NOW + 5000, one, RB_BREAKER_FAILURE, 1);
    assert_int_equal(b.state, RB_BREAKER_CLOSED);
    assert_true(rb_breaker_admit(&b, &policy, NOW + 5000, &two));
    /* Another width of the buckets. */
    other = policy;
    other.window_ms = 1000;
    rb_breaker_init(&b, NULL, NULL);
    fail_times(&b, NOW, 3);
    assert_true(one_call(&b, &other, NOW + 1000, RB_BREAKER_FAILURE, 1));
    assert_int_equal(b.state, RB_BREAKER_CLOSED);
}

static size_t read_policy(const char *yaml, struct rb_breaker_policy *out,
                          struct rb_errors *errors) {
    struct rb_yaml *root = NULL;
    *errors = (struct rb_errors){0};
    assert_int_equal(rb_yaml_parse("s.yaml", rb_text_of(yaml), &root, errors), RB_OK);
    rb_breaker_policy_read(rb_yaml_get(root, "b"), out, errors);
    rb_yaml_free(root);
    return errors->count;
}

static void the_definition(void **state) {
    (void)state;
    struct rb_breaker_policy p;
    struct rb_errors errors;
    assert_int_equal(read_policy("b: {}", &p, &errors), 0);
    assert_true(p.enabled);
    assert_int_equal(p.failure_rate, 50);
    assert_int_equal(p.slow_call_rate, 0);
    assert_int_equal(p.minimum_calls, 20);
    assert_int_equal(p.window_ms, 60000);
    assert_int_equal(p.open_for_ms, 30000);
    assert_int_equal(p.half_open_calls, 3);
    assert_int_equal(read_policy("b: {slow_call: 2s}", &p, &errors), 0);
    assert_int_equal(p.slow_call_rate, 100);
    assert_int_equal(p.slow_call_ms, 2000);
    assert_int_equal(
        read_policy("b: {failure_rate: 25%, slow_call: 500ms, slow_call_rate: 80, "
                    "minimum_calls: 5, window: 10s, open_for: 1m, half_open_calls: 1}",
                    &p, &errors),
        0);
    assert_int_equal(p.failure_rate, 25);
    assert_int_equal(p.slow_call_rate, 80);
    assert_int_equal(p.slow_call_ms, 500);
    assert_int_equal(p.minimum_calls, 5);
    assert_int_equal(p.window_ms, 10000);
    assert_int_equal(p.open_for_ms, 60000);
    assert_int_equal(p.half_open_calls, 1);
    static const char *const wrong[] = {
        "b: true",
        "b: {failure_rate: 0}",
        "b: {failure_rate: 101}",
        "b: {failure_rate: half}",
        "b: {slow_call_rate: 50}",
        "b: {minimum_calls: 0}",
        "b: {window: 10}",
        "b: {window: 10ms}",
        "b: {open_for: 0}",
        "b: {half_open_calls: 0}",
        "b: {threshold: 5}",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (read_policy(wrong[i], &p, &errors) != 1)
            fail_msg("%s: %zu mistakes", wrong[i], errors.count);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_at_its_rate),
        cmocka_unit_test(stays_closed_below_its_rate),
        cmocka_unit_test(old_failures_leave_the_window),
        cmocka_unit_test(what_does_not_matter_is_not_counted),
        cmocka_unit_test(slow_calls_count_where_they_are_asked_for),
        cmocka_unit_test(refuses_while_open_then_tries),
        cmocka_unit_test(a_probe_that_fails_opens_it_again),
        cmocka_unit_test(a_probe_without_outcome_is_given_again),
        cmocka_unit_test(calls_of_before_say_nothing_after),
        cmocka_unit_test(reloads),
        cmocka_unit_test(the_definition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
