/* Questions to a YAML tree, and complaints that point into it. */
#include <stdio.h>

#include "config/buffer.h"
#include "config/yaml.h"

const struct rb_yaml *rb_yaml_get(const struct rb_yaml *node, const char *key) {
    if (!node || node->kind != RB_YAML_MAPPING)
        return NULL;
    for (size_t i = 0; i < node->count; i++)
        if (rb_text_is(node->items[i].key, key))
            return &node->items[i];
    return NULL;
}

bool rb_yaml_is_null(const struct rb_yaml *node) {
    return node->kind == RB_YAML_SCALAR && !node->quoted &&
           (node->text.len == 0 || rb_text_is(node->text, "~") ||
            rb_text_is(node->text, "null") || rb_text_is(node->text, "Null") ||
            rb_text_is(node->text, "NULL"));
}

const char *rb_yaml_describe(const struct rb_yaml *node) {
    if (node->kind == RB_YAML_SEQUENCE)
        return "a list";
    if (node->kind == RB_YAML_MAPPING)
        return "a mapping";
    return rb_yaml_is_null(node) ? "nothing" : "a string";
}

static void add_error(const char *file, int line, int column, struct rb_errors *errors,
                      const char *format, va_list args) RB_PRINTF(5, 0);
static void add_error(const char *file, int line, int column, struct rb_errors *errors,
                      const char *format, va_list args) {
    char text[sizeof errors->kept[0].text];
    text[0] = '\0';
    vsnprintf(text, sizeof text, format, args);
    rb_errors_add(errors, file, line, column, "%s", text);
}

void rb_yaml_error(const struct rb_yaml *node, struct rb_errors *errors,
                   const char *format, ...) {
    va_list args;
    va_start(args, format);
    add_error(node->file, node->line, node->column, errors, format, args);
    va_end(args);
}

void rb_yaml_key_error(const struct rb_yaml *node, struct rb_errors *errors,
                       const char *format, ...) {
    va_list args;
    va_start(args, format);
    bool has_key = node->key_line > 0;
    add_error(node->file, has_key ? node->key_line : node->line,
              has_key ? node->key_column : node->column, errors, format, args);
    va_end(args);
}

static void unknown_key(const struct rb_yaml *item, const char *const *known,
                        struct rb_errors *errors) {
    const char *nearest = rb_text_nearest(item->key, known);
    if (nearest) {
        rb_yaml_key_error(item, errors,
                          "unknown key \"" RB_TEXT_FMT "\"; did you mean \"%s\"?",
                          RB_TEXT_ARG(item->key), nearest);
        return;
    }
    char list[256] = "";
    size_t len = 0;
    for (; *known && len < sizeof list; known++) {
        int n = snprintf(list + len, sizeof list - len, "%s%s", len ? ", " : "", *known);
        len += n > 0 ? (size_t)n : 0;
    }
    rb_yaml_key_error(item, errors, "unknown key \"" RB_TEXT_FMT "\"; known are: %s",
                      RB_TEXT_ARG(item->key), list);
}

void rb_yaml_only(const struct rb_yaml *node, const char *const *known,
                  struct rb_errors *errors) {
    if (node->kind != RB_YAML_MAPPING) {
        rb_yaml_error(node, errors, "expected a mapping, got %s", rb_yaml_describe(node));
        return;
    }
    for (size_t i = 0; i < node->count; i++) {
        bool found = false;
        for (size_t k = 0; known[k] && !found; k++)
            found = rb_text_is(node->items[i].key, known[k]);
        if (!found)
            unknown_key(&node->items[i], known, errors);
    }
}
