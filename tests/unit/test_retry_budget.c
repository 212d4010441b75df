/* The retry budget: what an outage may cost, promises, and reloads. */
#include "worker/retry_budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define NOW 1000000

static void a_calm_saves_ten_seconds(void **state) {
    (void)state;
    struct rb_retry_budget b;
    int64_t wait_ms;
    rb_retry_budget_init(&b, 20, 10, NOW);
    for (int i = 0; i < 100; i++) {
        assert_true(rb_retry_budget_take(&b, NOW, 0, &wait_ms));
        assert_int_equal(wait_ms, 0);
    }
    assert_false(rb_retry_budget_take(&b, NOW, 0, &wait_ms));
    /* A year later it holds no more than that. */
    int64_t later = NOW + INT64_C(31536000000);
    for (int i = 0; i < 100; i++)
        assert_true(rb_retry_budget_take(&b, later, 0, &wait_ms));
    assert_false(rb_retry_budget_take(&b, later, 0, &wait_ms));
}

static void promises_come_one_after_the_other(void **state) {
    (void)state;
    struct rb_retry_budget b;
    int64_t wait_ms;
    rb_retry_budget_init(&b, 20, 10, NOW);
    for (int i = 0; i < 100; i++)
        assert_true(rb_retry_budget_take(&b, NOW, 0, &wait_ms));
    for (int i = 1; i <= 50; i++) {
        assert_true(rb_retry_budget_take(&b, NOW, 5000, &wait_ms));
        assert_int_equal(wait_ms, 100 * i);
    }
    assert_false(rb_retry_budget_take(&b, NOW, 5000, &wait_ms));
    /* A refusal took nothing; what was promised is paid first. */
    assert_true(rb_retry_budget_take(&b, NOW + 100, 5000, &wait_ms));
    assert_int_equal(wait_ms, 5000);
    assert_false(rb_retry_budget_take(&b, NOW + 5099, 0, &wait_ms));
    assert_true(rb_retry_budget_take(&b, NOW + 5200, 0, &wait_ms));
}

/* 1,000 calls a second that all fail, each retry too: the load grows by a fifth and ten a
 * second, not by the number of attempts. */
static void an_outage_makes_no_storm(void **state) {
    (void)state;
    struct rb_retry_budget b;
    int64_t wait_ms;
    int retries = 0;
    rb_retry_budget_init(&b, 20, 10, NOW);
    for (int ms = 0; ms < 60000; ms++) {
        rb_retry_budget_call(&b, NOW + ms);
        for (int i = 0; i < 3; i++)
            retries += rb_retry_budget_take(&b, NOW + ms, 0, &wait_ms);
    }
    int expected = 60000 / 5 + 60 * 10 + 100;
    assert_in_range(retries, expected - 20, expected);
}

static void a_clock_that_stands_or_goes_back_gives_nothing(void **state) {
    (void)state;
    struct rb_retry_budget b;
    int64_t wait_ms;
    rb_retry_budget_init(&b, 20, 1, NOW);
    for (int i = 0; i < 10; i++)
        assert_true(rb_retry_budget_take(&b, NOW, 0, &wait_ms));
    assert_false(rb_retry_budget_take(&b, NOW - 50000, 0, &wait_ms));
    assert_false(rb_retry_budget_take(&b, NOW, 0, &wait_ms));
    assert_true(rb_retry_budget_take(&b, NOW + 1000, 0, &wait_ms));
}

static void a_reload_keeps_what_fits(void **state) {
    (void)state;
    struct rb_retry_budget b;
    int64_t wait_ms;
    rb_retry_budget_init(&b, 20, 10, NOW);
    rb_retry_budget_set(&b, 20, 1, NOW);
    for (int i = 0; i < 10; i++)
        assert_true(rb_retry_budget_take(&b, NOW, 0, &wait_ms));
    assert_false(rb_retry_budget_take(&b, NOW, 999, &wait_ms));
    rb_retry_budget_set(&b, 100, 100, NOW);
    assert_true(rb_retry_budget_take(&b, NOW, 10, &wait_ms));
    assert_int_equal(wait_ms, 10);
    rb_retry_budget_call(&b, NOW);
    rb_retry_budget_call(&b, NOW);
    assert_true(rb_retry_budget_take(&b, NOW, 0, &wait_ms));
    /* A promise made far ahead survives a change to a slower budget. */
    for (int i = 0; i < 1000; i++)
        assert_true(rb_retry_budget_take(&b, NOW, 1000000, &wait_ms));
    rb_retry_budget_set(&b, 20, 1, NOW);
    assert_false(rb_retry_budget_take(&b, NOW + 900000, 0, &wait_ms));
    assert_true(rb_retry_budget_take(&b, NOW + 1100000, 0, &wait_ms));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_calm_saves_ten_seconds),
        cmocka_unit_test(promises_come_one_after_the_other),
        cmocka_unit_test(an_outage_makes_no_storm),
        cmocka_unit_test(a_clock_that_stands_or_goes_back_gives_nothing),
        cmocka_unit_test(a_reload_keeps_what_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
