/* The reference of all settings, written from the table. */
#include "config/settings_table.h"

static const char *const type_names[] = {
    [RB_SETTING_STRING] = "text",    [RB_SETTING_LIST] = "list",
    [RB_SETTING_INTEGER] = "number", [RB_SETTING_DURATION] = "duration",
    [RB_SETTING_BYTES] = "size",     [RB_SETTING_PROCESSES] = "number or auto",
    [RB_SETTING_CHOICE] = "one of",  [RB_SETTING_BOOLEAN] = "true or false",
};

void rb_setting_add_type(const struct rb_setting *setting, struct rb_buffer *out) {
    rb_buffer_string(out, type_names[setting->type]);
    switch (setting->type) {
    case RB_SETTING_STRING:
    case RB_SETTING_LIST:
    case RB_SETTING_BOOLEAN:
        break;
    case RB_SETTING_CHOICE:
        for (size_t i = 0; setting->choices[i]; i++)
            rb_buffer_printf(out, "%s%s", i > 0 ? ", " : " ", setting->choices[i]);
        break;
    default:
        rb_buffer_string(out, ", ");
        rb_setting_add_number(setting, setting->min, out);
        rb_buffer_string(out, " to ");
        rb_setting_add_number(setting, setting->max, out);
        break;
    }
}

static struct rb_text section_of(const struct rb_setting *setting) {
    struct rb_text rest = rb_text_of(setting->key), section = {NULL, 0};
    return rb_text_next(&rest, '.', &section) ? section : rest;
}

static void print_markdown(FILE *out, const struct rb_setting *setting,
                           const char *type) {
    const char *mark = setting->standard[0] ? "`" : "";
    fprintf(out, "| `%s` | %s | %s%s%s | %s | %s |\n", setting->key, type, mark,
            setting->standard[0] ? setting->standard : "(empty)", mark,
            setting->reloads ? "yes" : "no", setting->meaning);
}

static void print_plain(FILE *out, const struct rb_setting *setting, const char *type) {
    char variable[RB_SETTING_VARIABLE];
    rb_setting_variable(setting, variable);
    fprintf(out, "%s (%s; default %s)\n    ", setting->key, type,
            setting->standard[0] ? setting->standard : "empty");
    size_t column = 4;
    struct rb_text rest = rb_text_of(setting->meaning), word;
    while (rb_text_next(&rest, ' ', &word)) {
        if (column > 4 && column + 1 + word.len > 78) {
            fputs("\n    ", out);
            column = 4;
        }
        column += (size_t)(column > 4) + word.len;
        fprintf(out, "%s" RB_TEXT_FMT, column - word.len > 4 ? " " : "",
                RB_TEXT_ARG(word));
    }
    fprintf(out, "\n    %s%s\n\n", variable,
            setting->reloads ? "" : "; a change needs a restart");
}

void rb_settings_print_reference(FILE *out, bool markdown) {
    struct rb_text section = {NULL, 0};
    for (size_t i = 0; i < rb_settings_count; i++) {
        const struct rb_setting *setting = &rb_settings_table[i];
        struct rb_buffer type;
        rb_buffer_init(&type, 256);
        rb_setting_add_type(setting, &type);
        if (markdown && !rb_text_equal(section, section_of(setting))) {
            section = section_of(setting);
            fprintf(out,
                    "%s**" RB_TEXT_FMT
                    "**\n\n| key | value | default | reloads | meaning "
                    "|\n|---|---|---|---|---|\n",
                    i > 0 ? "\n" : "", RB_TEXT_ARG(section));
        }
        const char *type_text = type.at ? type.at : "";
        if (markdown)
            print_markdown(out, setting, type_text);
        else
            print_plain(out, setting, type_text);
        rb_buffer_fini(&type);
    }
}
