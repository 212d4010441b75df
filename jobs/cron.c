/* The next time of a cron expression. Walks the zone's spans of constant offset; within
 * one, local time is plain arithmetic. Reading is in cron_parse.c. */
#include "jobs/cron.h"

#include "jobs/calendar.h"

#define DAY_MINUTES 1440
#define HORIZON_S (INT64_C(50) * 366 * RB_DAY_S)
#define TURN_LIMIT_S (3 * 3600) /* more is not the clock being turned, but corrected */

static bool day_matches(const struct rb_cron *cron, const struct rb_date *date) {
    bool day = cron->days >> date->day & 1;
    bool weekday = cron->weekdays >> date->weekday & 1;
    return cron->both_days ? day && weekday : day || weekday;
}

/* The first match of minutes and hours at or behind `minute` of a day; -1 = none. */
static int time_matches(const struct rb_cron *cron, int minute) {
    for (int hour = minute / 60; hour < 24; hour++, minute = hour * 60) {
        if (!(cron->hours >> hour & 1))
            continue;
        uint64_t left = cron->minutes >> minute % 60;
        if (left)
            return minute + __builtin_ctzll(left);
    }
    return -1;
}

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

/* The first match within [from_s, end_s) of local time; RB_CRON_NEVER = none. */
static int64_t next_local(const struct rb_cron *cron, int64_t from_s, int64_t end_s) {
    int64_t minute = -floor_div(-from_s, 60);
    int64_t day = floor_div(minute, DAY_MINUTES);
    int from = (int)(minute - day * DAY_MINUTES);
    while (day * RB_DAY_S < end_s) {
        struct rb_date date = rb_calendar_date(day);
        if (!(cron->months >> date.month & 1)) {
            day += rb_calendar_month_days(date.year, date.month) - date.day + 1;
        } else {
            int found = day_matches(cron, &date) ? time_matches(cron, from) : -1;
            if (found >= 0) {
                int64_t at = day * RB_DAY_S + found * 60;
                return at < end_s ? at : RB_CRON_NEVER;
            }
            day++;
        }
        from = 0;
    }
    return RB_CRON_NEVER;
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

int64_t rb_cron_next(const struct rb_cron *cron, const struct rb_zone *zone,
                     int64_t after_s) {
    int64_t horizon_s = after_s + HORIZON_S;
    for (int64_t at = after_s + 1; at < horizon_s;) {
        struct rb_zone_span span = rb_zone_at(zone, at);
        int64_t from = at + span.offset_s;
        int64_t end = least(span.end_s, horizon_s) + span.offset_s;
        if (!cron->wildcard && span.start_s != INT64_MIN) {
            int32_t before_s = rb_zone_at(zone, span.start_s - 1).offset_s;
            int32_t turn_s = span.offset_s - before_s;
            int64_t start = span.start_s + span.offset_s;
            if (turn_s > 0 && turn_s < TURN_LIMIT_S && at == span.start_s &&
                next_local(cron, span.start_s + before_s, start) != RB_CRON_NEVER)
                return at;
            if (turn_s < 0 && turn_s > -TURN_LIMIT_S)
                from = most(from, start - turn_s);
        }
        int64_t found = next_local(cron, from, end);
        if (found != RB_CRON_NEVER)
            return found - span.offset_s;
        at = span.end_s;
    }
    return RB_CRON_NEVER;
}
