/* HTTP dates: a small reader for three fixed forms. */
#include "jobs/http_date.h"

#include <stddef.h>

#include "jobs/calendar.h"

static const char *const short_days[] = {"Sun", "Mon", "Tue", "Wed",
                                         "Thu", "Fri", "Sat", NULL};
static const char *const long_days[] = {"Sunday",   "Monday", "Tuesday",  "Wednesday",
                                        "Thursday", "Friday", "Saturday", NULL};
static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul",
                                     "Aug", "Sep", "Oct", "Nov", "Dec", NULL};

/* What is left to read; the first thing that does not fit sticks. */
struct reader {
    struct rb_text rest;
    bool failed;
};

static void skip(struct reader *r, const char *literal) {
    struct rb_text text = rb_text_of(literal);
    if (!rb_text_starts(r->rest, text))
        r->failed = true;
    else
        r->rest = rb_text(r->rest.at + text.len, r->rest.len - text.len);
}

static int word(struct reader *r, const char *const *words) {
    for (int i = 0; words[i]; i++) {
        if (rb_text_starts(r->rest, rb_text_of(words[i]))) {
            skip(r, words[i]);
            return i;
        }
    }
    r->failed = true;
    return 0;
}

static int number(struct reader *r, size_t digits, int max) {
    uint64_t value = 0;
    if (r->rest.len < digits ||
        rb_text_uint64(rb_text(r->rest.at, digits), &value) != RB_OK ||
        value > (uint64_t)max) {
        r->failed = true;
        return 0;
    }
    r->rest = rb_text(r->rest.at + digits, r->rest.len - digits);
    return (int)value;
}

struct moment {
    int64_t year;
    int month, day, seconds;
};

/* A leap second is let through, and counts as the second behind it. */
static int time_of_day(struct reader *r) {
    int hour = number(r, 2, 23);
    skip(r, ":");
    int minute = number(r, 2, 59);
    skip(r, ":");
    return hour * 3600 + minute * 60 + number(r, 2, 60);
}

static struct moment imf_fixdate(struct reader *r, int64_t now_s) {
    struct moment m;
    (void)now_s;
    (void)word(r, short_days);
    skip(r, ", ");
    m.day = number(r, 2, 31);
    skip(r, " ");
    m.month = word(r, months) + 1;
    skip(r, " ");
    m.year = number(r, 4, 9999);
    skip(r, " ");
    m.seconds = time_of_day(r);
    skip(r, " GMT");
    return m;
}

static struct moment rfc850(struct reader *r, int64_t now_s) {
    struct moment m;
    (void)word(r, long_days);
    skip(r, ", ");
    m.day = number(r, 2, 31);
    skip(r, "-");
    m.month = word(r, months) + 1;
    skip(r, "-");
    int64_t this_year = rb_calendar_date(now_s / RB_DAY_S).year;
    m.year = this_year - this_year % 100 + number(r, 2, 99);
    if (m.year > this_year + 50)
        m.year -= 100;
    else if (m.year <= this_year - 50)
        m.year += 100;
    skip(r, " ");
    m.seconds = time_of_day(r);
    skip(r, " GMT");
    return m;
}

static struct moment asctime_date(struct reader *r, int64_t now_s) {
    struct moment m;
    (void)now_s;
    (void)word(r, short_days);
    skip(r, " ");
    m.month = word(r, months) + 1;
    skip(r, " ");
    if (r->rest.len > 0 && r->rest.at[0] == ' ') {
        skip(r, " ");
        m.day = number(r, 1, 9);
    } else {
        m.day = number(r, 2, 31);
    }
    skip(r, " ");
    m.seconds = time_of_day(r);
    skip(r, " ");
    m.year = number(r, 4, 9999);
    return m;
}

typedef struct moment form(struct reader *r, int64_t now_s);

enum rb_status rb_http_date_parse(struct rb_text text, int64_t now_s, int64_t *unix_s) {
    static form *const forms[] = {imf_fixdate, rfc850, asctime_date};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct reader r = {text, false};
        struct moment m = forms[i](&r, now_s);
        if (r.failed || r.rest.len > 0 || m.day < 1 ||
            m.day > rb_calendar_month_days(m.year, m.month))
            continue;
        *unix_s = rb_calendar_days(m.year, m.month, m.day) * RB_DAY_S + m.seconds;
        return RB_OK;
    }
    return RB_INVALID;
}
