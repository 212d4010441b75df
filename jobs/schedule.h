/* Recurring jobs: `schedule:`, `time_zone:` and `schedule_params:` of a definition. */
#ifndef RB_JOBS_SCHEDULE_H
#define RB_JOBS_SCHEDULE_H

#include <jansson.h>

#include "config/yaml.h"
#include "jobs/cron.h"
#include "jobs/params.h"

struct rb_schedule {
    struct rb_cron cron;
    struct rb_zone *zone;
    json_t *params; /* as they are written; checked at start, and again by each job */
};

/* Reads the three of a definition's root, where `schedule` is; time_zone defaults to UTC.
 * params may be NULL (they had mistakes of their own). What is NULL comes with an error
 * added. */
struct rb_schedule *rb_schedule_read(const struct rb_yaml *root,
                                     const struct rb_params *params,
                                     struct rb_errors *errors);
void rb_schedule_free(struct rb_schedule *schedule);

/* The first time behind after_s (unix seconds); RB_CRON_NEVER. */
int64_t rb_schedule_next(const struct rb_schedule *schedule, int64_t after_s);

#endif
