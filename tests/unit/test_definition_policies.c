/* The policies of a definition: each section arrives where it belongs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "jobs/schedule.h"
#include "tests/unit/definitions.h"

#define HEAD "service: test\nrequest: {url: \"https://example.com/\"}\n"

static void without_policies(void **state) {
    (void)state;
    struct rb_definition *d = definition_of(HEAD);
    assert_int_equal(d->retry.max_attempts, 1);
    assert_int_equal(d->concurrency.limit, 0);
    assert_int_equal(d->rate_limit.limit, 0);
    assert_false(d->circuit_breaker.enabled);
    assert_int_equal(d->cache.ttl_ms, 0);
    assert_false(d->cache.coalesce);
    assert_int_equal(d->max_queue_time_ms, 0);
    assert_null(d->schedule);
    rb_definition_free(d);
}

static void with_all_of_them(void **state) {
    (void)state;
    struct rb_definition *d =
        definition_of(HEAD "retry: {max_attempts: 5, on: [connect, 429, 5xx]}\n"
                           "concurrency: {limit: 7, scope: global}\n"
                           "rate_limit: {limit: 50, period: 1s, burst: 10}\n"
                           "circuit_breaker: {failure_rate: 40}\n"
                           "cache: {ttl: 5s, stale_if_error: 1h, coalesce: true}\n"
                           "max_queue_time: 2m\n"
                           "schedule: \"*/5 * * * *\"\n"
                           "time_zone: America/New_York\n"
                           "params: {symbol: {type: string, default: ACME}}\n"
                           "schedule_params: {symbol: XYZ}\n");
    assert_int_equal(d->retry.max_attempts, 5);
    assert_int_equal(d->concurrency.limit, 7);
    assert_true(d->concurrency.global);
    assert_int_equal(d->rate_limit.burst, 10);
    assert_true(d->circuit_breaker.enabled);
    assert_int_equal(d->circuit_breaker.failure_rate, 40);
    assert_int_equal(d->cache.stale_if_error_ms, 3600000);
    assert_int_equal(d->max_queue_time_ms, 120000);
    assert_non_null(d->schedule);
    assert_int_equal(rb_schedule_next(d->schedule, 0), 300);
    rb_definition_free(d);
}

static void mistakes_are_told_once(void **state) {
    (void)state;
    assert_mistakes(
        HEAD "retry: 3\n"
             "concurrency: none\n"
             "max_queue_time: 0\n"
             "schedule: hourly\n",
        "3:8: expected a mapping, got a string\n"
        "4:14: expected a whole number from 1 to 100000, got \"none\"\n"
        "5:17: expected a duration from 1ms to 30d (a number with ms, s, m, h "
        "or d), got \"0\"\n"
        "6:11: minute: expected *, a number from 0 to 59, a range, a list or "
        "a step, got \"hourly\"\n");
    assert_mistakes(HEAD "time_zone: UTC\nschedule_params: {}\n",
                    "3:1: \"time_zone\" stands without schedule\n"
                    "4:1: \"schedule_params\" stands without schedule\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_policies),
        cmocka_unit_test(with_all_of_them),
        cmocka_unit_test(mistakes_are_told_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
