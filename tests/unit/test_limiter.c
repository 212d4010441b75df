/* Places of a service, the line before them, and how long to park what does not fit. */
#include "worker/limiter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define NOW 1000000
#define MIDDLE (UINT32_C(1) << 31) /* of the randomness: no jitter */

static void room_up_to_the_limit(void **state) {
    (void)state;
    struct rb_limiter l;
    rb_limiter_init(&l, 2);
    assert_true(rb_limiter_has_room(&l, 0));
    rb_limiter_begin(&l);
    assert_true(rb_limiter_has_room(&l, 0));
    assert_false(rb_limiter_has_room(&l, 1));
    rb_limiter_begin(&l);
    assert_false(rb_limiter_has_room(&l, 0));
    rb_limiter_end(&l, 1000);
    assert_true(rb_limiter_has_room(&l, 0));
    /* Fewer than run: what runs goes on, nothing starts. */
    rb_limiter_begin(&l);
    rb_limiter_set(&l, 1);
    rb_limiter_end(&l, 1000);
    assert_false(rb_limiter_has_room(&l, 0));
    rb_limiter_set(&l, 0);
    for (int i = 0; i < 10000; i++)
        rb_limiter_begin(&l);
    assert_true(rb_limiter_has_room(&l, 0));
}

static void the_line_is_bounded_and_in_order(void **state) {
    (void)state;
    struct rb_limiter l;
    struct rb_in_line w[4] = {0};
    rb_limiter_init(&l, 1);
    for (int i = 0; i < 3; i++)
        assert_true(rb_limiter_wait(&l, &w[i], 3));
    assert_false(rb_limiter_wait(&l, &w[3], 3));
    assert_false(w[3].waiting);
    rb_limiter_withdraw(&l, &w[3]);
    assert_int_equal(l.waiting, 3);
    rb_limiter_withdraw(&l, &w[1]);
    assert_ptr_equal(rb_limiter_first(&l), &w[0]);
    rb_limiter_withdraw(&l, &w[0]);
    assert_ptr_equal(rb_limiter_first(&l), &w[2]);
    rb_limiter_withdraw(&l, &w[2]);
    assert_null(rb_limiter_first(&l));
    assert_int_equal(l.waiting, 0);
    assert_false(rb_limiter_wait(&l, &w[0], 0));
}

static void parked_jobs_come_back_one_after_the_other(void **state) {
    (void)state;
    struct rb_limiter l;
    rb_limiter_init(&l, 10);
    for (int i = 0; i < 200; i++) {
        rb_limiter_begin(&l);
        rb_limiter_end(&l, 2000000);
    }
    /* Calls of 2 s, ten at once: a start each 200 ms (smoothing leaves it a hair off),
     * and a turn each three quarters of that. */
    for (int i = 1; i <= 6; i++) {
        int64_t wait_ms = rb_limiter_park_ms(&l, NOW, 0, MIDDLE);
        assert_in_range(wait_ms, 150 * i - i - 1, 150 * i + 1);
    }
    /* Those behind look again, a thousand a second. */
    for (int i = 1; i <= 5000; i++)
        assert_in_range(rb_limiter_park_ms(&l, NOW, 0, MIDDLE), RB_PARK_NEAR_MS + i - 1,
                        RB_PARK_NEAR_MS + i + 1);
    for (int i = 0; i < 100000; i++)
        assert_in_range(rb_limiter_park_ms(&l, NOW, 0, MIDDLE), RB_PARK_NEAR_MS,
                        RB_PARK_MAX_MS);
    /* The first to look again gets a turn. */
    assert_in_range(rb_limiter_park_ms(&l, NOW + 1001, 0, MIDDLE), 140, 151);
    /* Once those turns are over, it is as at first. */
    assert_in_range(rb_limiter_park_ms(&l, NOW + 600000, 0, MIDDLE), 140, 151);
}

static void the_line_and_the_pace_count(void **state) {
    (void)state;
    struct rb_limiter l;
    struct rb_in_line w[5] = {0};
    rb_limiter_init(&l, 0);
    assert_int_equal(rb_limiter_park_ms(&l, NOW, 0, MIDDLE), RB_PARK_MIN_MS);
    for (int i = 0; i < 5; i++)
        assert_true(rb_limiter_wait(&l, &w[i], 10));
    /* Five wait, ten starts a second. */
    assert_int_equal(rb_limiter_park_ms(&l, NOW, 100000, MIDDLE), 450);
}

static void the_jitter_is_a_tenth(void **state) {
    (void)state;
    struct rb_limiter l;
    rb_limiter_init(&l, 1);
    for (uint32_t i = 0; i < 100; i++) {
        int64_t wait_ms = rb_limiter_park_ms(&l, NOW + i * 20000, 1000000, i * 42949672U);
        assert_in_range(wait_ms, 675, 825);
    }
    rb_limiter_init(&l, 1);
    assert_int_equal(rb_limiter_park_ms(&l, NOW, 1000000, 0), 675);
    rb_limiter_init(&l, 1);
    assert_int_equal(rb_limiter_park_ms(&l, NOW, 1000000, UINT32_MAX), 825);
}

static void what_tells_nothing_leaves_the_time_alone(void **state) {
    (void)state;
    struct rb_limiter l;
    rb_limiter_init(&l, 1);
    int64_t before = l.took_us;
    rb_limiter_begin(&l);
    rb_limiter_end(&l, -1);
    assert_int_equal(l.took_us, before);
    assert_int_equal(l.running, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(room_up_to_the_limit),
        cmocka_unit_test(the_line_is_bounded_and_in_order),
        cmocka_unit_test(parked_jobs_come_back_one_after_the_other),
        cmocka_unit_test(the_line_and_the_pace_count),
        cmocka_unit_test(the_jitter_is_a_tenth),
        cmocka_unit_test(what_tells_nothing_leaves_the_time_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
