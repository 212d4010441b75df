/* The rule at the end of a TZif file, which holds for all times behind its table: a TZ
 * string of POSIX (XBD 8.3) as RFC 8536 §3.3.1 extends it: "CET-1CEST,M3.5.0,M10.5.0/3".
 */
#ifndef RB_JOBS_ZONE_RULE_H
#define RB_JOBS_ZONE_RULE_H

#include <stdbool.h>
#include <stdint.h>

#include "config/status.h"
#include "config/text.h"

/* When a year's change comes, in local time before it. */
struct rb_zone_change {
    enum { RB_ZONE_JULIAN, RB_ZONE_DAY, RB_ZONE_MONTH } kind;
    int day;             /* Jn: 1…365, never Feb 29; n: 0…365; Mm.w.d: the weekday */
    int month, week;     /* Mm.w.d; week 5 = the last */
    int32_t time_of_day; /* seconds, may be negative or beyond a day */
};

/* A plain value. */
struct rb_zone_rule {
    int32_t standard_s; /* local = unix + this */
    bool has_summer;
    int32_t summer_s;
    struct rb_zone_change to_summer, to_standard;
};

RB_MUST_CHECK enum rb_status rb_zone_rule_parse(struct rb_text text,
                                                struct rb_zone_rule *rule);

/* The unix second of the year's change; before_s is the offset until then. */
int64_t rb_zone_change_at(const struct rb_zone_change *change, int64_t year,
                          int32_t before_s);

#endif
