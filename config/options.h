/* The command line that the two daemons share: -c FILE, --set KEY=VALUE, --check, --help,
 * --help-settings, --help-man, --version, --complete (see complete.h), and a program's
 * own long switches. The `ringback` command uses the same settings part and has its own
 * verbs. */
#ifndef RB_CONFIG_OPTIONS_H
#define RB_CONFIG_OPTIONS_H

#include <stdbool.h>

#include "config/settings.h"

/* Exit codes, as in sysexits.h: what a service manager can act on. */
enum rb_exit {
    RB_EXIT_OK = 0,
    RB_EXIT_FAILURE = 1,      /* it ran and failed */
    RB_EXIT_USAGE = 64,       /* the command line is wrong */
    RB_EXIT_UNAVAILABLE = 69, /* no Redis, or an address can't be bound */
    RB_EXIT_CONFIG = 78       /* settings or definitions are wrong */
};

struct rb_switch {
    const char *name; /* "drain" for --drain */
    const char *help;
    bool *set;
};

struct rb_program {
    const char *name;                 /* "ringback-worker" */
    const char *summary;              /* one line for --help */
    const struct rb_switch *switches; /* ends with .name == NULL; may be NULL */
    const char *about;                /* paragraphs for the manual; may be NULL */
    void (*libraries)(FILE *out);     /* further ones for --version; may be NULL */
};

/* --version: the program's, then the libraries' that it runs with. */
void rb_options_print_version(FILE *out, const char *name, void (*libraries)(FILE *out));

/* --help-settings, =markdown or =man; false when the word is something else. */
bool rb_options_print_settings(FILE *out, const char *word);

#define RB_MAX_OVERRIDES 64
struct rb_options {
    const char *file;
    struct rb_override overrides[RB_MAX_OVERRIDES];
    size_t override_count;
    bool check;
};

/* Reads the command line. --help, --help-settings and --version print and exit 0; a wrong
 * word prints what is wrong and how to get help, and exits with RB_EXIT_USAGE. */
void rb_options_read(const struct rb_program *program, int argc, char **argv,
                     struct rb_options *options);

/* rb_settings_load with these options and the process's environment; prints the mistakes
 * and returns NULL when there are any. Also sets up the log. */
struct rb_settings *rb_options_settings(const struct rb_program *program,
                                        const struct rb_options *options);

#endif
