/* Checks the parameters of a job against the definition's schema. */
#include "jobs/params.h"

#include <assert.h>

#include "jobs/json_write.h"
#include "jobs/params_schema.h"

static const char *const type_names[] = {
    [RB_PARAM_STRING] = "string", [RB_PARAM_INTEGER] = "integer",
    [RB_PARAM_NUMBER] = "number", [RB_PARAM_BOOLEAN] = "boolean",
    [RB_PARAM_ARRAY] = "array",   [RB_PARAM_OBJECT] = "object",
};
static_assert(sizeof type_names / sizeof type_names[0] == RB_PARAM_TYPES,
              "each type has its name");

const char *rb_param_type_name(enum rb_param_type type) { return type_names[type]; }

static const char *article(enum rb_param_type type) {
    return strchr("aio", type_names[type][0]) ? "an" : "a";
}

#define refuse(error, ...) rb_error_set((error), NULL, 0, 0, __VA_ARGS__)

static bool is_type(enum rb_param_type type, const json_t *value) {
    switch (type) {
    case RB_PARAM_STRING:
        return json_is_string(value);
    case RB_PARAM_INTEGER:
        return json_is_integer(value);
    case RB_PARAM_NUMBER:
        return json_is_number(value);
    case RB_PARAM_BOOLEAN:
        return json_is_boolean(value);
    case RB_PARAM_ARRAY:
        return json_is_array(value);
    case RB_PARAM_OBJECT:
        return json_is_object(value);
    case RB_PARAM_TYPES:
        break;
    }
    return false;
}

static enum rb_status check_string(const struct rb_param *param, const json_t *value,
                                   struct rb_error *error) {
    const char *string = json_string_value(value);
    int64_t length = 0;
    for (const char *c = string; *c; c++)
        length += ((unsigned char)*c & 0xc0) != 0x80;
    if (length < param->min_length)
        return refuse(error, "the length of \"%s\" must be at least %lld", param->name,
                      (long long)param->min_length);
    if (length > param->max_length)
        return refuse(error, "the length of \"%s\" must be at most %lld", param->name,
                      (long long)param->max_length);
    if (!param->pattern)
        return RB_OK;
    enum rb_status status = rb_pattern_match(param->pattern, string);
    if (status == RB_INVALID)
        return refuse(error, "\"%s\" must match %s", param->name,
                      rb_pattern_text(param->pattern));
    return status;
}

/* Integers exactly; 2^53 + 1 is not 2^53. */
static int compare(const json_t *a, const json_t *b) {
    if (json_is_integer(a) && json_is_integer(b)) {
        json_int_t x = json_integer_value(a), y = json_integer_value(b);
        return x < y ? -1 : x > y;
    }
    double x = json_number_value(a), y = json_number_value(b);
    return x < y ? -1 : x > y;
}

static enum rb_status out_of_range(const struct rb_param *param, const char *which,
                                   const json_t *bound, struct rb_error *error) {
    struct rb_buffer digits;
    rb_buffer_init(&digits, 40);
    rb_json_write_number(&digits, bound);
    refuse(error, "\"%s\" must be %s " RB_TEXT_FMT, param->name, which,
           RB_TEXT_ARG(rb_buffer_view(&digits)));
    rb_buffer_fini(&digits);
    return RB_INVALID;
}

static enum rb_status check_number(const struct rb_param *param, const json_t *value,
                                   struct rb_error *error) {
    if (param->minimum && compare(value, param->minimum) < 0)
        return out_of_range(param, "at least", param->minimum, error);
    if (param->maximum && compare(value, param->maximum) > 0)
        return out_of_range(param, "at most", param->maximum, error);
    return RB_OK;
}

/* 1 and 1.0 are one number. */
static bool same(const json_t *a, const json_t *b) {
    return json_is_number(a) && json_is_number(b) ? compare(a, b) == 0 : json_equal(a, b);
}

static enum rb_status check_choices(const struct rb_param *param, const json_t *value,
                                    struct rb_error *error) {
    for (size_t i = 0; i < json_array_size(param->choices); i++)
        if (same(json_array_get(param->choices, i), value))
            return RB_OK;
    struct rb_buffer list;
    rb_buffer_init(&list, 400);
    rb_json_write(&list, param->choices);
    if (list.status == RB_OK)
        refuse(error, "\"%s\" must be one of %s", param->name, list.at);
    else
        refuse(error, "\"%s\" must be one of its choices", param->name);
    rb_buffer_fini(&list);
    return RB_INVALID;
}

enum rb_status rb_param_check(const struct rb_param *param, const json_t *value,
                              struct rb_error *error) {
    if (!is_type(param->type, value))
        return refuse(error, "\"%s\" must be %s %s", param->name, article(param->type),
                      type_names[param->type]);
    enum rb_status status = RB_OK;
    if (param->type == RB_PARAM_STRING)
        status = check_string(param, value, error);
    else if (json_is_number(value))
        status = check_number(param, value, error);
    else if (json_array_size(value) > (size_t)param->max_items)
        return refuse(error, "\"%s\" must have at most %lld items", param->name,
                      (long long)param->max_items);
    if (status == RB_OK && param->choices)
        status = check_choices(param, value, error);
    return status;
}

static const struct rb_param *find(const struct rb_params *params, const char *name) {
    for (size_t i = 0; i < params->count; i++)
        if (strcmp(params->items[i].name, name) == 0)
            return &params->items[i];
    return NULL;
}

static enum rb_status check_names(const struct rb_params *params, json_t *given,
                                  struct rb_error *error) {
    const char *name;
    json_t *value;
    json_object_foreach(given, name, value) {
        if (find(params, name))
            continue;
        const char *nearest = rb_text_nearest(rb_text_of(name), params->names);
        if (nearest)
            return refuse(error, "no parameter \"%.64s\"; did you mean \"%s\"?", name,
                          nearest);
        return refuse(error, "no parameter \"%.64s\"", name);
    }
    return RB_OK;
}

/* `given` itself while nothing has to be added to it, else a copy. */
static enum rb_status fill(const struct rb_param *param, json_t *given, json_t **out) {
    if (*out == given) {
        json_t *copy = json_copy(given);
        /* Short of memory, jansson leaves members out. */
        if (!copy || json_object_size(copy) != json_object_size(given)) {
            json_decref(copy);
            return RB_NOMEM;
        }
        json_decref(*out);
        *out = copy;
    }
    return json_object_set(*out, param->name, param->fallback) == 0 ? RB_OK : RB_NOMEM;
}

enum rb_status rb_params_check(const struct rb_params *params, const json_t *given,
                               json_t **checked, struct rb_error *error) {
    /* jansson counts references in the value; nothing else in it is changed. */
    json_t *shared = (json_t *)(uintptr_t)given;
    *checked = NULL;
    enum rb_status status = check_names(params, shared, error);
    json_t *out = status == RB_OK ? json_incref(shared) : NULL;
    for (size_t i = 0; i < params->count && status == RB_OK; i++) {
        const struct rb_param *param = &params->items[i];
        const json_t *value = json_object_get(given, param->name);
        if (value)
            status = rb_param_check(param, value, error);
        else if (param->required)
            status = refuse(error, "\"%s\" is required: %s %s", param->name,
                            article(param->type), type_names[param->type]);
        else if (param->fallback)
            status = fill(param, shared, &out);
    }
    if (status == RB_NOMEM)
        refuse(error, "%s", rb_status_text(status));
    if (status == RB_OK)
        *checked = out;
    else
        json_decref(out);
    return status;
}

const char *const *rb_params_names(const struct rb_params *params) {
    return params->names;
}

enum rb_param_type rb_params_type(const struct rb_params *params, struct rb_text name) {
    for (size_t i = 0; i < params->count; i++)
        if (rb_text_is(name, params->items[i].name))
            return params->items[i].type;
    return RB_PARAM_TYPES;
}
