/* The histogram of latencies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/histogram.h"

static void small_values_are_exact(void **state) {
    struct rb_histogram h = {0};
    (void)state;
    assert_int_equal(rb_histogram_at(&h, 0.5), 0);
    for (int i = 1; i <= 50; i++)
        rb_histogram_note(&h, i);
    assert_int_equal(rb_histogram_at(&h, 0.5), 25);
    assert_int_equal(rb_histogram_at(&h, 0.02), 1);
    assert_int_equal(rb_histogram_at(&h, 1), 50);
    rb_histogram_note(&h, -7);
    assert_int_equal(rb_histogram_at(&h, 0), 0);
    assert_int_equal(h.count, 51);
}

/* What is told is never below the value, and at most a 32nd above it. */
static void large_values_are_near(void **state) {
    (void)state;
    for (uint64_t value = 1; value < UINT64_C(1) << 34; value += value / 7 + 1) {
        struct rb_histogram h = {0};
        rb_histogram_note(&h, (int64_t)value);
        rb_histogram_note(&h, INT64_C(1) << 40);
        uint64_t told = rb_histogram_at(&h, 0.5);
        assert_true(told >= value && told <= value + value / 32 + 1);
    }
}

static void the_largest_is_kept(void **state) {
    struct rb_histogram h = {0};
    (void)state;
    rb_histogram_note(&h, INT64_MAX);
    rb_histogram_note(&h, 3);
    assert_true(rb_histogram_at(&h, 0.99) > INT64_C(1) << 30);
    assert_true(h.max == INT64_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_values_are_exact),
        cmocka_unit_test(large_values_are_near),
        cmocka_unit_test(the_largest_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
