/* ringback(1), from the verbs' table. */
#include "config/manual.h"

#include "config/buffer.h"
#include "jobs/cli/cli.h"

static void write_verb(const struct rb_verb *verb) {
    struct rb_buffer name;
    rb_buffer_init(&name, 64);
    rb_buffer_printf(&name, "ringback %s", verb->name);
    rb_manual_subheading(stdout, rb_text_of(verb->name));
    rb_manual_command(stdout, name.at ? name.at : "", verb->usage);
    fputs(".PP\n", stdout);
    rb_manual_line(stdout, rb_text_of(verb->summary));
    if (verb->help[0] != ' ')
        fputs(".PP\n", stdout);
    rb_manual_help(stdout, verb->help);
    rb_buffer_fini(&name);
}

void rb_cli_print_manual(const char *summary, const char *codes) {
    rb_manual_begin(stdout, "ringback", 1, summary);
    rb_manual_heading(stdout, "Synopsis");
    rb_manual_command(stdout, "ringback",
                      "[`-c` FILE] [`--set` KEY=VALUE]... VERB [WORD]...");
    rb_manual_heading(stdout, "Description");
    rb_manual_line(stdout, rb_text_of(summary));
    rb_manual_line(stdout, RB_TEXT("It reads the same configuration as the daemons, and "
                                   "speaks to Redis itself."));
    rb_manual_heading(stdout, "Verbs");
    for (const struct rb_verb *const *verb = rb_verbs; *verb; verb++)
        write_verb(*verb);
    rb_manual_help(stdout, rb_cli_common_options);
    rb_manual_help(stdout, codes);
    rb_manual_end(stdout);
}
