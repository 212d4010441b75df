/* Waiting for a terminal event, printed on stdout. */
#ifndef RB_JOBS_CLI_WAIT_H
#define RB_JOBS_CLI_WAIT_H

#include "jobs/cli/cli.h"

/* The exit code: 0 done, 1 failed, RB_EXIT_LATE. job: only its event; len 0 = any.
 * timeout_ms 0 = for ever. */
int rb_cli_wait(struct rb_cli *cli, struct rb_text channel, struct rb_stream_id since,
                struct rb_text job, int64_t timeout_ms);

#endif
