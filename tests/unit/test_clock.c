/* The clocks agree with the system's and with each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <time.h>

#include "config/clock.h"

static void monotonic_clocks_agree(void **state) {
    (void)state;
    int64_t before_us = rb_clock_us();
    int64_t ms = rb_clock_ms();
    int64_t after_us = rb_clock_us();
    assert_true(before_us / 1000 <= ms && ms <= after_us / 1000);
    assert_true(before_us <= after_us);
}

static void wall_clock_is_unix_time(void **state) {
    (void)state;
    time_t before = time(NULL);
    int64_t ms = rb_clock_unix_ms();
    /* time() reads a coarser clock: it may be behind by a tick, never ahead. */
    time_t after = time(NULL);
    assert_true(ms / 1000 >= before && ms / 1000 <= after + 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(monotonic_clocks_agree),
        cmocka_unit_test(wall_clock_is_unix_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
