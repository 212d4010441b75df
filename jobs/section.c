/* Members of a definition's sections, by key. */
#include "jobs/section.h"

#include "jobs/yaml_value.h"

bool rb_section_open(const struct rb_yaml *section, const char *const *known,
                     const char *const *needed, struct rb_errors *errors) {
    if (!rb_value_is(section, RB_YAML_MAPPING, errors))
        return false;
    rb_yaml_only(section, known, errors);
    for (; needed && *needed; needed++)
        if (!rb_yaml_get(section, *needed))
            rb_yaml_key_error(section, errors, "%s is missing", *needed);
    return true;
}

void rb_section_duration(const struct rb_yaml *section, const char *key, int64_t min_ms,
                         int64_t max_ms, int64_t *ms, struct rb_errors *errors) {
    const struct rb_yaml *node = rb_yaml_get(section, key);
    if (node)
        rb_value_duration(node, min_ms, max_ms, ms, errors);
}

void rb_section_int(const struct rb_yaml *section, const char *key, int64_t min,
                    int64_t max, int64_t *value, struct rb_errors *errors) {
    const struct rb_yaml *node = rb_yaml_get(section, key);
    if (node)
        rb_value_int(node, min, max, value, errors);
}

void rb_section_bool(const struct rb_yaml *section, const char *key, bool *value,
                     struct rb_errors *errors) {
    const struct rb_yaml *node = rb_yaml_get(section, key);
    if (node)
        rb_value_bool(node, value, errors);
}

void rb_section_percent(const struct rb_yaml *section, const char *key, int64_t *percent,
                        struct rb_errors *errors) {
    const struct rb_yaml *node = rb_yaml_get(section, key);
    struct rb_text text;
    int64_t value;
    if (!node || !rb_value_text(node, &text, errors))
        return;
    struct rb_text digits = text;
    if (text.len > 0 && text.at[text.len - 1] == '%')
        digits.len--;
    if (rb_text_int64(digits, &value) == RB_OK && value >= 1 && value <= 100)
        *percent = value;
    else
        rb_yaml_error(node, errors,
                      "expected a percentage from 1 to 100, got \"" RB_TEXT_FMT "\"",
                      RB_TEXT_ARG(text));
}
