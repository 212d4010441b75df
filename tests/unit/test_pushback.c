/* Backing off from a service that says 429. */
#include "worker/pushback.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define NOW 1000000

static void pauses_as_long_as_it_asks(void **state) {
    (void)state;
    struct rb_pushback p = {0};
    assert_int_equal(rb_pushback_wait_ms(&p, NOW), 0);
    assert_int_equal(rb_pushback_most(&p), 0);
    assert_true(rb_pushback_refused(&p, NOW, NOW - 50, 3000, 8, 0));
    assert_int_equal(rb_pushback_wait_ms(&p, NOW), 3000);
    assert_int_equal(rb_pushback_wait_ms(&p, NOW + 2999), 1);
    assert_int_equal(rb_pushback_wait_ms(&p, NOW + 3000), 0);
    assert_int_equal(rb_pushback_most(&p), 4);
    /* "At once" is no pause, but still half as many. */
    p = (struct rb_pushback){0};
    assert_true(rb_pushback_refused(&p, NOW, NOW - 50, 0, 8, UINT32_MAX));
    assert_int_equal(rb_pushback_wait_ms(&p, NOW), 0);
    assert_int_equal(rb_pushback_most(&p), 4);
}

static void the_pause_doubles(void **state) {
    (void)state;
    struct rb_pushback p = {0};
    static const int64_t most[] = {250, 500, 1000, 2000, 4000, 5000, 5000};
    int64_t now = NOW;
    for (size_t i = 0; i < sizeof most / sizeof most[0]; i++) {
        uint32_t random = i % 2 ? UINT32_MAX : 0;
        assert_true(rb_pushback_refused(&p, now, now - 1, -1, 1, random));
        assert_int_equal(rb_pushback_wait_ms(&p, now), random ? most[i] : most[i] / 2);
        now += 100000;
    }
    rb_pushback_answered(&p);
    assert_true(rb_pushback_refused(&p, now, now - 1, -1, 1, UINT32_MAX));
    assert_int_equal(rb_pushback_wait_ms(&p, now), 250);
}

static void calls_of_before_the_refusal_tell_nothing_new(void **state) {
    (void)state;
    struct rb_pushback p = {0};
    assert_true(rb_pushback_refused(&p, NOW, NOW - 100, -1, 64, UINT32_MAX));
    for (int i = 0; i < 63; i++)
        assert_false(rb_pushback_refused(&p, NOW + i, NOW - 100, -1, 63 - i, UINT32_MAX));
    assert_int_equal(rb_pushback_most(&p), 32);
    assert_int_equal(rb_pushback_wait_ms(&p, NOW), 250);
    /* But when one of them asks for longer, that holds. */
    assert_false(rb_pushback_refused(&p, NOW, NOW - 100, 5000, 1, 0));
    assert_int_equal(rb_pushback_wait_ms(&p, NOW), 5000);
    assert_false(rb_pushback_refused(&p, NOW, NOW - 100, 1000, 1, 0));
    assert_int_equal(rb_pushback_wait_ms(&p, NOW), 5000);
    /* One started behind it halves again. */
    assert_true(rb_pushback_refused(&p, NOW + 6000, NOW + 5001, -1, 32, 0));
    assert_int_equal(rb_pushback_most(&p), 16);
}

static void answers_make_room_again(void **state) {
    (void)state;
    struct rb_pushback p = {0};
    rb_pushback_answered(&p);
    assert_int_equal(rb_pushback_most(&p), 0);
    assert_true(rb_pushback_refused(&p, NOW, NOW - 1, 0, 16, 0));
    assert_int_equal(rb_pushback_most(&p), 8);
    for (int i = 0; i < 9; i++)
        rb_pushback_answered(&p);
    assert_int_equal(rb_pushback_most(&p), 9);
    int answers = 9;
    while (rb_pushback_most(&p) != 0 && answers < 1000) {
        rb_pushback_answered(&p);
        answers++;
    }
    /* One more for each window of them: 8 + 9 + … + 16, about. */
    assert_in_range(answers, 90, 120);
}

static void never_below_one(void **state) {
    (void)state;
    struct rb_pushback p = {0};
    for (int i = 0; i < 50; i++) {
        (void)rb_pushback_refused(&p, NOW + i * 10, NOW + i * 10 - 1, 0, 1, 0);
        assert_int_equal(rb_pushback_most(&p), 1);
    }
    rb_pushback_answered(&p);
    assert_int_equal(rb_pushback_most(&p), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pauses_as_long_as_it_asks),
        cmocka_unit_test(the_pause_doubles),
        cmocka_unit_test(calls_of_before_the_refusal_tell_nothing_new),
        cmocka_unit_test(answers_make_room_again),
        cmocka_unit_test(never_below_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
