/* ringback pause, ringback resume: queues and services that rest. */
#include <stdio.h>

#include "jobs/cli/cli.h"
#include "jobs/name.h"
#include "jobs/pause.h"

struct pausing {
    size_t changed;
    bool failed;
};

static void on_changed(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct pausing *p = ctx;
    if (rb_cli_understood("pause", status, reply, REDIS_REPLY_INTEGER))
        p->changed += reply->integer == 1;
    else
        p->failed = true;
}

static int change(struct rb_cli *cli, char **argv, bool paused) {
    struct pausing p = {0};
    bool service = false;
    const struct rb_cli_option options[] = {{"--service", NULL, &service},
                                            {NULL, NULL, NULL}};
    size_t count = rb_cli_read(cli, options, argv);
    enum rb_pausable what = service ? RB_PAUSE_SERVICE : RB_PAUSE_QUEUE;
    if (count == 0)
        rb_cli_misuse(cli, "expected names of %s", service ? "services" : "queues");
    for (size_t i = 0; i < count; i++)
        if (!(service ? rb_name_is_service : rb_name_is_queue)(rb_text_of(argv[i])))
            rb_cli_misuse(cli, "\"%s\" is no name of a %s", argv[i],
                          service ? "service" : "queue");
    int code = rb_cli_connect(cli);
    if (code != 0)
        return code;
    for (size_t i = 0; i < count; i++)
        rb_pause(cli->link, &cli->keys, what, rb_text_of(argv[i]), paused, on_changed,
                 &p);
    rb_cli_settle(cli);
    printf("%zu %s\n", p.changed, paused ? "paused" : "resumed");
    return p.failed ? RB_EXIT_FAILURE : RB_EXIT_OK;
}

static int run_pause(struct rb_cli *cli, char **argv) { return change(cli, argv, true); }

static int run_resume(struct rb_cli *cli, char **argv) {
    return change(cli, argv, false);
}

const struct rb_verb rb_verb_pause = {
    .name = "pause",
    .usage = "[--service] NAME…",
    .summary = "Lets queues or services rest until they are resumed.",
    .help =
        "From a paused queue no job is taken; what workers have in hand goes on. It "
        "lasts\n"
        "whatever restarts. Workers with claim: blpop do not know of it.\n"
        "\n"
        "  --service   the names are services': their jobs are put aside when they are\n"
        "              taken, and looked at again every few seconds\n",
    .run = run_pause,
};

const struct rb_verb rb_verb_resume = {
    .name = "resume",
    .usage = "[--service] NAME…",
    .summary = "Ends what pause began.",
    .help = "  --service   the names are services'\n",
    .run = run_resume,
};
