/* The `params:` of a definition: a small JSON-Schema vocabulary, checked before any call.
 * type (string integer number boolean array object), required, default, enum, pattern
 * (POSIX ERE), min_length, max_length, minimum, maximum, max_items, description. */
#ifndef RB_JOBS_PARAMS_H
#define RB_JOBS_PARAMS_H

#include <jansson.h>

#include "config/status.h"
#include "config/yaml.h"

struct rb_params;

enum rb_param_type {
    RB_PARAM_STRING,
    RB_PARAM_INTEGER,
    RB_PARAM_NUMBER,
    RB_PARAM_BOOLEAN,
    RB_PARAM_ARRAY,
    RB_PARAM_OBJECT,
    RB_PARAM_TYPES /* none of them */
};

/* node may be NULL (no parameters). Mistakes are added to `errors`, then NULL. */
struct rb_params *rb_params_compile(const struct rb_yaml *node, struct rb_errors *errors);
void rb_params_free(struct rb_params *params);

/* NULL-terminated, owned by params. */
const char *const *rb_params_names(const struct rb_params *params);

/* The parameter's type, for whoever makes values from text; RB_PARAM_TYPES when there is
 * no such parameter. */
enum rb_param_type rb_params_type(const struct rb_params *params, struct rb_text name);

/* Checks and returns a new reference with the defaults filled in. RB_INVALID with a
 * sentence that names the parameter and what was expected (it does not repeat the value);
 * unknown parameters are refused with the nearest known name. */
RB_MUST_CHECK enum rb_status rb_params_check(const struct rb_params *params,
                                             const json_t *given, json_t **checked,
                                             struct rb_error *error);

#endif
