/* Recurring jobs, read from a definition. */
#include "jobs/schedule.h"

#include <stdlib.h>

#include "jobs/yaml_value.h"

static bool read_cron(const struct rb_yaml *node, struct rb_cron *cron,
                      struct rb_errors *errors) {
    struct rb_text text;
    struct rb_error error;
    if (!rb_value_text(node, &text, errors))
        return false;
    if (rb_cron_parse(text, cron, &error) == RB_OK)
        return true;
    /* A plain or quoted line keeps its columns; only the quote comes before them. */
    rb_errors_add(errors, node->file, node->line,
                  node->column + error.column - 1 + node->quoted, "%s", error.text);
    return false;
}

static struct rb_zone *read_zone(const struct rb_yaml *root, struct rb_errors *errors) {
    const struct rb_yaml *node = rb_yaml_get(root, "time_zone");
    struct rb_text name = RB_TEXT("UTC");
    struct rb_zone *zone = NULL;
    if (node && !rb_value_text(node, &name, errors))
        return NULL;
    switch (rb_zone_load(RB_ZONE_FOLDER, name, &zone)) {
    case RB_OK:
        break;
    case RB_NOMEM:
        rb_yaml_error(root, errors, "out of memory");
        break;
    case RB_NOT_FOUND:
        rb_yaml_error(node, errors,
                      "no time zone \"" RB_TEXT_FMT "\" in " RB_ZONE_FOLDER
                      ": expected a name like Europe/Berlin",
                      RB_TEXT_ARG(name));
        break;
    default:
        rb_yaml_error(node, errors,
                      "\"" RB_TEXT_FMT "\" is no time zone: expected a name like "
                      "Europe/Berlin",
                      RB_TEXT_ARG(name));
    }
    return zone;
}

static json_t *read_params(const struct rb_yaml *root, const struct rb_params *params,
                           struct rb_errors *errors) {
    const struct rb_yaml *node = rb_yaml_get(root, "schedule_params");
    json_t *checked = NULL;
    struct rb_error error;
    if (node && !rb_value_is(node, RB_YAML_MAPPING, errors))
        return NULL;
    json_t *given = node ? rb_value_json(node, errors) : json_object();
    enum rb_status status = !given   ? RB_NOMEM
                            : params ? rb_params_check(params, given, &checked, &error)
                                     : RB_OK;
    json_decref(checked);
    if (status == RB_OK)
        return given;
    if (status == RB_INVALID)
        rb_yaml_error(node ? node : rb_yaml_get(root, "schedule"), errors,
                      "schedule_params: %s", error.text);
    else if (given || !node)
        rb_yaml_error(root, errors, "out of memory");
    json_decref(given);
    return NULL;
}

struct rb_schedule *rb_schedule_read(const struct rb_yaml *root,
                                     const struct rb_params *params,
                                     struct rb_errors *errors) {
    const struct rb_yaml *node = rb_yaml_get(root, "schedule");
    struct rb_schedule *schedule = calloc(1, sizeof *schedule);
    if (!schedule) {
        rb_yaml_error(node, errors, "out of memory");
        return NULL;
    }
    bool cron = read_cron(node, &schedule->cron, errors);
    schedule->zone = read_zone(root, errors);
    schedule->params = read_params(root, params, errors);
    if (cron && schedule->zone && schedule->params)
        return schedule;
    rb_schedule_free(schedule);
    return NULL;
}

void rb_schedule_free(struct rb_schedule *schedule) {
    if (!schedule)
        return;
    rb_zone_free(schedule->zone);
    json_decref(schedule->params);
    free(schedule);
}

int64_t rb_schedule_next(const struct rb_schedule *schedule, int64_t after_s) {
    return rb_cron_next(&schedule->cron, schedule->zone, after_s);
}
