/* One setting's value: read from text, checked against its row, stored, compared, freed.
 */
#include <stdlib.h>

#include "config/settings_table.h"

#define MAX_ITEMS 256
#define SHOWN_BYTES 64 /* of a wrong value, in a message */

static void *slot(const struct rb_setting *setting, struct rb_settings *settings) {
    return (char *)settings + setting->offset;
}

static const void *const_slot(const struct rb_setting *setting,
                              const struct rb_settings *settings) {
    return (const char *)settings + setting->offset;
}

static void add_scaled(struct rb_buffer *out, int64_t value, const int64_t *factors,
                       const char *const *names) {
    while (*factors > 1 && (value == 0 || value % *factors != 0)) {
        factors++;
        names++;
    }
    rb_buffer_int(out, value / *factors);
    rb_buffer_string(out, *names);
}

void rb_setting_add_number(const struct rb_setting *setting, int64_t value,
                           struct rb_buffer *out) {
    static const int64_t times[] = {86400000, 3600000, 60000, 1000, 1};
    static const char *const time_names[] = {"d", "h", "m", "s", "ms"};
    static const int64_t sizes[] = {1 << 30, 1 << 20, 1 << 10, 1};
    static const char *const size_names[] = {"GiB", "MiB", "KiB", ""};

    if (setting->type == RB_SETTING_DURATION && value == 0)
        rb_buffer_char(out, '0');
    else if (setting->type == RB_SETTING_DURATION)
        add_scaled(out, value, times, time_names);
    else if (setting->type == RB_SETTING_BYTES)
        add_scaled(out, value, sizes, size_names);
    else
        rb_buffer_int(out, value);
}

static void add_range(const struct rb_setting *setting, struct rb_buffer *out,
                      const char *what) {
    rb_buffer_string(out, what);
    rb_buffer_string(out, " from ");
    rb_setting_add_number(setting, setting->min, out);
    rb_buffer_string(out, " to ");
    rb_setting_add_number(setting, setting->max, out);
    rb_buffer_string(out, ", e.g. ");
    rb_buffer_string(out, setting->standard);
}

void rb_setting_expected(const struct rb_setting *setting, struct rb_buffer *out) {
    switch (setting->type) {
    case RB_SETTING_STRING:
    case RB_SETTING_LIST:
        rb_buffer_string(out, setting->expected);
        break;
    case RB_SETTING_INTEGER:
        add_range(setting, out, "a number");
        break;
    case RB_SETTING_DURATION:
        add_range(setting, out, "a duration");
        break;
    case RB_SETTING_BYTES:
        add_range(setting, out, "a size");
        break;
    case RB_SETTING_PROCESSES:
        add_range(setting, out, "auto or a number");
        break;
    case RB_SETTING_CHOICE:
        for (size_t i = 0; setting->choices[i]; i++) {
            rb_buffer_string(out, i == 0 ? "" : setting->choices[i + 1] ? ", " : " or ");
            rb_buffer_string(out, setting->choices[i]);
        }
        break;
    case RB_SETTING_BOOLEAN:
        rb_buffer_string(out, "true or false");
        break;
    }
}

static enum rb_status refuse(const struct rb_setting *setting, struct rb_text text,
                             struct rb_buffer *why) {
    rb_buffer_string(why, setting->key);
    rb_buffer_string(why, ": expected ");
    rb_setting_expected(setting, why);
    rb_buffer_string(why, ", got ");
    bool cut = text.len > SHOWN_BYTES;
    rb_buffer_json(why, rb_text(text.at, cut ? SHOWN_BYTES : text.len));
    if (cut)
        rb_buffer_string(why, "…");
    return RB_INVALID;
}

/* Strings end at a NUL in C, and a line break within one is an accident of quoting. */
static bool has_control(struct rb_text text) {
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.at[i] < 0x20 || text.at[i] == 0x7f)
            return true;
    return false;
}

static bool read_number(const struct rb_setting *setting, struct rb_text text,
                        int64_t *value) {
    enum rb_status status = RB_INVALID;
    switch (setting->type) {
    case RB_SETTING_DURATION:
        status = rb_text_duration_ms(text, value);
        break;
    case RB_SETTING_BYTES:
        status = rb_text_bytes(text, value);
        break;
    case RB_SETTING_PROCESSES:
        if (rb_text_is(text, "auto")) {
            *value = RB_PROCESSES_AUTO;
            return true;
        }
        status = rb_text_int64(text, value);
        break;
    case RB_SETTING_CHOICE:
        for (size_t i = 0; setting->choices[i]; i++) {
            if (rb_text_is(text, setting->choices[i])) {
                *value = (int64_t)i;
                return true;
            }
        }
        return false;
    default:
        status = rb_text_int64(text, value);
        break;
    }
    return status == RB_OK && *value >= setting->min && *value <= setting->max;
}

static enum rb_status store_one(const struct rb_setting *setting,
                                struct rb_settings *settings, struct rb_text text,
                                struct rb_buffer *why) {
    void *to = slot(setting, settings);
    if (setting->type == RB_SETTING_STRING) {
        if (has_control(text) || !setting->valid(text))
            return refuse(setting, text, why);
        char *copy = rb_text_copy(text);
        if (!copy)
            return RB_NOMEM;
        free(*(char **)to);
        *(char **)to = copy;
        return RB_OK;
    }
    if (setting->type == RB_SETTING_BOOLEAN)
        return rb_text_bool(text, to) == RB_OK ? RB_OK : refuse(setting, text, why);
    int64_t value;
    if (!read_number(setting, text, &value))
        return refuse(setting, text, why);
    *(int64_t *)to = value;
    return RB_OK;
}

static void free_list(struct rb_list *list) {
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct rb_list){NULL, 0};
}

static enum rb_status check_list(const struct rb_setting *setting,
                                 const struct rb_text *texts, size_t count,
                                 struct rb_buffer *why, size_t *bad) {
    *bad = count;
    if (count < (size_t)setting->min || count > (size_t)setting->max) {
        rb_buffer_printf(why, "%s: expected %lld to %lld of: ", setting->key,
                         (long long)setting->min, (long long)setting->max);
        rb_setting_expected(setting, why);
        rb_buffer_printf(why, "; got %zu", count);
        return RB_INVALID;
    }
    for (size_t i = 0; i < count; i++) {
        *bad = i;
        if (has_control(texts[i]) || !setting->valid(texts[i]))
            return refuse(setting, texts[i], why);
        for (size_t k = 0; k < i; k++) {
            if (rb_text_equal(texts[i], texts[k])) {
                rb_buffer_printf(why, "%s: ", setting->key);
                rb_buffer_json(why, texts[i]);
                rb_buffer_string(why, " is listed twice");
                return RB_INVALID;
            }
        }
    }
    return RB_OK;
}

static enum rb_status store_list(const struct rb_setting *setting,
                                 struct rb_settings *settings,
                                 const struct rb_text *texts, size_t count,
                                 struct rb_buffer *why, size_t *bad) {
    enum rb_status status = check_list(setting, texts, count, why, bad);
    if (status != RB_OK)
        return status;
    struct rb_list list = {calloc(count > 0 ? count : 1, sizeof *list.items), 0};
    if (!list.items)
        return RB_NOMEM;
    for (; list.count < count; list.count++) {
        list.items[list.count] = rb_text_copy(texts[list.count]);
        if (!list.items[list.count]) {
            free_list(&list);
            return RB_NOMEM;
        }
    }
    struct rb_list *to = slot(setting, settings);
    free_list(to);
    *to = list;
    return RB_OK;
}

enum rb_status rb_setting_store(const struct rb_setting *setting,
                                struct rb_settings *settings, const struct rb_text *texts,
                                size_t count, struct rb_buffer *why, size_t *bad) {
    *bad = 0;
    if (setting->type == RB_SETTING_LIST)
        return store_list(setting, settings, texts, count, why, bad);
    return store_one(setting, settings, texts[0], why);
}

enum rb_status rb_setting_store_text(const struct rb_setting *setting,
                                     struct rb_settings *settings, struct rb_text text,
                                     struct rb_buffer *why) {
    struct rb_text items[MAX_ITEMS + 1], part;
    size_t count = 0, bad;
    if (setting->type != RB_SETTING_LIST)
        return rb_setting_store(setting, settings, &text, 1, why, &bad);
    while (count <= MAX_ITEMS && rb_text_next(&text, ',', &part))
        items[count++] = rb_text_trim(part);
    return rb_setting_store(setting, settings, items, count, why, &bad);
}

static bool same_list(const struct rb_list *a, const struct rb_list *b) {
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    return true;
}

bool rb_setting_same(const struct rb_setting *setting, const struct rb_settings *a,
                     const struct rb_settings *b) {
    const void *x = const_slot(setting, a), *y = const_slot(setting, b);
    switch (setting->type) {
    case RB_SETTING_STRING:
        return strcmp(*(char *const *)x, *(char *const *)y) == 0;
    case RB_SETTING_LIST:
        return same_list(x, y);
    case RB_SETTING_BOOLEAN:
        return *(const bool *)x == *(const bool *)y;
    default:
        return *(const int64_t *)x == *(const int64_t *)y;
    }
}

void rb_setting_clear(const struct rb_setting *setting, struct rb_settings *settings) {
    void *at = slot(setting, settings);
    if (setting->type == RB_SETTING_LIST) {
        free_list(at);
    } else if (setting->type == RB_SETTING_STRING) {
        free(*(char **)at);
        *(char **)at = NULL;
    }
}
