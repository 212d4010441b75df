/* ringback listen --clients: many browsers in one process, to try out an installation. */
#ifndef RB_JOBS_CLI_LOAD_H
#define RB_JOBS_CLI_LOAD_H

#include "jobs/cli/cli.h"

/* What stands on the command line; NULL: not said. */
struct rb_load_words {
    const char *clients, *url, *publish, *duration, *token;
    const char *channel; /* {n} in it: each client's number */
    bool json;
};

/* The exit code: 0 when all came up and stayed, and nothing was lost or came twice. */
int rb_cli_load(struct rb_cli *cli, const struct rb_load_words *words);

#endif
