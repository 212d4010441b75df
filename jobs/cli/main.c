/* The `ringback` command: finds the verb and runs it. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "jobs/cli/cli.h"
#include "jobs/libraries.h"

static const char summary[] =
    "Enqueues jobs, hears what becomes of them, and looks after the rest.";

const struct rb_verb *const rb_verbs[] = {
    &rb_verb_enqueue,
    &rb_verb_cancel,
    &rb_verb_wait,
    &rb_verb_listen,
    &rb_verb_publish,
    &rb_verb_check,
    &rb_verb_status,
    &rb_verb_pause,
    &rb_verb_resume,
    &rb_verb_dead,
    &rb_verb_token,
    &rb_verb_completion,
    NULL,
};

static const char codes[] = "\nExit codes:\n"
                            "    0  done\n"
                            "    1  it ran and failed (also: the result is a failure)\n"
                            "   64  the command line is wrong\n"
                            "   69  Redis can't be reached\n"
                            "   78  settings or service definitions are wrong\n"
                            "  124  no result in time\n";

static void print_help(void) {
    printf("Usage: ringback [-c FILE] [--set KEY=VALUE] VERB …\n%s\n\n", summary);
    for (size_t i = 0; rb_verbs[i]; i++)
        printf("  %-10s %s\n", rb_verbs[i]->name, rb_verbs[i]->summary);
    printf("\n  ringback help VERB says more. --help-settings lists all settings,\n"
           "  --help-man prints the manual page, --version the version.\n");
    fputs(codes, stdout);
}

static const struct rb_verb *find_verb(struct rb_cli *cli, const char *name) {
    const char *names[sizeof rb_verbs / sizeof rb_verbs[0]] = {NULL};
    for (size_t i = 0; rb_verbs[i]; i++) {
        if (strcmp(rb_verbs[i]->name, name) == 0)
            return rb_verbs[i];
        names[i] = rb_verbs[i]->name;
    }
    const char *nearest = rb_text_nearest(rb_text_of(name), names);
    rb_cli_misuse(cli, "unknown verb \"%s\"%s%s%s", name,
                  nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                  nearest ? "\"?" : "");
}

static int help(struct rb_cli *cli, char **argv) {
    if (rb_cli_read(cli, NULL, argv) == 0)
        print_help();
    else
        rb_cli_print_verb(stdout, find_verb(cli, argv[0]));
    return RB_EXIT_OK;
}

static bool is(const char *word, const char *name, const char *letter) {
    return strcmp(word, name) == 0 || strcmp(word, letter) == 0;
}

/* Options may stand before the verb: they are put behind it, so that one reader knows
 * them all. Gives the first word that is not one of these, or NULL. */
static const char *verb_first(char **argv) {
    char **word = argv;
    while (*word && (*word)[0] == '-') {
        bool value = is(*word, "--config", "-c") || strcmp(*word, "--set") == 0;
        bool other = strncmp(*word, "--config=", 9) == 0 ||
                     strncmp(*word, "--set=", 6) == 0 || is(*word, "--verbose", "-v");
        if (!value && !other)
            break;
        word += value && word[1] ? 2 : 1;
    }
    char *verb = *word;
    if (verb) {
        memmove(argv + 1, argv, (size_t)(word - argv) * sizeof *argv);
        argv[0] = verb;
    }
    return verb;
}

static int run(struct rb_cli *cli, char **argv) {
    if (argv[0] && strcmp(argv[0], "--complete") == 0) {
        rb_cli_complete(cli, argv + 1);
        return RB_EXIT_OK;
    }
    const char *verb = verb_first(argv);
    if (!verb)
        rb_cli_misuse(cli, "a verb is missing");
    if (is(verb, "--version", "-V")) {
        rb_options_print_version(stdout, "ringback", rb_jobs_libraries);
    } else if (strcmp(verb, "--help-man") == 0) {
        rb_cli_print_manual(summary, codes);
    } else if (rb_options_print_settings(stdout, verb)) {
        return RB_EXIT_OK;
    } else if (is(verb, "--help", "-h") || strcmp(verb, "help") == 0) {
        return help(cli, argv + 1);
    } else {
        cli->verb = find_verb(cli, verb);
        return cli->verb->run(cli, argv + 1);
    }
    return RB_EXIT_OK;
}

int main(int argc, char **argv) {
    struct rb_cli cli = {0};
    if (argc < 1)
        return RB_EXIT_USAGE;
    /* Each line is of use as soon as it is there, also to the next program in a pipe. */
    setvbuf(stdout, NULL, _IOLBF, 0);
    int code = run(&cli, argv + 1);
    rb_cli_fini(&cli);
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == RB_EXIT_OK)
        code = RB_EXIT_FAILURE;
    return code;
}
