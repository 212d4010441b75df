/* The command line of the daemons, and from there to the settings. */
#include "config/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char common_options[] =
    "  -c, --config FILE      read this configuration file\n"
    "      --set KEY=VALUE    override one setting, e.g. --set log.level=debug\n"
    "      --check            read everything, connect, say what is wrong, and exit\n"
    "      --help-settings    list all settings (=markdown: as in the README)\n"
    "  -V, --version          print the version\n"
    "  -h, --help             print this\n";

static const char notes[] =
    "\n"
    "Settings come from the defaults, then the configuration file, then the environment\n"
    "(RINGBACK_WORKER_LEASE=5s for worker.lease), then --set; the last word wins. "
    "Without\n"
    "-c the file is /etc/ringback/ringback.yaml when it exists, else the defaults hold.\n"
    "\n"
    "Signals:\n"
    "  SIGTERM, SIGINT        finish what is in hand, then end; once more: hurry\n"
    "  SIGHUP                 read the configuration and the definitions again\n"
    "\n"
    "Exit codes:\n"
    "   0  done, or ended by a signal in good order\n"
    "   1  it ran and failed\n"
    "  64  the command line is wrong\n"
    "  69  Redis can't be reached, or an address can't be bound\n"
    "  78  settings or service definitions are wrong\n";

static void print_help(const struct rb_program *program) {
    printf("Usage: %s [OPTION]…\n%s\n\nOptions:\n%s", program->name, program->summary,
           common_options);
    for (const struct rb_switch *s = program->switches; s && s->name; s++)
        printf("      --%-16s %s\n", s->name, s->help);
    fputs(notes, stdout);
}

/* What was asked for is printed; an exit code of 0 must mean that it came out. */
static _Noreturn void end_after_printing(void) {
    bool failed = fflush(stdout) != 0 || ferror(stdout);
    exit(failed ? RB_EXIT_FAILURE : RB_EXIT_OK);
}

static _Noreturn void refuse(const struct rb_program *program, const char *what,
                             const char *word, const char *hint) {
    fprintf(stderr, "%s: %s \"%s\"%s%s%s\nTry %s --help.\n", program->name, what, word,
            hint ? "; did you mean \"" : "", hint ? hint : "", hint ? "\"?" : "",
            program->name);
    exit(RB_EXIT_USAGE);
}

static _Noreturn void refuse_unknown(const struct rb_program *program, const char *word) {
    const char *known[40] = {"--config", "--set",     "--check", "--help-settings",
                             "--help",   "--version", NULL};
    char names[32][40];
    size_t count = 6;
    for (size_t i = 0; program->switches && program->switches[i].name && i < 32; i++) {
        snprintf(names[i], sizeof names[i], "--%s", program->switches[i].name);
        known[count++] = names[i];
    }
    known[count] = NULL;
    struct rb_text text = rb_text_of(word), name;
    if (!rb_text_next(&text, '=', &name))
        name = text;
    refuse(program, word[0] == '-' ? "unknown option" : "unexpected word", word,
           word[0] == '-' ? rb_text_nearest(name, known) : NULL);
}

struct arguments {
    const struct rb_program *program;
    char **argv; /* the word being read; ends with NULL */
};

/* True when the word is this option; *value is then what stands behind "=", or the next
 * word. */
static bool takes_value(struct arguments *a, const char *name, char **value) {
    char *word = *a->argv;
    size_t len = strlen(name);
    if (strncmp(word, name, len) != 0)
        return false;
    if (word[len] == '=') {
        *value = word + len + 1;
        return true;
    }
    if (word[len] != '\0')
        return false;
    if (!a->argv[1])
        refuse(a->program, "a value is missing behind", word, NULL);
    *value = *++a->argv;
    return true;
}

static void add_override(struct arguments *a, struct rb_options *options, char *word) {
    char *equals = strchr(word, '=');
    if (!equals || equals == word)
        refuse(a->program, "expected KEY=VALUE behind --set, got", word, NULL);
    if (options->override_count == RB_MAX_OVERRIDES)
        refuse(a->program, "too many --set, at", word, NULL);
    *equals = '\0';
    options->overrides[options->override_count++] =
        (struct rb_override){.key = word, .value = equals + 1};
}

static bool read_switch(const struct rb_program *program, const char *word) {
    for (const struct rb_switch *s = program->switches; s && s->name; s++) {
        if (strncmp(word, "--", 2) == 0 && strcmp(word + 2, s->name) == 0) {
            *s->set = true;
            return true;
        }
    }
    return false;
}

static bool is(const char *word, const char *name, const char *letter) {
    return strcmp(word, name) == 0 || strcmp(word, letter) == 0;
}

void rb_options_read(const struct rb_program *program, int argc, char **argv,
                     struct rb_options *options) {
    struct arguments a = {program, argv + (argc > 0)};
    char *value;

    *options = (struct rb_options){0};
    for (; *a.argv; a.argv++) {
        const char *word = *a.argv;
        if (is(word, "--help", "-h")) {
            print_help(program);
            end_after_printing();
        } else if (is(word, "--version", "-V")) {
            printf("%s %s\n", program->name, RINGBACK_VERSION);
            end_after_printing();
        } else if (is(word, "--help-settings", "--help-settings=markdown")) {
            rb_settings_print_reference(stdout, strchr(word, '=') != NULL);
            end_after_printing();
        } else if (strcmp(word, "--check") == 0) {
            options->check = true;
        } else if (takes_value(&a, "-c", &value) || takes_value(&a, "--config", &value)) {
            if (value[0] == '\0')
                refuse(program, "expected a file behind", word, NULL);
            options->file = value;
        } else if (takes_value(&a, "--set", &value)) {
            add_override(&a, options, value);
        } else if (!read_switch(program, word)) {
            refuse_unknown(program, word);
        }
    }
}

struct rb_settings *rb_options_settings(const struct rb_program *program,
                                        const struct rb_options *options) {
    struct rb_settings *settings;
    struct rb_errors errors = {0};
    enum rb_status status =
        rb_settings_load(options->file, options->overrides, options->override_count,
                         (const char *const *)environ, &settings, &errors);
    if (status != RB_OK) {
        rb_errors_print(&errors);
        if (status == RB_NOMEM)
            fprintf(stderr, "%s: out of memory\n", program->name);
        return NULL;
    }
    rb_log_setup(program->name, (enum rb_log_level)settings->log.level,
                 (enum rb_log_format)settings->log.format);
    return settings;
}
