/* Publishing lines of stdin. */
#ifndef RB_JOBS_CLI_PUBLISH_LINES_H
#define RB_JOBS_CLI_PUBLISH_LINES_H

#include "jobs/cli/cli.h"

/* Publishes until stdin ends and all is answered. The link is up. Gives the exit code. */
int rb_cli_publish_lines(struct rb_cli *cli);

#endif
