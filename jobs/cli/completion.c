/* ringback completion: the shells' completion scripts, carried by the program. */
#include <stdio.h>

#include "jobs/cli/cli.h"
#include "jobs/scripts.h"

extern const struct rb_script rb_completion_ringback_bash, rb_completion_ringback_zsh,
    rb_completion_ringback_fish;

static const char *const shells[] = {"bash", "zsh", "fish", NULL};

static int run(struct rb_cli *cli, char **argv) {
    const struct rb_script *const scripts[] = {&rb_completion_ringback_bash,
                                               &rb_completion_ringback_zsh,
                                               &rb_completion_ringback_fish};
    if (rb_cli_read(cli, NULL, argv) != 1)
        rb_cli_misuse(cli, "expected bash, zsh or fish");
    for (size_t i = 0; shells[i]; i++) {
        if (strcmp(argv[0], shells[i]) == 0) {
            fputs(scripts[i]->source, stdout);
            return RB_EXIT_OK;
        }
    }
    rb_cli_misuse(cli, "expected bash, zsh or fish, got \"%s\"", argv[0]);
}

const struct rb_verb rb_verb_completion = {
    .name = "completion",
    .usage = "bash|zsh|fish",
    .summary = "Prints a shell's completion of the three programs.",
    .help =
        "An installed package brings them along. Else, in the shell's start-up file:\n"
        "\n"
        "  bash    source <(ringback completion bash)\n"
        "  zsh     source <(ringback completion zsh)\n"
        "  fish    ringback completion fish | source\n",
    .words = shells,
    .run = run,
};
