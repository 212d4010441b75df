/* ringback listen: a console client, also as a dialogue. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "config/clock.h"
#include "config/process.h"
#include "jobs/cli/event_line.h"
#include "jobs/cli/hearing.h"
#include "jobs/cli/load.h"
#include "jobs/event.h"
#include "jobs/json_scan.h"

#define DIALOGUE_IDLE "5m"
#define LINE_LIMIT 1024
#define OUTPUT_LIMIT ((size_t)128 * 1024 * 1024)

struct listening {
    struct rb_cli *cli;
    struct rb_hearing *hearing;
    const char *since;
    struct rb_event_line style;
    struct rb_buffer line;
    bool was_up;

    struct ev_timer idle;  /* active: ends the listening */
    const char *idle_text; /* after how long, as it was written */
    struct ev_io typed;    /* active: channel names come from stdin */
    struct rb_buffer input;
    bool dialogue; /* with a person: what is done is told, and the end of input ends it */
};

static const char dialogue_help[] = "  NAME or +NAME   hear this channel too\n"
                                    "  -NAME           hear it no longer\n"
                                    "  ?               this, and what is heard\n"
                                    "  Ctrl-D          end\n";

static void stay(struct listening *l) {
    if (ev_is_active(&l->idle))
        ev_timer_again(l->cli->loop, &l->idle);
}

static void print(struct listening *l, struct rb_text channel, uint64_t ms,
                  struct rb_text name, struct rb_text json) {
    rb_buffer_clear(&l->line);
    rb_event_line(&l->style, &l->line, channel, ms, name, json);
    if (l->line.status == RB_OK)
        fwrite(l->line.at, 1, l->line.len, stdout);
    else
        rb_cli_say("an event is dropped: %s", rb_status_text(l->line.status));
    if (ferror(stdout))
        ev_break(l->cli->loop, EVBREAK_ALL);
    stay(l);
}

static void on_event(void *ctx, struct rb_text channel, struct rb_stream_id id,
                     struct rb_text json) {
    struct rb_event_view view;
    rb_event_peek(json, &view);
    print(ctx, channel, id.ms, view.event, json);
}

static void on_gap(void *ctx, struct rb_text channel, struct rb_stream_id since,
                   struct rb_stream_id resume) {
    struct rb_buffer json;
    int64_t now_ms = rb_clock_unix_ms();
    rb_buffer_init(&json, 4096);
    rb_event_gap(&json, channel, now_ms, since, resume, NULL);
    if (json.status == RB_OK)
        print(ctx, channel, (uint64_t)now_ms, RB_TEXT("gap"), rb_buffer_view(&json));
    rb_buffer_fini(&json);
}

/* A raw message has no envelope: as NDJSON it gets one, so that each line is an event. */
static void on_raw(void *ctx, struct rb_text channel, struct rb_text payload) {
    struct listening *l = ctx;
    struct rb_buffer data, json;
    int64_t now_ms = rb_clock_unix_ms();
    const struct rb_event_head head = {.channel = channel, .at = now_ms};
    rb_buffer_init(&data, OUTPUT_LIMIT);
    rb_buffer_init(&json, OUTPUT_LIMIT);
    if (rb_json_check(payload, NULL) == RB_OK)
        rb_json_line(&data, payload);
    else
        rb_buffer_json(&data, payload);
    if (l->style.json)
        rb_event_custom(&json, &head, RB_TEXT("message"), rb_buffer_view(&data));
    else
        rb_buffer_text(&json, rb_buffer_view(&data));
    if (data.status == RB_OK && json.status == RB_OK)
        print(l, channel, (uint64_t)now_ms, RB_TEXT("message"), rb_buffer_view(&json));
    rb_buffer_fini(&json);
    rb_buffer_fini(&data);
}

static void on_state(void *ctx, bool up, const char *why) {
    struct listening *l = ctx;
    if (!up)
        rb_cli_say("%s; trying again", why);
    else if (l->was_up)
        rb_cli_say("connected again");
    l->was_up = true;
}

static bool add_channel(struct listening *l, struct rb_text name) {
    struct rb_stream_id since;
    if (!rb_hearing_since(l->cli, l->since, name, &since))
        return false;
    enum rb_status status = rb_hearing_add(l->hearing, name, since);
    if (status == RB_INVALID)
        rb_cli_say("a channel's name is 1 to 128 of A-Z a-z 0-9 _ . : @ = ~ -");
    else if (status != RB_OK)
        rb_cli_say("%s", rb_status_text(status));
    else if (l->dialogue)
        rb_cli_say("hearing " RB_TEXT_FMT, RB_TEXT_ARG(name));
    return status == RB_OK;
}

static void remove_channel(struct listening *l, struct rb_text name) {
    if (rb_hearing_remove(l->hearing, name))
        rb_cli_say(RB_TEXT_FMT " is heard no longer", RB_TEXT_ARG(name));
    else
        rb_cli_say(RB_TEXT_FMT " is not heard", RB_TEXT_ARG(name));
}

static void explain(const struct listening *l) {
    fputs(dialogue_help, stderr);
    for (size_t i = 0; i < rb_hearing_count(l->hearing); i++)
        fprintf(stderr, "%s" RB_TEXT_FMT,
                i > 0 ? " " : "heard: ", RB_TEXT_ARG(rb_hearing_name(l->hearing, i)));
    if (rb_hearing_count(l->hearing) > 0)
        fputc('\n', stderr);
}

static void take_line(struct listening *l, struct rb_text line) {
    if (line.len > 0 && line.at[line.len - 1] == '\r')
        line.len--;
    line = rb_text_trim(line);
    if (line.len == 0)
        return;
    struct rb_text name = rb_text(line.at + 1, line.len - 1);
    if (rb_text_is(line, "?"))
        explain(l);
    else if (line.at[0] == '-')
        remove_channel(l, name);
    else
        add_channel(l, line.at[0] == '+' ? name : line);
}

static void take_lines(struct listening *l, bool end) {
    char *newline;
    while (l->input.len > 0 &&
           ((newline = memchr(l->input.at, '\n', l->input.len)) || end)) {
        size_t len = newline ? (size_t)(newline - l->input.at) : l->input.len;
        take_line(l, rb_text(l->input.at, len));
        rb_buffer_consume(&l->input, newline ? len + 1 : len);
    }
}

static void on_typed(struct ev_loop *loop, struct ev_io *watcher, int events) {
    struct listening *l = watcher->data;
    char bytes[512];
    (void)events;
    ssize_t n = read(STDIN_FILENO, bytes, sizeof bytes);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n > 0)
        rb_buffer_add(&l->input, bytes, (size_t)n);
    if (l->input.status != RB_OK) {
        rb_cli_say("a line is too long");
        rb_buffer_clear(&l->input);
    }
    take_lines(l, n <= 0);
    stay(l);
    if (n > 0)
        return;
    ev_io_stop(loop, watcher);
    if (l->dialogue || rb_hearing_count(l->hearing) == 0)
        ev_break(loop, EVBREAK_ALL);
}

static void on_stop(void *ctx) {
    struct listening *l = ctx;
    ev_break(l->cli->loop, EVBREAK_ALL);
}

static void on_idle(struct ev_loop *loop, struct ev_timer *timer, int events) {
    struct listening *l = timer->data;
    (void)events;
    rb_cli_say("nothing came for %s: this is the end", l->idle_text);
    ev_break(loop, EVBREAK_ALL);
}

static int listen_to(struct listening *l, char **channels, int64_t idle_ms) {
    struct ev_loop *loop = l->cli->loop;
    struct rb_signals signals;
    ev_init(&l->idle, on_idle);
    l->idle.data = l;
    ev_io_init(&l->typed, on_typed, STDIN_FILENO, EV_READ);
    l->typed.data = l;
    for (char **name = channels; *name; name++)
        if (!add_channel(l, rb_text_of(*name)))
            return RB_EXIT_USAGE;
    if (l->dialogue)
        rb_cli_say("type a channel's name to hear it; ? tells what else can be typed");
    if (l->dialogue || !*channels)
        ev_io_start(loop, &l->typed);
    if (idle_ms > 0) {
        l->idle.repeat = (double)idle_ms / 1000;
        ev_timer_again(loop, &l->idle);
    }
    rb_signals_start(&signals, loop, on_stop, NULL, l);
    ev_run(loop, 0);
    rb_signals_stop(&signals, loop);
    ev_io_stop(loop, &l->typed);
    ev_timer_stop(loop, &l->idle);
    return RB_EXIT_OK;
}

static int hear(struct listening *l, char **argv, int64_t idle_ms) {
    static const struct rb_hearing_events events = {on_event, on_gap, on_raw, on_state};
    int code = rb_cli_connect(l->cli);
    if (code != 0)
        return code;
    rb_buffer_init(&l->line, OUTPUT_LIMIT);
    rb_buffer_init(&l->input, LINE_LIMIT);
    l->hearing = rb_hearing_new(l->cli, &events, l);
    if (!l->hearing) {
        rb_cli_say("out of memory");
        return RB_EXIT_FAILURE;
    }
    code = listen_to(l, argv, idle_ms);
    rb_hearing_free(l->hearing);
    rb_buffer_fini(&l->input);
    rb_buffer_fini(&l->line);
    return code;
}

static int run(struct rb_cli *cli, char **argv) {
    struct listening l = {.cli = cli};
    struct rb_load_words load = {0};
    bool json = false;
    const struct rb_cli_option options[] = {{"--since", &l.since, NULL},
                                            {"--idle", &l.idle_text, NULL},
                                            {"--json", NULL, &json},
                                            {"-i", NULL, &l.dialogue},
                                            {"--clients", &load.clients, NULL},
                                            {"--url", &load.url, NULL},
                                            {"--publish", &load.publish, NULL},
                                            {"--for", &load.duration, NULL},
                                            {"--token", &load.token, NULL},
                                            {NULL, NULL, NULL}};
    size_t count = rb_cli_read(cli, options, argv);
    if (load.clients || load.url || load.publish || load.duration || load.token) {
        if (count != 1 || l.dialogue || l.since || l.idle_text)
            rb_cli_misuse(cli, "with --clients expected one channel, and neither -i, "
                               "--since nor --idle");
        load.json = json;
        load.channel = argv[0];
        return rb_cli_load(cli, &load);
    }
    l.style = rb_event_line_for_stdout(json);
    l.dialogue = l.dialogue || (count == 0 && isatty(STDIN_FILENO) == 1);
    if (!l.idle_text && (l.dialogue || count == 0))
        l.idle_text = DIALOGUE_IDLE;
    return hear(&l, argv, rb_cli_duration(cli, "--idle", l.idle_text, 0));
}

const struct rb_verb rb_verb_listen = {
    .name = "listen",
    .usage = "[CHANNEL…] [OPTION]… | --clients N CHANNEL [OPTION]…",
    .summary = "Prints events as they come, each one line; or plays many clients.",
    .help =
        "A line is <time> <channel> <event> <json>. What is kept of a channel comes\n"
        "first. Lost connections are made again, and hearing goes on where it stood; a\n"
        "line with the event `gap` tells of events that can't be had any more. Ctrl-C\n"
        "ends it. Without channels their names are read from stdin, one a line, while\n"
        "listening; on a terminal that is a dialogue: a name is heard at once, -NAME no\n"
        "longer, ? tells more, Ctrl-D ends it.\n"
        "\n"
        "  --since ID        only what came after this event; `now`: from now on\n"
        "  --idle DURATION   end after so long without an event or a word; 0: never.\n"
        "                    Default: never, and 5m when names are read from stdin\n"
        "  --json            the event alone, as JSON (NDJSON); an app's own PUBLISH\n"
        "                    becomes the data of an event `message`\n"
        "  -i                the dialogue, also with channels named, or from a pipe\n"
        "\n"
        "With --clients it tries out an installation: it opens that many WebSockets at\n"
        "a notifier, all on CHANNEL, or where {n} stands in the name, each on its own\n"
        "(counted from 0). Once a second it prints how many are open and have failed,\n"
        "the events, how late they came, how many were lost or came twice; in the end\n"
        "a summary. Exit code 0 when none failed and nothing was lost or came twice.\n"
        "Lateness is from the event's `at`, which takes clocks that agree.\n"
        "\n"
        "  --clients N       how many; each takes a descriptor (ulimit -n)\n"
        "  --url URL         where the notifier is, default the first address of\n"
        "                    notifier.listen; http alone: what stands in front of it\n"
        "                    is not what is tried\n"
        "  --publish RATE    publishes so many numbered events a second itself, in turn\n"
        "                    on each channel, once all are open: in microseconds how\n"
        "                    late, and whether all came\n"
        "  --for DURATION    ends after so long with all open; default: Ctrl-C\n"
        "  --token TOKEN     shown as bearer token\n",
    .run = run,
};
