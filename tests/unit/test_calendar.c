/* Days and dates agree with each other and with gmtime over a thousand years. */
#include "jobs/calendar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

static void there_and_back(void **state) {
    (void)state;
    for (int64_t day = -200000; day < 200000; day++) {
        struct rb_date date = rb_calendar_date(day);
        assert_int_equal(rb_calendar_days(date.year, date.month, date.day), day);
        time_t at = (time_t)(day * RB_DAY_S);
        struct tm tm;
        assert_non_null(gmtime_r(&at, &tm));
        assert_int_equal(date.year, tm.tm_year + 1900);
        assert_int_equal(date.month, tm.tm_mon + 1);
        assert_int_equal(date.day, tm.tm_mday);
        assert_int_equal(date.weekday, tm.tm_wday);
    }
}

static void lengths_of_months(void **state) {
    (void)state;
    assert_int_equal(rb_calendar_month_days(2023, 2), 28);
    assert_int_equal(rb_calendar_month_days(2024, 2), 29);
    assert_int_equal(rb_calendar_month_days(1900, 2), 28);
    assert_int_equal(rb_calendar_month_days(2000, 2), 29);
    for (int64_t year = 1999; year < 2005; year++)
        for (int month = 1; month <= 12; month++) {
            int64_t next = month == 12 ? rb_calendar_days(year + 1, 1, 1)
                                       : rb_calendar_days(year, month + 1, 1);
            assert_int_equal(next - rb_calendar_days(year, month, 1),
                             rb_calendar_month_days(year, month));
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(lengths_of_months),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
