/* Reading the command line of a verb. */
#include <stdio.h>
#include <stdlib.h>

#include "jobs/cli/cli.h"

#define MOST_MS INT64_C(3155760000000) /* a hundred years: added to now it is a time */

const char rb_cli_common_options[] =
    "Options of every verb:\n"
    "  -c, --config FILE    read this configuration file\n"
    "  --set KEY=VALUE      override one setting\n"
    "  -v, --verbose        log what happens on stderr\n"
    "  -h, --help           print this\n";

void rb_cli_print_verb(FILE *out, const struct rb_verb *verb) {
    fprintf(out, "Usage: ringback %s %s\n%s\n\n%s\n%s", verb->name, verb->usage,
            verb->summary, verb->help, rb_cli_common_options);
}

_Noreturn void rb_cli_misuse(const struct rb_cli *cli, const char *format, ...) {
    va_list args;
    fprintf(stderr, "ringback%s%s: ", cli->verb ? " " : "",
            cli->verb ? cli->verb->name : "");
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\nTry ringback help%s%s.\n", cli->verb ? " " : "",
            cli->verb ? cli->verb->name : "");
    exit(RB_EXIT_USAGE);
}

int64_t rb_cli_duration(const struct rb_cli *cli, const char *option, const char *text,
                        int64_t standard) {
    int64_t ms = standard;
    if (text && (rb_text_duration_ms(rb_text_of(text), &ms) != RB_OK || ms > MOST_MS))
        rb_cli_misuse(cli, "%s: expected a duration such as 500ms, 30s or 5m, got \"%s\"",
                      option, text);
    return ms;
}

static void add_override(struct rb_cli *cli, char *word) {
    struct rb_options *options = &cli->options;
    char *equals = strchr(word, '=');
    if (!equals || equals == word)
        rb_cli_misuse(cli, "--set: expected KEY=VALUE, got \"%s\"", word);
    if (options->override_count == RB_MAX_OVERRIDES)
        rb_cli_misuse(cli, "--set: at most %d of them", RB_MAX_OVERRIDES);
    *equals = '\0';
    options->overrides[options->override_count++] =
        (struct rb_override){.key = word, .value = equals + 1};
}

/* True when the word at **argv is this option; *value is then what stands behind "=", or
 * the next word, and *argv is moved on to it. */
static bool takes_value(struct rb_cli *cli, char ***argv, const char *name,
                        char **value) {
    char *word = **argv;
    size_t len = strlen(name);
    if (strncmp(word, name, len) != 0)
        return false;
    if (word[len] == '=') {
        *value = word + len + 1;
        return true;
    }
    if (word[len] != '\0')
        return false;
    if (!(*argv)[1])
        rb_cli_misuse(cli, "a value is missing behind %s", name);
    *value = *++*argv;
    return true;
}

static bool read_common(struct rb_cli *cli, char ***argv) {
    const char *word = **argv;
    char *value;
    if (cli->verb && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)) {
        rb_cli_print_verb(stdout, cli->verb);
        exit(fflush(stdout) == 0 ? RB_EXIT_OK : RB_EXIT_FAILURE);
    }
    if (strcmp(word, "--verbose") == 0 || strcmp(word, "-v") == 0) {
        cli->verbose = true;
        return true;
    }
    if (takes_value(cli, argv, "--config", &value) ||
        takes_value(cli, argv, "-c", &value)) {
        cli->options.file = value;
        return true;
    }
    if (takes_value(cli, argv, "--set", &value)) {
        add_override(cli, value);
        return true;
    }
    return false;
}

static bool read_own(struct rb_cli *cli, const struct rb_cli_option *options,
                     char ***argv) {
    char *value;
    for (const struct rb_cli_option *o = options; o->name; o++) {
        if (o->flag && strcmp(**argv, o->name) == 0) {
            *o->flag = true;
            return true;
        }
        if (o->value && takes_value(cli, argv, o->name, &value)) {
            *o->value = value;
            return true;
        }
    }
    return false;
}

static _Noreturn void refuse(struct rb_cli *cli, const struct rb_cli_option *options,
                             const char *word) {
    const char *known[32] = {"--config", "--set", "--verbose", "--help"};
    size_t count = 4;
    for (const struct rb_cli_option *o = options; o->name && count < 31; o++)
        known[count++] = o->name;
    const char *nearest = rb_text_nearest(rb_text_of(word), known);
    rb_cli_misuse(cli, "unknown option %s%s%s%s", word, nearest ? "; did you mean " : "",
                  nearest ? nearest : "", nearest ? "?" : "");
}

size_t rb_cli_read(struct rb_cli *cli, const struct rb_cli_option *options, char **argv) {
    static const struct rb_cli_option none = {0};
    char **words = argv;
    bool open = true;
    size_t count = 0;
    options = options ? options : &none;
    for (; *argv; argv++) {
        const char *word = *argv;
        if (open && strcmp(word, "--") == 0)
            open = false;
        else if (!open || word[0] != '-' || word[1] == '\0')
            words[count++] = *argv;
        else if (!read_common(cli, &argv) && !read_own(cli, options, &argv))
            refuse(cli, options, word);
    }
    words[count] = NULL;
    return count;
}
