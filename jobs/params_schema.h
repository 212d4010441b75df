/* What a parameter may be: for params_compile.c, which reads it, and params.c, which
 * checks against it. */
#ifndef RB_JOBS_PARAMS_SCHEMA_H
#define RB_JOBS_PARAMS_SCHEMA_H

#include "jobs/params.h"
#include "jobs/pattern.h"

struct rb_param {
    char *name;
    enum rb_param_type type;
    bool required;
    json_t *fallback; /* `default`, or NULL */
    json_t *choices;  /* `enum`: an array, or NULL */
    struct rb_pattern *pattern;
    json_t *minimum, *maximum; /* numbers, or NULL */
    int64_t min_length;
    int64_t max_length; /* INT64_MAX: any */
    int64_t max_items;
};

struct rb_params {
    struct rb_param *items;
    size_t count;
    const char **names; /* ends with NULL */
};

const char *rb_param_type_name(enum rb_param_type type);

/* Is the value one that the parameter may have? See rb_params_check. */
RB_MUST_CHECK enum rb_status rb_param_check(const struct rb_param *param,
                                            const json_t *value, struct rb_error *error);

#endif
