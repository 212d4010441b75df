/* Values of a definition's sections: durations, numbers, percentages, switches. */
#include "jobs/section.h"

#include "config/buffer.h"

#define SHOWN_BYTES 64 /* of a wrong value, in a message */
#define WORDS_BYTES 512

/* `key: expected <what>, got <what was found>`, at the value. */
static void expected(const struct rb_yaml *node, const char *name, const char *what,
                     struct rb_errors *errors) {
    if (node->kind != RB_YAML_SCALAR || rb_yaml_is_null(node)) {
        rb_yaml_error(node, errors, "%s: expected %s, got %s", name, what,
                      rb_yaml_describe(node));
        return;
    }
    struct rb_text shown = node->text;
    if (shown.len > SHOWN_BYTES)
        shown.len = SHOWN_BYTES;
    rb_yaml_error(node, errors, "%s: expected %s, got \"" RB_TEXT_FMT "%s\"", name, what,
                  RB_TEXT_ARG(shown), node->text.len > SHOWN_BYTES ? "…" : "");
}

/* The largest unit that says the duration in a whole number. */
static void add_duration(struct rb_buffer *out, int64_t ms) {
    static const struct {
        int64_t ms;
        const char *name;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
    size_t i = 0;
    while (units[i].ms > 1 && (ms == 0 || ms % units[i].ms != 0))
        i++;
    rb_buffer_int(out, ms / units[i].ms);
    rb_buffer_string(out, ms == 0 ? "" : units[i].name);
}

void rb_section_read_duration(const struct rb_yaml *node, const char *name,
                              int64_t min_ms, int64_t max_ms, int64_t *ms,
                              struct rb_errors *errors) {
    int64_t value;
    if (node->kind == RB_YAML_SCALAR &&
        rb_text_duration_ms(node->text, &value) == RB_OK && value >= min_ms &&
        value <= max_ms) {
        *ms = value;
        return;
    }
    struct rb_buffer what;
    rb_buffer_init(&what, WORDS_BYTES);
    rb_buffer_string(&what, "a duration from ");
    add_duration(&what, min_ms);
    rb_buffer_string(&what, " to ");
    add_duration(&what, max_ms);
    rb_buffer_string(&what, ", e.g. 1500ms or 10s");
    expected(node, name, what.status == RB_OK ? what.at : "a duration", errors);
    rb_buffer_fini(&what);
}

void rb_section_read_integer(const struct rb_yaml *node, const char *name, int64_t min,
                             int64_t max, int64_t *value, struct rb_errors *errors) {
    int64_t number;
    if (node->kind == RB_YAML_SCALAR && !node->quoted &&
        rb_text_int64(node->text, &number) == RB_OK && number >= min && number <= max) {
        *value = number;
        return;
    }
    struct rb_buffer what;
    rb_buffer_init(&what, WORDS_BYTES);
    rb_buffer_printf(&what, "a whole number from %lld to %lld", (long long)min,
                     (long long)max);
    expected(node, name, what.status == RB_OK ? what.at : "a whole number", errors);
    rb_buffer_fini(&what);
}

void rb_section_duration(const struct rb_yaml *section, const char *key, int64_t min_ms,
                         int64_t max_ms, int64_t *ms, struct rb_errors *errors) {
    const struct rb_yaml *node = rb_yaml_get(section, key);
    if (node)
        rb_section_read_duration(node, key, min_ms, max_ms, ms, errors);
}

void rb_section_integer(const struct rb_yaml *section, const char *key, int64_t min,
                        int64_t max, int64_t *value, struct rb_errors *errors) {
    const struct rb_yaml *node = rb_yaml_get(section, key);
    if (node)
        rb_section_read_integer(node, key, min, max, value, errors);
}

void rb_section_percent(const struct rb_yaml *section, const char *key, int64_t *percent,
                        struct rb_errors *errors) {
    const struct rb_yaml *node = rb_yaml_get(section, key);
    if (!node)
        return;
    struct rb_text text = node->text;
    if (node->kind == RB_YAML_SCALAR && text.len > 0 && text.at[text.len - 1] == '%')
        text.len--;
    int64_t value;
    if (node->kind == RB_YAML_SCALAR && rb_text_int64(text, &value) == RB_OK &&
        value >= 1 && value <= 100)
        *percent = value;
    else
        expected(node, key, "a percentage from 1 to 100", errors);
}

void rb_section_bool(const struct rb_yaml *section, const char *key, bool *value,
                     struct rb_errors *errors) {
    const struct rb_yaml *node = rb_yaml_get(section, key);
    if (node && (node->kind != RB_YAML_SCALAR || node->quoted ||
                 rb_text_bool(node->text, value) != RB_OK))
        expected(node, key, "true or false", errors);
}

bool rb_section_open(const struct rb_yaml *section, const char *name,
                     const char *const *known, const char *const *needed,
                     struct rb_errors *errors) {
    if (section->kind != RB_YAML_MAPPING) {
        expected(section, name, "a mapping", errors);
        return false;
    }
    rb_yaml_only(section, known, errors);
    for (; needed && *needed; needed++)
        if (!rb_yaml_get(section, *needed))
            rb_yaml_key_error(section, errors, "%s: %s is missing", name, *needed);
    return true;
}
