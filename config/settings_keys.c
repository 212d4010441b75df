/* Finding settings by name, and guessing which name was meant. */
#include "config/settings_table.h"

#define NAME_BYTES 64 /* longer than any key */
#define MAX_NAMES 64  /* more than there are keys */
#define SHOWN_BYTES 64

const struct rb_setting *rb_settings_find(struct rb_text key) {
    for (size_t i = 0; i < rb_settings_count; i++)
        if (rb_text_is(key, rb_settings_table[i].key))
            return &rb_settings_table[i];
    return NULL;
}

/* What stands behind "<prefix>." in a key, up to the next dot; false when the key is
 * elsewhere. The empty prefix gives the section. */
static bool child_name(const char *key, struct rb_text prefix, struct rb_text *name) {
    struct rb_text rest = rb_text_of(key);
    if (prefix.len > 0) {
        if (!rb_text_starts(rest, prefix) || key[prefix.len] != '.')
            return false;
        rest = rb_text(rest.at + prefix.len + 1, rest.len - prefix.len - 1);
    }
    return rb_text_next(&rest, '.', name);
}

bool rb_settings_is_section(struct rb_text path) {
    struct rb_text name;
    for (size_t i = 0; i < rb_settings_count; i++)
        if (child_name(rb_settings_table[i].key, path, &name))
            return true;
    return false;
}

struct names {
    char at[MAX_NAMES][NAME_BYTES];
    const char *list[MAX_NAMES + 1];
};

static void names_below(struct names *names, struct rb_text prefix) {
    size_t count = 0;
    struct rb_text name;
    for (size_t i = 0; i < rb_settings_count && count < MAX_NAMES; i++) {
        if (!child_name(rb_settings_table[i].key, prefix, &name) ||
            name.len >= NAME_BYTES)
            continue;
        if (count > 0 && rb_text_is(name, names->list[count - 1]))
            continue; /* the keys of a section stand together in the table */
        memcpy(names->at[count], name.at, name.len);
        names->at[count][name.len] = '\0';
        names->list[count] = names->at[count];
        count++;
    }
    names->list[count] = NULL;
}

/* The key of another section whose last part is (nearly) this: "lisen" →
 * "notifier.listen". */
static const char *nearest_elsewhere(struct rb_text name) {
    const char *last[MAX_NAMES + 1];
    size_t count = 0;
    for (; count < rb_settings_count && count < MAX_NAMES; count++)
        last[count] = strrchr(rb_settings_table[count].key, '.') + 1;
    last[count] = NULL;
    const char *nearest = rb_text_nearest(name, last);
    for (size_t i = 0; nearest && i < count; i++)
        if (last[i] == nearest)
            return rb_settings_table[i].key;
    return NULL;
}

static void add_path(struct rb_buffer *out, struct rb_text prefix, struct rb_text name) {
    rb_buffer_char(out, '"');
    rb_buffer_text(out, prefix);
    if (prefix.len > 0)
        rb_buffer_char(out, '.');
    rb_buffer_text(out,
                   rb_text(name.at, name.len < SHOWN_BYTES ? name.len : SHOWN_BYTES));
    rb_buffer_string(out, name.len > SHOWN_BYTES ? "…\"" : "\"");
}

void rb_settings_unknown(struct rb_text prefix, struct rb_text name,
                         struct rb_buffer *out) {
    struct names names;
    names_below(&names, prefix);
    rb_buffer_string(out, "unknown key ");
    add_path(out, prefix, name);

    const char *nearest = rb_text_nearest(name, names.list);
    const char *elsewhere = nearest ? NULL : nearest_elsewhere(name);
    if (rb_settings_find(name)) {
        rb_buffer_string(out, "; write its section as a mapping, without the dot");
    } else if (nearest || elsewhere) {
        rb_buffer_string(out, "; did you mean ");
        add_path(out, nearest ? prefix : RB_TEXT(""),
                 rb_text_of(nearest ? nearest : elsewhere));
        rb_buffer_char(out, '?');
    } else {
        rb_buffer_string(out, "; known are: ");
        for (size_t i = 0; names.list[i]; i++)
            rb_buffer_printf(out, "%s%s", i > 0 ? ", " : "", names.list[i]);
    }
}

const char *rb_settings_nearest(struct rb_text key) {
    const char *keys[MAX_NAMES + 1];
    size_t count = 0;
    for (; count < rb_settings_count && count < MAX_NAMES; count++)
        keys[count] = rb_settings_table[count].key;
    keys[count] = NULL;
    const char *nearest = rb_text_nearest(key, keys);
    return nearest ? nearest : nearest_elsewhere(key);
}

void rb_setting_variable(const struct rb_setting *setting,
                         char out[RB_SETTING_VARIABLE]) {
    struct rb_text prefix = RB_TEXT(RB_SETTING_PREFIX);
    size_t len = prefix.len;
    memcpy(out, prefix.at, len);
    for (const char *k = setting->key; *k && len < RB_SETTING_VARIABLE - 1; k++) {
        char upper = *k >= 'a' && *k <= 'z' ? (char)(*k - 'a' + 'A') : *k;
        out[len++] = upper == '.' ? '_' : upper;
    }
    out[len] = '\0';
}

const struct rb_setting *rb_settings_find_variable(struct rb_text name) {
    char variable[RB_SETTING_VARIABLE];
    for (size_t i = 0; i < rb_settings_count; i++) {
        rb_setting_variable(&rb_settings_table[i], variable);
        if (rb_text_is(name, variable))
            return &rb_settings_table[i];
    }
    return NULL;
}

const struct rb_setting *rb_settings_nearest_variable(struct rb_text name) {
    char variables[MAX_NAMES][RB_SETTING_VARIABLE];
    const char *list[MAX_NAMES + 1];
    size_t count = 0, prefix = sizeof RB_SETTING_PREFIX - 1;
    for (; count < rb_settings_count && count < MAX_NAMES; count++) {
        rb_setting_variable(&rb_settings_table[count], variables[count]);
        list[count] = variables[count] + prefix; /* what all share buys no more slips */
    }
    list[count] = NULL;
    const char *nearest =
        rb_text_nearest(rb_text(name.at + prefix, name.len - prefix), list);
    for (size_t i = 0; i < count; i++)
        if (list[i] == nearest)
            return &rb_settings_table[i];
    return NULL;
}
