/* When a job counts as left alone; and its key in a definition. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "definitions.h"
#include "worker/alone.h"

#define GRACE 10000

static void test_the_whole_grace_must_pass(void **state) {
    int64_t since = RB_ALONE_NOT;
    (void)state;
    assert_false(rb_alone_judge(&since, GRACE, 500, 0));
    assert_int_equal(since, 500);
    assert_false(rb_alone_judge(&since, GRACE, 5000, 0));
    assert_false(rb_alone_judge(&since, GRACE, 10499, 0));
    assert_int_equal(since, 500);
    assert_true(rb_alone_judge(&since, GRACE, 10500, 0));
}

/* The loop's clock may begin at 0. */
static void test_any_time_is_a_time(void **state) {
    int64_t since = RB_ALONE_NOT;
    (void)state;
    assert_false(rb_alone_judge(&since, GRACE, 0, 0));
    assert_true(rb_alone_judge(&since, GRACE, GRACE, 0));
}

static void test_who_comes_back_ends_it(void **state) {
    int64_t since = RB_ALONE_NOT;
    (void)state;
    assert_false(rb_alone_judge(&since, GRACE, 0, 0));
    assert_false(rb_alone_judge(&since, GRACE, 9999, 1));
    assert_int_equal(since, RB_ALONE_NOT);
    assert_false(rb_alone_judge(&since, GRACE, 20000, 3));
    assert_false(rb_alone_judge(&since, GRACE, 30000, 0));
    assert_false(rb_alone_judge(&since, GRACE, 39999, 0));
    assert_true(rb_alone_judge(&since, GRACE, 40000, 0));
}

/* A channel that an unseen visit was on would be subscribed for longer than the pause. */
static void test_how_often_is_looked(void **state) {
    (void)state;
    assert_int_equal(rb_alone_pause_ms(1000), 1000);
    assert_int_equal(rb_alone_pause_ms(4000), 1000);
    assert_int_equal(rb_alone_pause_ms(10000), 2500);
    assert_int_equal(rb_alone_pause_ms(20000), 4000);
    assert_int_equal(rb_alone_pause_ms(INT64_C(86400000)), 4000);
}

#define HEAD "service: test\nrequest: {url: https://example.com/}\n"

static int64_t grace_of(const char *text) {
    struct rb_definition *definition = definition_of(text);
    int64_t grace_ms = definition->cancel_when_alone.grace_ms;
    rb_definition_free(definition);
    return grace_ms;
}

static void test_definition(void **state) {
    (void)state;
    assert_int_equal(grace_of(HEAD), 0);
    assert_int_equal(grace_of(HEAD "cancel_when_alone: {}\n"), 10000);
    assert_int_equal(grace_of(HEAD "cancel_when_alone: {grace: 90s}\n"), 90000);
    assert_int_equal(grace_of(HEAD "channel: news\nschedule: \"*/5 * * * *\"\n"
                                   "cancel_when_alone: {grace: 1s}\n"),
                     1000);
}

static void test_mistakes(void **state) {
    (void)state;
    assert_mistakes(HEAD "cancel_when_alone: 10s\n",
                    "3:20: expected a mapping, got a string\n");
    assert_mistakes(HEAD "cancel_when_alone: {grace: 999ms}\n",
                    "3:28: expected a duration from 1s to 1d (a number with ms, s, m, h "
                    "or d), got \"999ms\"\n");
    assert_mistakes(HEAD "cancel_when_alone: {grase: 10s}\n",
                    "3:21: unknown key \"grase\"; did you mean \"grace\"?\n");
    assert_mistakes(HEAD "schedule: \"*/5 * * * *\"\ncancel_when_alone: {grace: 10s}\n",
                    "4:1: cancel_when_alone needs channel: on none nobody can wait for a "
                    "recurring job\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_whole_grace_must_pass),
        cmocka_unit_test(test_any_time_is_a_time),
        cmocka_unit_test(test_who_comes_back_ends_it),
        cmocka_unit_test(test_how_often_is_looked),
        cmocka_unit_test(test_definition),
        cmocka_unit_test(test_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
