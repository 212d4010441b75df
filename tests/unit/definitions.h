/* For tests: a definition out of YAML text, and the mistakes of one. */
#ifndef RB_TESTS_UNIT_DEFINITIONS_H
#define RB_TESTS_UNIT_DEFINITIONS_H

#include <stdio.h>

#include "jobs/definition.h"

static inline struct rb_definition *compile_definition(const char *text,
                                                       struct rb_errors *errors) {
    struct rb_yaml *root;
    struct rb_definition *definition = NULL;
    *errors = (struct rb_errors){0};
    if (rb_yaml_parse("services/test.yaml", rb_text_of(text), &root, errors) == RB_OK)
        definition = rb_definition_compile("services/test.yaml", root, errors);
    rb_yaml_free(root);
    return definition;
}

/* Must be right. */
static inline struct rb_definition *definition_of(const char *text) {
    struct rb_errors errors;
    struct rb_definition *definition = compile_definition(text, &errors);
    rb_errors_print(&errors);
    assert_non_null(definition);
    assert_int_equal(errors.count, 0);
    return definition;
}

/* Must be wrong: "line:column: text", all mistakes, each on a line. */
static inline void assert_mistakes(const char *text, const char *expected) {
    struct rb_errors errors;
    struct rb_buffer all;
    struct rb_definition *definition = compile_definition(text, &errors);
    assert_null(definition);
    rb_buffer_init(&all, 32768);
    rb_buffer_string(&all, "");
    for (size_t i = 0; i < errors.count && i < RB_ERRORS_KEPT; i++) {
        const struct rb_error *e = &errors.kept[i];
        assert_string_equal(e->file, "services/test.yaml");
        rb_buffer_printf(&all, "%d:%d: %s\n", e->line, e->column, e->text);
    }
    assert_string_equal(all.at, expected);
    rb_buffer_fini(&all);
}

static inline json_t *json_of(const char *text) {
    json_error_t error;
    json_t *value = json_loads(text, JSON_DECODE_ANY, &error);
    if (!value)
        fail_msg("%s in %s", error.text, text);
    return value;
}

#endif
