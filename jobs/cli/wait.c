/* ringback wait: the channel's terminal event. Also the waiting of ringback enqueue. */
#include "jobs/cli/wait.h"

#include <jansson.h>
#include <stdio.h>

#include "jobs/cli/hearing.h"
#include "jobs/event.h"
#include "jobs/name.h"

struct waiting {
    struct rb_cli *cli;
    struct rb_text job; /* len 0: any */
    int code;           /* -1: not yet */
};

static bool is_of_job(const struct waiting *w, struct rb_text event) {
    if (w->job.len == 0)
        return true;
    json_t *object = json_loadb(event.at, event.len, JSON_ALLOW_NUL, NULL);
    bool same = rb_text_equal(
        rb_text_of(json_string_value(json_object_get(object, "job"))), w->job);
    json_decref(object);
    return same;
}

static void on_event(void *ctx, struct rb_text channel, struct rb_stream_id id,
                     struct rb_text json) {
    struct waiting *w = ctx;
    struct rb_event_view view;
    (void)channel;
    (void)id;
    rb_event_peek(json, &view);
    if (w->code >= 0 || !view.terminal || !is_of_job(w, json))
        return;
    fwrite(json.at, 1, json.len, stdout);
    putchar('\n');
    w->code = rb_text_is(view.event, "done") ? RB_EXIT_OK : RB_EXIT_FAILURE;
    ev_break(w->cli->loop, EVBREAK_ALL);
}

static void on_gap(void *ctx, struct rb_text channel, struct rb_stream_id since,
                   struct rb_stream_id resume) {
    (void)ctx;
    (void)since;
    (void)resume;
    rb_cli_say("%.*s: events were lost; the result may be among them",
               RB_TEXT_ARG(channel));
}

static void on_raw(void *ctx, struct rb_text channel, struct rb_text payload) {
    (void)ctx;
    (void)channel;
    (void)payload;
}

static void on_state(void *ctx, bool up, const char *why) {
    (void)ctx;
    if (!up)
        rb_cli_say("%s; trying again", why);
}

static void on_late(struct ev_loop *loop, struct ev_timer *timer, int events) {
    struct waiting *w = timer->data;
    (void)events;
    w->code = RB_EXIT_LATE;
    ev_break(loop, EVBREAK_ALL);
}

int rb_cli_wait(struct rb_cli *cli, struct rb_text channel, struct rb_stream_id since,
                struct rb_text job, int64_t timeout_ms) {
    static const struct rb_hearing_events events = {on_event, on_gap, on_raw, on_state};
    struct waiting w = {.cli = cli, .job = job, .code = -1};
    struct ev_timer timer;
    struct rb_hearing *hearing = rb_hearing_new(cli, &events, &w);
    if (!hearing || rb_hearing_add(hearing, channel, since) != RB_OK) {
        rb_hearing_free(hearing);
        rb_cli_say("out of memory");
        return RB_EXIT_FAILURE;
    }
    ev_now_update(cli->loop);
    ev_timer_init(&timer, on_late, (double)timeout_ms / 1000, 0);
    timer.data = &w;
    if (timeout_ms > 0)
        ev_timer_start(cli->loop, &timer);
    while (w.code < 0)
        ev_run(cli->loop, 0);
    ev_timer_stop(cli->loop, &timer);
    rb_hearing_free(hearing);
    if (w.code == RB_EXIT_LATE)
        rb_cli_say("no result within %lld ms", (long long)timeout_ms);
    return w.code;
}

static int run(struct rb_cli *cli, char **argv) {
    const char *timeout = NULL, *since = NULL, *job = NULL;
    const struct rb_cli_option options[] = {{"--timeout", &timeout, NULL},
                                            {"--since", &since, NULL},
                                            {"--job", &job, NULL},
                                            {NULL, NULL, NULL}};
    struct rb_stream_id from;
    if (rb_cli_read(cli, options, argv) != 1)
        rb_cli_misuse(cli, "expected one channel");
    int64_t timeout_ms = rb_cli_duration(cli, "--timeout", timeout, 0);
    struct rb_text channel = rb_text_of(argv[0]);
    if (!rb_name_is_channel(channel))
        rb_cli_misuse(cli, "\"%s\" is no channel's name", argv[0]);
    int code = rb_cli_connect(cli);
    if (code != 0)
        return code;
    if (!rb_hearing_since(cli, since, channel, &from))
        return RB_EXIT_FAILURE;
    return rb_cli_wait(cli, channel, from, rb_text_of(job), timeout_ms);
}

const struct rb_verb rb_verb_wait = {
    .name = "wait",
    .usage = "CHANNEL [--timeout DURATION] [--job ID] [--since ID|now]",
    .summary = "Waits for the terminal event of a channel and prints it.",
    .help =
        "Prints the event (JSON, one line) and exits with 0 when it is `done`, with 1\n"
        "when it is `failed`, and with 124 when none came in time. What is kept of the\n"
        "channel counts: a result that came before is found at once.\n"
        "\n"
        "  --timeout DURATION   how long to wait, e.g. 30s; without it, for ever\n"
        "  --job ID             only this job's event\n"
        "  --since ID           only what came after this event; `now`: from now on\n",
    .run = run,
};
