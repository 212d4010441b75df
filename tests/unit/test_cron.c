/* Cron expressions: the syntax, the two days, and every turn of the clock. */
#include "jobs/cron.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "jobs/calendar.h"

static struct rb_cron cron_of(const char *text) {
    struct rb_cron cron;
    struct rb_error error;
    if (rb_cron_parse(rb_text_of(text), &cron, &error) != RB_OK)
        fail_msg("%s: %s", text, error.text);
    return cron;
}

/* "2026-03-29 01:00" as UTC. */
static int64_t utc(const char *text) {
    int year, month, day, hour, minute;
    assert_int_equal(sscanf(text, "%d-%d-%d %d:%d", &year, &month, &day, &hour, &minute),
                     5);
    return rb_calendar_days(year, month, day) * RB_DAY_S + hour * 3600 + minute * 60;
}

/* Walks from `after`: the next times must be these (all UTC), in this order. */
static void expect(const char *text, const char *zone_name, const char *after,
                   const char *const *times) {
    struct rb_zone *zone;
    struct rb_cron cron = cron_of(text);
    int64_t at = utc(after);
    assert_int_equal(rb_zone_load(RB_ZONE_FOLDER, rb_text_of(zone_name), &zone), RB_OK);
    for (; *times; times++) {
        at = rb_cron_next(&cron, zone, at);
        if (at != utc(*times)) {
            struct rb_date date = rb_calendar_date(at / RB_DAY_S);
            int minute = (int)(at % RB_DAY_S / 60);
            fail_msg("%s in %s: expected %s, got %lld-%02d-%02d %02d:%02d", text,
                     zone_name, *times, (long long)date.year, date.month, date.day,
                     minute / 60, minute % 60);
        }
    }
    rb_zone_free(zone);
}

#define EXPECT(text, zone, after, ...)                                                   \
    expect(text, zone, after, (const char *const[]){__VA_ARGS__, NULL})

static void plain_times(void **state) {
    (void)state;
    EXPECT("*/5 * * * *", "UTC", "2026-01-01 00:00", "2026-01-01 00:05",
           "2026-01-01 00:10");
    EXPECT("0 0 1 1 *", "UTC", "2026-01-01 00:00", "2027-01-01 00:00");
    EXPECT("59 23 31 12 *", "UTC", "2026-01-01 00:00", "2026-12-31 23:59",
           "2027-12-31 23:59");
    EXPECT("15,45 9-17/4 * * 1-5", "UTC", "2026-01-02 17:20", "2026-01-02 17:45",
           "2026-01-05 09:15", "2026-01-05 09:45", "2026-01-05 13:15");
    EXPECT("0 12 29 2 *", "UTC", "2026-01-01 00:00", "2028-02-29 12:00",
           "2032-02-29 12:00");
    EXPECT("0 12 29 2 *", "UTC", "2096-03-01 00:00", "2104-02-29 12:00");
    EXPECT("0 0 31 * *", "UTC", "2026-01-31 00:00", "2026-03-31 00:00",
           "2026-05-31 00:00");
    EXPECT("  30\t4 \t1 JAN Fri ", "UTC", "2026-01-01 04:30", "2026-01-02 04:30");
}

static void seconds_do_not_matter(void **state) {
    (void)state;
    struct rb_zone *zone;
    struct rb_cron cron = cron_of("* * * * *");
    assert_int_equal(rb_zone_load(RB_ZONE_FOLDER, RB_TEXT("UTC"), &zone), RB_OK);
    assert_int_equal(rb_cron_next(&cron, zone, 59), 60);
    assert_int_equal(rb_cron_next(&cron, zone, 60), 120);
    assert_int_equal(rb_cron_next(&cron, zone, 61), 120);
    assert_int_equal(rb_cron_next(&cron, zone, -1), 0);
    assert_int_equal(rb_cron_next(&cron, zone, -61), -60);
    rb_zone_free(zone);
}

static void shorthands(void **state) {
    (void)state;
    EXPECT("@hourly", "UTC", "2026-01-01 00:00", "2026-01-01 01:00");
    EXPECT("@daily", "UTC", "2026-01-01 00:00", "2026-01-02 00:00");
    EXPECT("@midnight", "UTC", "2026-01-01 00:00", "2026-01-02 00:00");
    EXPECT("@weekly", "UTC", "2026-01-01 00:00", "2026-01-04 00:00");
    EXPECT("@monthly", "UTC", "2026-01-01 00:00", "2026-02-01 00:00");
    EXPECT("@yearly", "UTC", "2026-01-01 00:00", "2027-01-01 00:00");
    EXPECT(" @annually ", "UTC", "2026-01-01 00:00", "2027-01-01 00:00");
}

static void the_two_days(void **state) {
    (void)state;
    /* Both restricted: either will do. 2026-02-13 is a Friday. */
    EXPECT("0 0 13 * 5", "UTC", "2026-02-01 00:00", "2026-02-06 00:00",
           "2026-02-13 00:00", "2026-02-20 00:00", "2026-02-27 00:00", "2026-03-06 00:00",
           "2026-03-13 00:00");
    EXPECT("0 0 14 * 5", "UTC", "2026-02-07 00:00", "2026-02-13 00:00",
           "2026-02-14 00:00");
    /* One begins with a star: both must match, so with a step too. */
    EXPECT("0 0 */2 * 5", "UTC", "2026-02-01 00:00", "2026-02-13 00:00",
           "2026-02-27 00:00", "2026-03-13 00:00");
    EXPECT("0 0 13 * */5", "UTC", "2026-01-01 00:00", "2026-02-13 00:00",
           "2026-03-13 00:00", "2026-09-13 00:00");
    /* A day that the month lacks still comes by its weekday. */
    EXPECT("0 0 31 2 1", "UTC", "2026-01-01 00:00", "2026-02-02 00:00");
}

static void sunday_has_two_numbers(void **state) {
    (void)state;
    EXPECT("0 0 * * 0", "UTC", "2026-01-01 00:00", "2026-01-04 00:00");
    EXPECT("0 0 * * 7", "UTC", "2026-01-01 00:00", "2026-01-04 00:00");
    EXPECT("0 0 * * 5-7", "UTC", "2026-01-01 00:00", "2026-01-02 00:00",
           "2026-01-03 00:00", "2026-01-04 00:00", "2026-01-09 00:00");
    EXPECT("0 0 * * sat-sun", "UTC", "2026-01-01 00:00", "2026-01-03 00:00",
           "2026-01-04 00:00", "2026-01-10 00:00");
}

static void spring_in_berlin(void **state) {
    (void)state;
    /* 2026-03-29 02:00 → 03:00 at 01:00 UTC. */
    EXPECT("30 2 * * *", "Europe/Berlin", "2026-03-28 00:00", "2026-03-28 01:30",
           "2026-03-29 01:00", "2026-03-30 00:30");
    /* Two times in the gap come as one. */
    EXPECT("0,30 2 * * *", "Europe/Berlin", "2026-03-29 00:00", "2026-03-29 01:00",
           "2026-03-30 00:00", "2026-03-30 00:30");
    EXPECT("0 2,3 * * *", "Europe/Berlin", "2026-03-29 00:00", "2026-03-29 01:00",
           "2026-03-30 00:00");
    EXPECT("30 2,3 * * *", "Europe/Berlin", "2026-03-29 00:00", "2026-03-29 01:00",
           "2026-03-29 01:30", "2026-03-30 00:30");
    /* By the clock on the wall. */
    EXPECT("*/30 2 * * *", "Europe/Berlin", "2026-03-28 01:30", "2026-03-30 00:00");
    EXPECT("30 * * * *", "Europe/Berlin", "2026-03-29 00:00", "2026-03-29 00:30",
           "2026-03-29 01:30");
    EXPECT("*/20 * * * *", "Europe/Berlin", "2026-03-29 00:40", "2026-03-29 01:00",
           "2026-03-29 01:20");
    /* A day whose gap holds nothing of this job. */
    EXPECT("30 4 * * *", "Europe/Berlin", "2026-03-29 00:00", "2026-03-29 02:30");
    /* The gap counts only where the date matches. */
    EXPECT("30 2 30 3 *", "Europe/Berlin", "2026-03-29 00:00", "2026-03-30 00:30");
}

static void autumn_in_berlin(void **state) {
    (void)state;
    /* 2026-10-25 03:00 → 02:00 at 01:00 UTC. */
    EXPECT("30 2 * * *", "Europe/Berlin", "2026-10-24 12:00", "2026-10-25 00:30",
           "2026-10-26 01:30");
    EXPECT("0 2,3 * * *", "Europe/Berlin", "2026-10-24 12:00", "2026-10-25 00:00",
           "2026-10-25 02:00", "2026-10-26 01:00");
    EXPECT("*/30 2 * * *", "Europe/Berlin", "2026-10-24 12:00", "2026-10-25 00:00",
           "2026-10-25 00:30", "2026-10-25 01:00", "2026-10-25 01:30",
           "2026-10-26 01:00");
    EXPECT("0 * * * *", "Europe/Berlin", "2026-10-24 23:00", "2026-10-25 00:00",
           "2026-10-25 01:00", "2026-10-25 02:00");
    /* Asked in the second pass itself. */
    EXPECT("30 2 * * *", "Europe/Berlin", "2026-10-25 01:10", "2026-10-26 01:30");
}

static void other_zones(void **state) {
    (void)state;
    EXPECT("30 2 * * *", "America/New_York", "2026-03-07 12:00", "2026-03-08 07:00",
           "2026-03-09 06:30");
    EXPECT("30 1 * * *", "America/New_York", "2026-10-31 12:00", "2026-11-01 05:30",
           "2026-11-02 06:30");
    /* Lord Howe turns its clock by half an hour. */
    EXPECT("15 2 * * *", "Australia/Lord_Howe", "2026-10-03 12:00", "2026-10-03 15:30",
           "2026-10-04 15:15");
    EXPECT("45 1 * * *", "Australia/Lord_Howe", "2026-04-04 12:00", "2026-04-04 14:45",
           "2026-04-05 15:15");
    EXPECT("15 1 * * *", "Australia/Lord_Howe", "2026-04-04 12:00", "2026-04-04 14:15",
           "2026-04-05 14:45");
    /* Havana turns at midnight: the day begins at one. */
    EXPECT("@daily", "America/Havana", "2026-03-07 12:00", "2026-03-08 05:00",
           "2026-03-09 04:00");
    EXPECT("0 9 * * *", "Asia/Kolkata", "2026-01-01 00:00", "2026-01-01 03:30");
    EXPECT("0 0 * * *", "Asia/Kathmandu", "2026-01-01 00:00", "2026-01-01 18:15");
    /* Samoa had no 2011-12-30: a whole day is no turn of the clock, nothing is made up.
     */
    EXPECT("0 12 30 12 *", "Pacific/Apia", "2011-12-29 00:00", "2012-12-29 22:00");
    EXPECT("0 12 * * *", "Pacific/Apia", "2011-12-29 00:00", "2011-12-29 22:00",
           "2011-12-30 22:00");
    /* Behind the end of the tables the rule goes on. */
    EXPECT("30 2 * * *", "Europe/Berlin", "2090-03-25 12:00", "2090-03-26 01:00",
           "2090-03-27 00:30");
}

static bool comes_at(const struct rb_cron *cron, const struct rb_zone *zone, int64_t at) {
    int64_t local = at + rb_zone_at(zone, at).offset_s;
    struct rb_date date = rb_calendar_date(local / RB_DAY_S);
    int minute = (int)(local % RB_DAY_S / 60);
    return (cron->minutes >> minute % 60 & 1) && (cron->hours >> minute / 60 & 1) &&
           (cron->months >> date.month & 1) && (cron->days >> date.day & 1) &&
           (cron->weekdays >> date.weekday & 1);
}

/* Walks from time to time over the turns of a year, and looks at every minute between. */
static void every_minute_around_a_turn(void **state) {
    (void)state;
    static const char *const texts[] = {"*/7 * * * *", "5 */3 * * *", "* 2 * * 0",
                                        "*/13 1-3 */9 3,10 *"};
    static const char *const zones[] = {"Europe/Berlin", "Australia/Lord_Howe",
                                        "America/St_Johns"};
    static const char *const turns[][2] = {{"2026-03-01 00:00", "2026-04-10 00:00"},
                                           {"2026-09-30 00:00", "2026-11-05 00:00"}};
    for (size_t i = 0; i < 3 * 4 * 2; i++) {
        const char *text = texts[i % 4], *zone_name = zones[i / 4 % 3];
        struct rb_zone *zone;
        struct rb_cron cron = cron_of(text);
        assert_int_equal(rb_zone_load(RB_ZONE_FOLDER, rb_text_of(zone_name), &zone),
                         RB_OK);
        int64_t at = utc(turns[i / 12][0]);
        int64_t next = rb_cron_next(&cron, zone, at - 1);
        for (; at < utc(turns[i / 12][1]); at += 60) {
            bool comes = comes_at(&cron, zone, at);
            if (comes != (at == next))
                fail_msg("%s in %s at %lld: next said %lld", text, zone_name,
                         (long long)at, (long long)next);
            if (comes)
                next = rb_cron_next(&cron, zone, at);
        }
        rb_zone_free(zone);
    }
}

static void mistakes_have_their_column(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int column;
        const char *says;
    } wrong[] = {
        {"", 1, "five fields"},
        {"   ", 1, "five fields"},
        {"* * * *", 1, "got 4"},
        {"* * * * * *", 11, "got more"},
        {"60 * * * *", 1, "minute: expected *, a number from 0 to 59"},
        {"* 24 * * *", 3, "hour: expected"},
        {"* * 0 * *", 5, "day of month: expected"},
        {"* * 32 * *", 5, "day of month: expected"},
        {"* * * 13 *", 7, "month: expected *, a number from 1 to 12 or a name"},
        {"* * * 0 *", 7, "month"},
        {"* * * foo *", 7, "got \"foo\""},
        {"* * * * 8", 9, "day of week"},
        {"* * * * monday", 9, "got \"monday\""},
        {"1,,2 * * * *", 1, "minute"},
        {"1, * * * *", 1, "minute"},
        {",1 * * * *", 1, "minute"},
        {"1,x * * * *", 3, "got \"x\""},
        {"5/15 * * * *", 1, "got \"5/15\""},
        {"*/0 * * * *", 1, "minute"},
        {"*/60 * * * *", 1, "minute"},
        {"*/ * * * *", 1, "minute"},
        {"/5 * * * *", 1, "minute"},
        {"9-5 * * * *", 1, "minute"},
        {"5- * * * *", 1, "minute"},
        {"-5 * * * *", 1, "minute"},
        {"1-2-3 * * * *", 1, "minute"},
        {"** * * * *", 1, "minute"},
        {"+1 * * * *", 1, "minute"},
        {"99999999999999999999 * * * *", 1, "minute"},
        {"0 0 30 2 *", 1, "never comes"},
        {"0 0 31 2,4,6,9,11 *", 1, "never comes"},
        {"@reboot", 1, "expected @hourly"},
        {"@", 1, "expected @hourly"},
        {"@daily x", 1, "expected @hourly"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct rb_cron cron;
        struct rb_error error;
        if (rb_cron_parse(rb_text_of(wrong[i].text), &cron, &error) != RB_INVALID)
            fail_msg("taken: \"%s\"", wrong[i].text);
        if (error.column != wrong[i].column || !strstr(error.text, wrong[i].says))
            fail_msg("\"%s\": %d: %s", wrong[i].text, error.column, error.text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_times),
        cmocka_unit_test(seconds_do_not_matter),
        cmocka_unit_test(shorthands),
        cmocka_unit_test(the_two_days),
        cmocka_unit_test(sunday_has_two_numbers),
        cmocka_unit_test(spring_in_berlin),
        cmocka_unit_test(autumn_in_berlin),
        cmocka_unit_test(other_zones),
        cmocka_unit_test(every_minute_around_a_turn),
        cmocka_unit_test(mistakes_have_their_column),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
