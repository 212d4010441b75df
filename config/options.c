/* The command line of the daemons, and from there to the settings. */
#include "config/options.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <yaml.h>

#include "config/buffer.h"
#include "config/complete.h"
#include "config/manual.h"

static const char common_options[] =
    "  -c, --config FILE      read this configuration file\n"
    "      --set KEY=VALUE    override one setting, e.g. --set log.level=debug\n"
    "      --check            read everything, connect, say what is wrong, and exit\n"
    "      --help-settings    list all settings (=markdown, =man: in these languages)\n"
    "      --help-man         print this as a manual page\n"
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

#define SWITCH_LINE 256
#define SWITCHES_MOST 30

/* The program's own switches as lines of the help. */
static void add_switches(const struct rb_program *program, struct rb_buffer *out) {
    for (const struct rb_switch *s = program->switches; s && s->name; s++)
        rb_buffer_printf(out, "      --%-16s %s\n", s->name, s->help);
}

static void print_help(const struct rb_program *program) {
    struct rb_buffer own;
    rb_buffer_init(&own, (size_t)SWITCH_LINE * SWITCHES_MOST);
    add_switches(program, &own);
    printf("Usage: %s [OPTION]…\n%s\n\nOptions:\n%s%s%s", program->name, program->summary,
           common_options, own.at ? own.at : "", notes);
    rb_buffer_fini(&own);
}

static void print_manual(const struct rb_program *program) {
    struct rb_buffer own;
    rb_buffer_init(&own, (size_t)SWITCH_LINE * SWITCHES_MOST);
    add_switches(program, &own);
    rb_manual_begin(stdout, program->name, 8, program->summary);
    rb_manual_heading(stdout, "Synopsis");
    rb_manual_command(stdout, program->name, "[OPTION]...");
    rb_manual_heading(stdout, "Description");
    rb_manual_help(stdout, program->about ? program->about : program->summary);
    rb_manual_heading(stdout, "Options");
    rb_manual_help(stdout, common_options);
    rb_manual_help(stdout, own.at ? own.at : "");
    rb_manual_heading(stdout, "Settings");
    rb_manual_help(stdout, notes);
    rb_manual_end(stdout);
    rb_buffer_fini(&own);
}

static void complete(const struct rb_program *program, char *const *words) {
    struct rb_buffer own;
    struct rb_complete asked = rb_complete_words(stdout, words);
    rb_buffer_init(&own, (size_t)SWITCH_LINE * SWITCHES_MOST);
    add_switches(program, &own);
    const char *helps[] = {common_options, own.at ? own.at : "", NULL};
    if (!rb_complete_value(&asked, helps))
        rb_complete_options(&asked, helps);
    rb_buffer_fini(&own);
}

void rb_options_print_version(FILE *out, const char *name, void (*libraries)(FILE *out)) {
    fprintf(out, "%s %s\nlibev %d.%d, libyaml %s", name, RINGBACK_VERSION,
            ev_version_major(), ev_version_minor(), yaml_get_version_string());
    if (libraries)
        libraries(out);
    fputc('\n', out);
}

bool rb_options_print_settings(FILE *out, const char *word) {
    const struct rb_text name = RB_TEXT("--help-settings");
    if (!rb_text_starts(rb_text_of(word), name))
        return false;
    const char *language = word + name.len;
    bool markdown = strcmp(language, "=markdown") == 0;
    if (strcmp(language, "=man") == 0)
        rb_manual_settings(out);
    else if (markdown || language[0] == '\0')
        rb_settings_print_reference(out, markdown);
    else
        return false;
    return true;
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

/* True when the word asked for something to be printed, and it was. */
static bool printed(const struct rb_program *program, const char *word) {
    if (is(word, "--help", "-h"))
        print_help(program);
    else if (is(word, "--version", "-V"))
        rb_options_print_version(stdout, program->name, program->libraries);
    else if (strcmp(word, "--help-man") == 0)
        print_manual(program);
    else
        return rb_options_print_settings(stdout, word);
    return true;
}

void rb_options_read(const struct rb_program *program, int argc, char **argv,
                     struct rb_options *options) {
    struct arguments a = {program, argv + (argc > 0)};
    char *value;

    *options = (struct rb_options){0};
    for (; *a.argv; a.argv++) {
        const char *word = *a.argv;
        if (printed(program, word)) {
            end_after_printing();
        } else if (strcmp(word, "--complete") == 0 && a.argv == argv + 1) {
            complete(program, a.argv + 1);
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
