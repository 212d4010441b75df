/* TZ strings: read, and turned into the moments of a year. */
#include "jobs/zone_rule.h"

#include "jobs/calendar.h"

/* What is left to read; the first thing that does not fit sticks. */
struct reader {
    struct rb_text rest;
    bool failed;
};

static char peek(const struct reader *r) { return r->rest.len > 0 ? r->rest.at[0] : 0; }

static void step(struct reader *r) {
    if (r->rest.len > 0)
        r->rest = rb_text(r->rest.at + 1, r->rest.len - 1);
    else
        r->failed = true;
}

static bool accept(struct reader *r, char c) {
    if (peek(r) != c || r->rest.len == 0)
        return false;
    step(r);
    return true;
}

static void expect(struct reader *r, char c) {
    if (!accept(r, c))
        r->failed = true;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_letter(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }

static int number(struct reader *r, int min, int max) {
    int value = 0, digits = 0;
    while (is_digit(peek(r)) && digits < 4) {
        value = value * 10 + (peek(r) - '0');
        digits++;
        step(r);
    }
    if (digits == 0 || value < min || value > max)
        r->failed = true;
    return value;
}

/* Abbreviations are for people: "CET" or "<+0330>". Passed over. */
static void abbreviation(struct reader *r) {
    size_t letters = 0;
    bool quoted = accept(r, '<');
    while (is_letter(peek(r)) ||
           (quoted && (is_digit(peek(r)) || peek(r) == '+' || peek(r) == '-'))) {
        letters++;
        step(r);
    }
    if (quoted)
        expect(r, '>');
    if (letters < 3)
        r->failed = true;
}

/* [+-]hh[:mm[:ss]] in seconds; RFC 8536 lets the hours of a change reach a week. */
static int32_t clock(struct reader *r, int max_hours) {
    bool negative = accept(r, '-');
    if (!negative)
        (void)accept(r, '+');
    int32_t seconds = number(r, 0, max_hours) * 3600;
    if (accept(r, ':')) {
        seconds += number(r, 0, 59) * 60;
        if (accept(r, ':'))
            seconds += number(r, 0, 59);
    }
    return negative ? -seconds : seconds;
}

static void change(struct reader *r, struct rb_zone_change *c) {
    expect(r, ',');
    if (accept(r, 'M')) {
        c->kind = RB_ZONE_MONTH;
        c->month = number(r, 1, 12);
        expect(r, '.');
        c->week = number(r, 1, 5);
        expect(r, '.');
        c->day = number(r, 0, 6);
    } else if (accept(r, 'J')) {
        c->kind = RB_ZONE_JULIAN;
        c->day = number(r, 1, 365);
    } else {
        c->kind = RB_ZONE_DAY;
        c->day = number(r, 0, 365);
    }
    c->time_of_day = accept(r, '/') ? clock(r, 167) : 2 * 3600;
}

enum rb_status rb_zone_rule_parse(struct rb_text text, struct rb_zone_rule *rule) {
    struct reader r = {text, false};
    *rule = (struct rb_zone_rule){0};
    abbreviation(&r);
    /* POSIX counts west of Greenwich as positive. */
    rule->standard_s = -clock(&r, 24);
    if (r.rest.len > 0) {
        rule->has_summer = true;
        abbreviation(&r);
        rule->summer_s = peek(&r) == ',' ? rule->standard_s + 3600 : -clock(&r, 24);
        change(&r, &rule->to_summer);
        change(&r, &rule->to_standard);
    }
    return r.failed || r.rest.len > 0 ? RB_INVALID : RB_OK;
}

static int64_t day_of(const struct rb_zone_change *c, int64_t year) {
    int64_t new_year = rb_calendar_days(year, 1, 1);
    if (c->kind == RB_ZONE_DAY)
        return new_year + c->day;
    if (c->kind == RB_ZONE_JULIAN)
        return new_year + c->day - 1 + (rb_calendar_is_leap(year) && c->day >= 60);
    int64_t first = rb_calendar_days(year, c->month, 1);
    int to_weekday = (c->day - rb_calendar_date(first).weekday + 7) % 7;
    int day = to_weekday + 7 * (c->week - 1);
    while (day >= rb_calendar_month_days(year, c->month))
        day -= 7;
    return first + day;
}

int64_t rb_zone_change_at(const struct rb_zone_change *c, int64_t year,
                          int32_t before_s) {
    return day_of(c, year) * RB_DAY_S + c->time_of_day - before_s;
}
