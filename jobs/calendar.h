/* The proleptic Gregorian calendar as arithmetic: no locale, no libc time functions.
 * Algorithms: Howard Hinnant, "chrono-compatible low-level date algorithms". */
#ifndef RB_JOBS_CALENDAR_H
#define RB_JOBS_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>

#define RB_DAY_S 86400

struct rb_date {
    int64_t year;
    int month;   /* 1…12 */
    int day;     /* 1…31 */
    int weekday; /* 0 = Sunday */
};

/* Days since 1970-01-01. month and day must be a date's. */
int64_t rb_calendar_days(int64_t year, int month, int day);
struct rb_date rb_calendar_date(int64_t days);
bool rb_calendar_is_leap(int64_t year);
int rb_calendar_month_days(int64_t year, int month);

#endif
