/* ringback listen: a console client. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "config/clock.h"
#include "config/process.h"
#include "jobs/cli/hearing.h"
#include "jobs/event.h"
#include "jobs/json_scan.h"

#define DIALOGUE_IDLE_MS (5 * 60 * 1000)
#define LINE_LIMIT 1024
#define OUTPUT_LIMIT ((size_t)128 * 1024 * 1024)

struct listening {
    struct rb_cli *cli;
    struct rb_hearing *hearing;
    const char *since;
    bool json;     /* nothing but JSON, one object a line */
    bool terminal; /* stdout is one: nothing may reach it that it would obey */
    struct rb_buffer line;
    bool was_up;

    struct ev_timer idle; /* active: ends the listening */
    struct ev_io typed;   /* active: channel names come from stdin */
    struct rb_buffer input;
};

static void add_time(struct rb_buffer *out, uint64_t ms) {
    char text[32];
    struct tm utc;
    time_t seconds = (time_t)(ms / 1000);
    if (!gmtime_r(&seconds, &utc) ||
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc) == 0)
        return;
    rb_buffer_printf(out, "%s.%03dZ", text, (int)(ms % 1000));
}

/* DEL and the C1 controls are legal in JSON strings and obeyed by terminals. */
static void add_harmless(struct listening *l, struct rb_text json) {
    size_t from = 0;
    for (size_t i = 0; l->terminal && i < json.len; i++) {
        unsigned char c = (unsigned char)json.at[i];
        unsigned char next = i + 1 < json.len ? (unsigned char)json.at[i + 1] : 0;
        bool c1 = c == 0xc2 && next >= 0x80 && next < 0xa0;
        if (!c1 && c != 0x7f)
            continue;
        rb_buffer_add(&l->line, json.at + from, i - from);
        rb_buffer_printf(&l->line, "\\u%04x", c1 ? next : c);
        i += c1 ? 1 : 0;
        from = i + 1;
    }
    rb_buffer_add(&l->line, json.at + from, json.len - from);
}

static void print(struct listening *l, struct rb_text channel, uint64_t ms,
                  struct rb_text name, struct rb_text json) {
    rb_buffer_clear(&l->line);
    if (!l->json) {
        add_time(&l->line, ms);
        rb_buffer_char(&l->line, ' ');
        rb_buffer_text(&l->line, channel);
        rb_buffer_char(&l->line, ' ');
        rb_buffer_text(&l->line, name);
        rb_buffer_char(&l->line, ' ');
    }
    add_harmless(l, json);
    rb_buffer_char(&l->line, '\n');
    if (l->line.status == RB_OK)
        fwrite(l->line.at, 1, l->line.len, stdout);
    else
        rb_cli_say("an event is dropped: %s", rb_status_text(l->line.status));
    if (ferror(stdout))
        ev_break(l->cli->loop, EVBREAK_ALL);
    if (ev_is_active(&l->idle))
        ev_timer_again(l->cli->loop, &l->idle);
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
    if (l->json)
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
    return status == RB_OK;
}

static void take_lines(struct listening *l, bool end) {
    char *newline;
    while (l->input.len > 0 &&
           ((newline = memchr(l->input.at, '\n', l->input.len)) || end)) {
        size_t len = newline ? (size_t)(newline - l->input.at) : l->input.len;
        struct rb_text name = rb_text_trim(rb_text(l->input.at, len));
        if (name.len > 0 && name.at[name.len - 1] == '\r')
            name.len--;
        if (name.len > 0)
            add_channel(l, name);
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
    if (ev_is_active(&l->idle))
        ev_timer_again(loop, &l->idle);
    if (n > 0)
        return;
    ev_io_stop(loop, watcher);
    if (rb_hearing_count(l->hearing) == 0)
        ev_break(loop, EVBREAK_ALL);
}

static void on_stop(void *ctx) {
    struct listening *l = ctx;
    ev_break(l->cli->loop, EVBREAK_ALL);
}

static void on_idle(struct ev_loop *loop, struct ev_timer *timer, int events) {
    (void)timer;
    (void)events;
    ev_break(loop, EVBREAK_ALL);
}

static int listen_to(struct listening *l, char **channels, int64_t idle_ms) {
    struct ev_loop *loop = l->cli->loop;
    struct rb_signals signals;
    ev_init(&l->idle, on_idle);
    ev_io_init(&l->typed, on_typed, STDIN_FILENO, EV_READ);
    l->typed.data = l;
    for (char **name = channels; *name; name++)
        if (!add_channel(l, rb_text_of(*name)))
            return RB_EXIT_USAGE;
    if (!*channels) {
        if (isatty(STDIN_FILENO))
            rb_cli_say("type the names of channels, one a line");
        ev_io_start(loop, &l->typed);
    }
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

static int run(struct rb_cli *cli, char **argv) {
    static const struct rb_hearing_events events = {on_event, on_gap, on_raw, on_state};
    struct listening l = {.cli = cli, .terminal = isatty(STDOUT_FILENO) == 1};
    const char *idle = NULL;
    const struct rb_cli_option options[] = {{"--since", &l.since, NULL},
                                            {"--idle", &idle, NULL},
                                            {"--json", NULL, &l.json},
                                            {NULL, NULL, NULL}};
    size_t count = rb_cli_read(cli, options, argv);
    int64_t idle_ms =
        rb_cli_duration(cli, "--idle", idle, count > 0 ? 0 : DIALOGUE_IDLE_MS);
    int code = rb_cli_connect(cli);
    if (code != 0)
        return code;
    rb_buffer_init(&l.line, OUTPUT_LIMIT);
    rb_buffer_init(&l.input, LINE_LIMIT);
    l.hearing = rb_hearing_new(cli, &events, &l);
    if (!l.hearing) {
        rb_cli_say("out of memory");
        return RB_EXIT_FAILURE;
    }
    code = listen_to(&l, argv, idle_ms);
    rb_hearing_free(l.hearing);
    rb_buffer_fini(&l.input);
    rb_buffer_fini(&l.line);
    return code;
}

const struct rb_verb rb_verb_listen = {
    .name = "listen",
    .usage = "[CHANNEL…] [--since ID|now] [--idle DURATION] [--json]",
    .summary = "Prints events as they come, each one line.",
    .help =
        "A line is <time> <channel> <event> <json>. What is kept of a channel comes "
        "first.\n"
        "Lost connections are made again, and hearing goes on where it stood; a line "
        "with\n"
        "the event `gap` tells of events that can't be had any more. Without channels\n"
        "their names are read from stdin, one a line, while listening. Ctrl-C ends it.\n"
        "\n"
        "  --since ID        only what came after this event; `now`: from now on\n"
        "  --idle DURATION   end after so long without an event; without it, for ever,\n"
        "                    and 5m when names are read from stdin\n"
        "  --json            the event alone, as JSON (NDJSON); an app's own PUBLISH\n"
        "                    becomes the data of an event `message`\n",
    .run = run,
};
