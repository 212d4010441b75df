/* Times in cron's syntax, in a time zone: crontab(5) as Paul Vixie's cron reads it.
 *
 *     minute hour day-of-month month day-of-week
 *     "*" "5" "1-5" "1,15" "10-50/20" "*" + "/15"; months and weekdays also by their
 *     first three letters; Sunday is 0 or 7; @hourly @daily @midnight @weekly @monthly
 *     @yearly @annually
 *
 * When both days are restricted (neither begins with *), either may match. Where the
 * clock is turned (by less than three hours), what runs at fixed times is neither lost
 * nor doubled: a time that is left out comes at once behind the gap, a time that comes
 * twice counts the first time. What has * in front of its minutes or hours goes by the
 * clock on the wall alone. */
#ifndef RB_JOBS_CRON_H
#define RB_JOBS_CRON_H

#include <stdbool.h>
#include <stdint.h>

#include "config/status.h"
#include "config/text.h"
#include "jobs/zone.h"

/* A plain value; bit n stands for minute, hour, day, month or weekday n. */
struct rb_cron {
    uint64_t minutes;
    uint32_t hours, days, months, weekdays;
    bool both_days; /* both days must match, since one of them begins with * */
    bool wildcard;  /* minutes or hours begin with * */
};

/* RB_INVALID with a sentence in *error (its text, and its column within `text`), also for
 * times that never come, as Feb 30. */
RB_MUST_CHECK enum rb_status rb_cron_parse(struct rb_text text, struct rb_cron *cron,
                                           struct rb_error *error);

#define RB_CRON_NEVER INT64_MAX

/* The first time behind after_s, both unix seconds; RB_CRON_NEVER when none comes within
 * 50 years. */
int64_t rb_cron_next(const struct rb_cron *cron, const struct rb_zone *zone,
                     int64_t after_s);

#endif
