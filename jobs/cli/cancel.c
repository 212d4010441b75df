/* ringback cancel: jobs that need not be done any more. */
#include <stdio.h>

#include "jobs/cancel.h"
#include "jobs/cli/cli.h"
#include "jobs/name.h"

struct cancelling {
    size_t ended;
    bool failed;
};

static void on_cancelled(void *ctx, const struct rb_cancelled *cancelled) {
    struct cancelling *c = ctx;
    if (cancelled->status == RB_OK)
        c->ended++;
    else
        rb_cli_say("cancel: %s", cancelled->error[0] != '\0'
                                     ? cancelled->error
                                     : rb_status_text(cancelled->status));
    c->failed |= cancelled->status != RB_OK;
}

static int run(struct rb_cli *cli, char **argv) {
    struct cancelling c = {0};
    size_t count = rb_cli_read(cli, NULL, argv);
    if (count == 0)
        rb_cli_misuse(cli, "expected ids of jobs");
    for (size_t i = 0; i < count; i++)
        if (!rb_name_is_job_id(rb_text_of(argv[i])))
            rb_cli_misuse(cli, "\"%s\" is no id of a job", argv[i]);
    int code = rb_cli_connect(cli);
    if (code != 0)
        return code;
    for (size_t i = 0; i < count; i++) {
        rb_cancel(cli->link, &cli->keys, rb_text_of(argv[i]), on_cancelled, &c);
        rb_cli_settle(cli);
    }
    printf("%zu cancelled\n", c.ended);
    return c.failed ? RB_EXIT_FAILURE : RB_EXIT_OK;
}

const struct rb_verb rb_verb_cancel = {
    .name = "cancel",
    .usage = "ID…",
    .summary = "Cancels jobs, queued, waiting or in flight.",
    .help = "A job that is cancelled is not begun any more, or broken off where it runs; "
            "its\n"
            "terminal event is `failed` with the code `cancelled`. One that has ended "
            "already\n"
            "stays as it is. The ids are noted for 7 days, so that a queue may be long; "
            "a new\n"
            "job with such an id is cancelled too.\n",
    .run = run,
};
