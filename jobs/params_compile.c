/* Reads the `params:` of a definition. */
#include <stdlib.h>

#include "jobs/params_schema.h"
#include "jobs/yaml_value.h"

/* What a pattern is run on is bounded, unless the definition says otherwise. */
#define MATCHED_LENGTH_MAX 4096

#define ON(type) (1u << (type))
#define NUMERIC (ON(RB_PARAM_INTEGER) | ON(RB_PARAM_NUMBER))
#define ANY (ON(RB_PARAM_TYPES) - 1)

static void read_required(struct rb_param *p, const struct rb_yaml *node,
                          struct rb_errors *errors) {
    rb_value_bool(node, &p->required, errors);
}

static void read_pattern(struct rb_param *p, const struct rb_yaml *node,
                         struct rb_errors *errors) {
    struct rb_text text;
    struct rb_error error;
    if (!rb_value_text(node, &text, errors))
        return;
    p->pattern = rb_pattern_new(text, &error);
    if (!p->pattern)
        rb_yaml_error(node, errors, "%s", error.text);
}

static void read_min_length(struct rb_param *p, const struct rb_yaml *node,
                            struct rb_errors *errors) {
    rb_value_int(node, 0, INT32_MAX, &p->min_length, errors);
}

static void read_max_length(struct rb_param *p, const struct rb_yaml *node,
                            struct rb_errors *errors) {
    rb_value_int(node, 0, INT32_MAX, &p->max_length, errors);
}

static void read_max_items(struct rb_param *p, const struct rb_yaml *node,
                           struct rb_errors *errors) {
    rb_value_int(node, 0, INT32_MAX, &p->max_items, errors);
}

static json_t *read_bound(const struct rb_param *p, const struct rb_yaml *node,
                          struct rb_errors *errors) {
    json_t *value = rb_value_json(node, errors);
    bool legal =
        p->type == RB_PARAM_INTEGER ? json_is_integer(value) : json_is_number(value);
    if (!value || legal)
        return value;
    rb_yaml_error(node, errors, "expected %s",
                  p->type == RB_PARAM_INTEGER ? "an integer" : "a number");
    json_decref(value);
    return NULL;
}

static void read_minimum(struct rb_param *p, const struct rb_yaml *node,
                         struct rb_errors *errors) {
    p->minimum = read_bound(p, node, errors);
}

static void read_maximum(struct rb_param *p, const struct rb_yaml *node,
                         struct rb_errors *errors) {
    p->maximum = read_bound(p, node, errors);
}

/* In a value of a string parameter even 007 and true are strings. */
static json_t *read_constant(const struct rb_param *p, const struct rb_yaml *node,
                             struct rb_errors *errors) {
    if (p->type != RB_PARAM_STRING)
        return rb_value_json(node, errors);
    struct rb_text text;
    if (!rb_value_text(node, &text, errors))
        return NULL;
    json_t *value = json_stringn(text.at ? text.at : "", text.len);
    if (!value)
        rb_yaml_error(node, errors, "out of memory");
    return value;
}

/* Checks what is written in the definition as if a job had brought it. */
static bool fits(const struct rb_param *p, const struct rb_yaml *node,
                 const json_t *value, struct rb_errors *errors) {
    struct rb_error error;
    if (value && rb_param_check(p, value, &error) == RB_OK)
        return true;
    if (value)
        rb_yaml_error(node, errors, "%s", error.text);
    return false;
}

static void read_enum(struct rb_param *p, const struct rb_yaml *node,
                      struct rb_errors *errors) {
    if (!rb_value_is(node, RB_YAML_SEQUENCE, errors))
        return;
    if (node->count == 0) {
        rb_yaml_error(node, errors, "expected at least one value");
        return;
    }
    json_t *choices = json_array();
    for (size_t i = 0; i < node->count; i++) {
        json_t *value = read_constant(p, &node->items[i], errors);
        if (!fits(p, &node->items[i], value, errors))
            json_decref(value);
        else if (json_array_append_new(choices, value) != 0)
            rb_yaml_error(node, errors, "out of memory");
    }
    p->choices = choices; /* only now: a choice is not compared with the others */
}

static void read_default(struct rb_param *p, const struct rb_yaml *node,
                         struct rb_errors *errors) {
    p->fallback = read_constant(p, node, errors);
    fits(p, node, p->fallback, errors);
}

/* In the order in which they are read: `default` must fit all others. */
static const struct attribute {
    const char *name;
    unsigned types; /* on which it makes sense */
    void (*read)(struct rb_param *p, const struct rb_yaml *node,
                 struct rb_errors *errors);
} attributes[] = {
    {"type", ANY, NULL}, /* read first, the others depend on it */
    {"description", ANY, NULL},
    {"required", ANY, read_required},
    {"pattern", ON(RB_PARAM_STRING), read_pattern},
    {"min_length", ON(RB_PARAM_STRING), read_min_length},
    {"max_length", ON(RB_PARAM_STRING), read_max_length},
    {"minimum", NUMERIC, read_minimum},
    {"maximum", NUMERIC, read_maximum},
    {"max_items", ON(RB_PARAM_ARRAY), read_max_items},
    {"enum", ANY, read_enum},
    {"default", ANY, read_default},
};
#define ATTRIBUTES (sizeof attributes / sizeof attributes[0])

static bool read_type(struct rb_param *p, const struct rb_yaml *node,
                      struct rb_errors *errors) {
    const char *known[RB_PARAM_TYPES + 1] = {NULL};
    struct rb_text name;
    p->type = RB_PARAM_STRING;
    if (!node)
        return true;
    if (!rb_value_text(node, &name, errors))
        return false;
    for (unsigned type = 0; type < RB_PARAM_TYPES; type++) {
        known[type] = rb_param_type_name((enum rb_param_type)type);
        if (!rb_text_is(name, known[type]))
            continue;
        p->type = (enum rb_param_type)type;
        return true;
    }
    const char *nearest = rb_text_nearest(name, known);
    rb_yaml_error(node, errors,
                  "expected string, integer, number, boolean, array or object, got "
                  "\"" RB_TEXT_FMT "\"%s%s%s",
                  RB_TEXT_ARG(name), nearest ? "; did you mean \"" : "",
                  nearest ? nearest : "", nearest ? "\"?" : "");
    return false;
}

static void check_contradictions(const struct rb_param *p, const struct rb_yaml *node,
                                 struct rb_errors *errors) {
    if (p->required && p->fallback)
        rb_yaml_key_error(rb_yaml_get(node, "default"), errors,
                          "a required parameter has no use for a default");
    if (p->min_length > p->max_length)
        rb_yaml_error(rb_yaml_get(node, "min_length"), errors,
                      "min_length is above max_length (%lld)", (long long)p->max_length);
    if (p->minimum && p->maximum &&
        json_number_value(p->minimum) > json_number_value(p->maximum))
        rb_yaml_error(rb_yaml_get(node, "minimum"), errors, "minimum is above maximum");
}

static void read_param(struct rb_param *p, const struct rb_yaml *node,
                       struct rb_errors *errors) {
    const char *names[ATTRIBUTES + 1] = {NULL};
    p->max_length = p->max_items = INT64_MAX;
    if (!rb_value_is(node, RB_YAML_MAPPING, errors))
        return;
    for (size_t i = 0; i < ATTRIBUTES; i++)
        names[i] = attributes[i].name;
    rb_yaml_only(node, names, errors);
    if (!read_type(p, rb_yaml_get(node, "type"), errors))
        return;
    if (rb_yaml_get(node, "pattern"))
        p->max_length = MATCHED_LENGTH_MAX;
    size_t before = errors->count;
    for (size_t i = 0; i < ATTRIBUTES; i++) {
        const struct attribute *a = &attributes[i];
        const struct rb_yaml *value = rb_yaml_get(node, a->name);
        if (!value || !a->read)
            continue;
        if (a->types & ON(p->type))
            a->read(p, value, errors);
        else
            rb_yaml_key_error(value, errors,
                              "\"%s\" says nothing about a parameter of "
                              "type %s",
                              a->name, rb_param_type_name(p->type));
    }
    if (errors->count == before)
        check_contradictions(p, node, errors);
}

struct rb_params *rb_params_compile(const struct rb_yaml *node,
                                    struct rb_errors *errors) {
    size_t before = errors->count;
    if (node && !rb_value_is(node, RB_YAML_MAPPING, errors))
        return NULL;
    size_t count = node ? node->count : 0;
    struct rb_params *params = calloc(1, sizeof *params);
    if (params) {
        params->items = calloc(count + 1, sizeof *params->items);
        params->names = calloc(count + 1, sizeof *params->names);
    }
    if (!params || !params->items || !params->names) {
        rb_params_free(params);
        rb_errors_add(errors, node ? node->file : NULL, 0, 0, "out of memory");
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        const struct rb_yaml *item = &node->items[i];
        struct rb_param *param = &params->items[i];
        param->name = rb_text_copy(item->key);
        if (!param->name) {
            rb_yaml_error(item, errors, "out of memory");
            break;
        }
        params->names[i] = param->name;
        params->count++;
        if (rb_value_is_name(item, "parameter", errors))
            read_param(param, item, errors);
    }
    if (errors->count == before)
        return params;
    rb_params_free(params);
    return NULL;
}

void rb_params_free(struct rb_params *params) {
    if (!params)
        return;
    for (size_t i = 0; i < params->count; i++) {
        struct rb_param *p = &params->items[i];
        free(p->name);
        json_decref(p->fallback);
        json_decref(p->choices);
        json_decref(p->minimum);
        json_decref(p->maximum);
        rb_pattern_free(p->pattern);
    }
    free(params->items);
    free(params->names);
    free(params);
}
