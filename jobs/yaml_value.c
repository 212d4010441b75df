/* Reads single values of a definition and tells what was expected. */
#include "jobs/yaml_value.h"

#include <inttypes.h>
#include <stdio.h>

#include "jobs/json_scan.h"

bool rb_value_is(const struct rb_yaml *node, enum rb_yaml_kind kind,
                 struct rb_errors *errors) {
    static const char *const kinds[] = {"a string", "a list", "a mapping"};
    if (node->kind == kind)
        return true;
    rb_yaml_error(node, errors, "expected %s, got %s", kinds[kind],
                  rb_yaml_describe(node));
    return false;
}

static bool scalar(const struct rb_yaml *node, const char *expected,
                   struct rb_errors *errors) {
    if (node->kind == RB_YAML_SCALAR && !rb_yaml_is_null(node) &&
        (node->text.len == 0 || !memchr(node->text.at, '\0', node->text.len)))
        return true;
    const char *got = rb_yaml_describe(node);
    if (node->kind == RB_YAML_SCALAR && !rb_yaml_is_null(node))
        got = "a string with NUL in it";
    rb_yaml_error(node, errors, "expected %s, got %s", expected, got);
    return false;
}

bool rb_value_text(const struct rb_yaml *node, struct rb_text *text,
                   struct rb_errors *errors) {
    if (!scalar(node, "a string", errors))
        return false;
    *text = node->text;
    return true;
}

char *rb_value_string(const struct rb_yaml *node, struct rb_errors *errors) {
    struct rb_text text;
    if (!rb_value_text(node, &text, errors))
        return NULL;
    char *copy = rb_text_copy(text);
    if (!copy)
        rb_yaml_error(node, errors, "out of memory");
    return copy;
}

bool rb_value_bool(const struct rb_yaml *node, bool *value, struct rb_errors *errors) {
    if (!scalar(node, "true or false", errors))
        return false;
    if (rb_text_bool(node->text, value) == RB_OK)
        return true;
    rb_yaml_error(node, errors, "expected true or false, got \"" RB_TEXT_FMT "\"",
                  RB_TEXT_ARG(node->text));
    return false;
}

/* One number in some unit, within bounds that are told in the same words. */
static bool measure(const struct rb_yaml *node, const char *expected,
                    enum rb_status (*read)(struct rb_text, int64_t *), int64_t min,
                    int64_t max, int64_t *value, struct rb_errors *errors) {
    int64_t n;
    if (!scalar(node, expected, errors))
        return false;
    if (read(node->text, &n) != RB_OK || n < min || n > max) {
        rb_yaml_error(node, errors, "expected %s, got \"" RB_TEXT_FMT "\"", expected,
                      RB_TEXT_ARG(node->text));
        return false;
    }
    *value = n;
    return true;
}

bool rb_value_int(const struct rb_yaml *node, int64_t min, int64_t max, int64_t *value,
                  struct rb_errors *errors) {
    char expected[96];
    snprintf(expected, sizeof expected, "a whole number from %" PRId64 " to %" PRId64,
             min, max);
    return measure(node, expected, rb_text_int64, min, max, value, errors);
}

static void write_duration(char *out, size_t room, int64_t ms) {
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
    size_t unit = 0;
    while (units[unit].ms > 1 && (ms < units[unit].ms || ms % units[unit].ms != 0))
        unit++;
    snprintf(out, room, "%" PRId64 "%s", ms / units[unit].ms, units[unit].name);
}

bool rb_value_duration(const struct rb_yaml *node, int64_t min_ms, int64_t max_ms,
                       int64_t *ms, struct rb_errors *errors) {
    char expected[128], least[32], most[32];
    write_duration(least, sizeof least, min_ms);
    write_duration(most, sizeof most, max_ms);
    snprintf(expected, sizeof expected,
             "a duration from %s to %s (a number with ms, s, m, h or d)", least, most);
    return measure(node, expected, rb_text_duration_ms, min_ms, max_ms, ms, errors);
}

static void write_bytes(char *out, size_t room, int64_t bytes) {
    static const char *const units[] = {"", "KiB", "MiB", "GiB"};
    size_t unit = 0;
    while (unit < 3 && bytes >= 1024 && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    snprintf(out, room, "%" PRId64 "%s", bytes, units[unit]);
}

bool rb_value_bytes(const struct rb_yaml *node, int64_t min, int64_t max, int64_t *bytes,
                    struct rb_errors *errors) {
    char expected[128], least[32], most[32];
    write_bytes(least, sizeof least, min);
    write_bytes(most, sizeof most, max);
    snprintf(expected, sizeof expected, "a size from %s to %s (bytes, or with KiB, MiB)",
             least, most);
    return measure(node, expected, rb_text_bytes, min, max, bytes, errors);
}

static bool digits(struct rb_text *text, const char *legal) {
    size_t len = 0;
    while (len < text->len && text->at[len] != '\0' && strchr(legal, text->at[len]))
        len++;
    *text = rb_text(text->at + len, text->len - len);
    return len > 0;
}

/* The numbers of YAML 1.2's core schema (§10.3.2), of which JSON's are a part. */
static bool yaml_number(struct rb_text text) {
    if (rb_text_starts(text, RB_TEXT("0x")) || rb_text_starts(text, RB_TEXT("0o"))) {
        bool hex = text.at[1] == 'x';
        text = rb_text(text.at + 2, text.len - 2);
        return digits(&text, hex ? "0123456789abcdefABCDEF" : "01234567") &&
               text.len == 0;
    }
    if (text.len > 0 && (text.at[0] == '-' || text.at[0] == '+'))
        text = rb_text(text.at + 1, text.len - 1);
    if (rb_text_is(text, ".inf") || rb_text_is(text, ".Inf") ||
        rb_text_is(text, ".INF") || rb_text_is(text, ".nan") ||
        rb_text_is(text, ".NaN") || rb_text_is(text, ".NAN"))
        return true;
    bool whole = digits(&text, "0123456789"), fraction = false;
    if (text.len > 0 && text.at[0] == '.') {
        text = rb_text(text.at + 1, text.len - 1);
        fraction = digits(&text, "0123456789");
    }
    if (!whole && !fraction)
        return false;
    if (text.len > 0 && (text.at[0] | 0x20) == 'e') {
        text = rb_text(text.at + 1, text.len - 1);
        if (text.len > 0 && (text.at[0] == '-' || text.at[0] == '+'))
            text = rb_text(text.at + 1, text.len - 1);
        if (!digits(&text, "0123456789"))
            return false;
    }
    return text.len == 0;
}

static json_t *scalar_json(const struct rb_yaml *node, struct rb_errors *errors) {
    static const char *const yes[] = {"true", "True", "TRUE"};
    static const char *const no[] = {"false", "False", "FALSE"};
    struct rb_text text = node->text;
    if (rb_yaml_is_null(node))
        return json_null();
    if (!scalar(node, "a value", errors))
        return NULL;
    for (size_t i = 0; i < 3 && !node->quoted; i++) {
        if (rb_text_is(text, yes[i]) || rb_text_is(text, no[i]))
            return json_boolean(rb_text_is(text, yes[i]));
    }
    json_t *value;
    if (!node->quoted && yaml_number(text)) {
        if (rb_json_check(text, NULL) != RB_OK) {
            rb_yaml_error(node, errors,
                          "\"" RB_TEXT_FMT "\" is a number to YAML but not to JSON: "
                          "quote it, or write it as JSON does",
                          RB_TEXT_ARG(text));
            return NULL;
        }
        json_error_t error;
        value = json_loadb(text.at, text.len, JSON_DECODE_ANY, &error);
        if (!value && json_error_code(&error) == json_error_numeric_overflow)
            rb_yaml_error(node, errors, "the number is out of range");
        else if (!value)
            rb_yaml_error(node, errors, "out of memory");
        return value;
    }
    value = json_stringn(text.at ? text.at : "", text.len);
    if (!value)
        rb_yaml_error(node, errors, "out of memory");
    return value;
}

json_t *rb_value_json(const struct rb_yaml *node, struct rb_errors *errors) {
    if (node->kind == RB_YAML_SCALAR)
        return scalar_json(node, errors);
    bool mapping = node->kind == RB_YAML_MAPPING, ok = true;
    json_t *out = mapping ? json_object() : json_array();
    for (size_t i = 0; i < node->count; i++) {
        const struct rb_yaml *item = &node->items[i];
        json_t *value = rb_value_json(item, errors);
        if (!value)
            ok = false; /* told already; go on to the next mistake */
        else if (mapping ? json_object_set_new(out, item->key.at, value)
                         : json_array_append_new(out, value)) {
            rb_yaml_error(item, errors, "out of memory");
            ok = false;
        }
    }
    if (ok && out)
        return out;
    if (!out)
        rb_yaml_error(node, errors, "out of memory");
    json_decref(out);
    return NULL;
}

size_t rb_value_count(const struct rb_yaml *node) {
    return node->kind == RB_YAML_SEQUENCE ? node->count : 1;
}

const struct rb_yaml *rb_value_at(const struct rb_yaml *node, size_t i) {
    return node->kind == RB_YAML_SEQUENCE ? &node->items[i] : node;
}

bool rb_value_is_name(const struct rb_yaml *node, const char *what,
                      struct rb_errors *errors) {
    static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    struct rb_text rest = node->key;
    bool legal = rest.len > 0 && rest.len <= 64 && memchr(first, rest.at[0], 53);
    for (size_t i = 0; i < rest.len && legal; i++)
        legal = memchr(first, rest.at[i], 53) || rest.at[i] == '-' ||
                (rest.at[i] >= '0' && rest.at[i] <= '9');
    if (!legal)
        rb_yaml_key_error(node, errors,
                          "\"" RB_TEXT_FMT "\" can't name a %s: expected a letter or _, "
                          "then letters, digits, _ or -, 64 at most",
                          RB_TEXT_ARG(node->key), what);
    return legal;
}
