/* The manual page of the configuration file, written from the table. */
#include "config/manual.h"
#include "config/settings_table.h"

static struct rb_text section_of(const struct rb_setting *setting) {
    struct rb_text rest = rb_text_of(setting->key), section = {NULL, 0};
    return rb_text_next(&rest, '.', &section) ? section : rest;
}

static void write_setting(FILE *out, const struct rb_setting *setting) {
    char variable[RB_SETTING_VARIABLE];
    struct rb_buffer facts;
    rb_buffer_init(&facts, 1024);
    rb_setting_add_type(setting, &facts);
    rb_buffer_printf(&facts, "; default %s",
                     setting->standard[0] ? setting->standard : "empty");
    rb_setting_variable(setting, variable);
    rb_manual_item(out, rb_text_of(setting->key));
    rb_manual_line(out, rb_buffer_view(&facts));
    fputs(".br\n", out);
    rb_manual_line(out, rb_text_of(setting->meaning));
    if (!setting->reloads)
        rb_manual_line(out, RB_TEXT("A change needs a restart."));
    fputs(".br\n", out);
    rb_manual_line(out, rb_text_of(variable));
    rb_buffer_fini(&facts);
}

void rb_manual_settings(FILE *out) {
    struct rb_text section = {NULL, 0};
    rb_manual_begin(out, "ringback.yaml", 5, "The configuration of ringback.");
    rb_manual_heading(out, "Description");
    rb_manual_line(out, RB_TEXT("One file for the three programs, YAML; any line may be "
                                "left out. Durations are written `250ms`, `10s`, `1.5m`, "
                                "`2h`, `7d`; sizes `4096`, `256KiB`, `1MiB`, `64kB`."));
    fputs(".PP\n", out);
    rb_manual_line(out, RB_TEXT("Settings come from the defaults, then this file, then "
                                "the environment, where lists have commas, then "
                                "`--set KEY=VALUE`; the last word wins. `ringback check` "
                                "tells every mistake with line and column."));
    rb_manual_heading(out, "Settings");
    for (size_t i = 0; i < rb_settings_count; i++) {
        const struct rb_setting *setting = &rb_settings_table[i];
        if (!rb_text_equal(section, section_of(setting))) {
            section = section_of(setting);
            rb_manual_subheading(out, section);
        }
        write_setting(out, setting);
    }
    rb_manual_heading(out, "Example");
    fputs(".nf\nredis:\n  url: redis://127.0.0.1:6379/0\nnotifier:\n"
          "  listen: [\"127.0.0.1:8080\"]\n.fi\n",
          out);
    rb_manual_end(out);
}
