/* ringback publish --stdin: a message a line, on any channel, for as long as there are
 * lines: a bridge from whatever can write them. */
#include "jobs/cli/publish_lines.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "config/clock.h"
#include "jobs/event.h"
#include "jobs/publish_line.h"

#define LINE_LIMIT ((size_t)8 * 1024 * 1024)
#define READ_BYTES ((size_t)64 * 1024)
#define UNANSWERED_MOST 1000 /* then no more is read */

struct bridge {
    struct rb_cli *cli;
    ev_io readable;
    struct rb_buffer input; /* a line that is not whole yet, and what came behind it */
    size_t number;          /* of the line */
    bool ended;
    bool failed; /* something was not published */
};

struct sent {
    struct bridge *bridge;
    size_t number;
    char channel[RB_CHANNEL_MAX + 1];
};

static void fail(struct bridge *b, size_t number, const char *why) {
    rb_cli_say("line %zu: %s", number, why);
    b->failed = true;
}

static void on_published(void *ctx, const struct rb_published *published) {
    struct sent *sent = ctx;
    char id[RB_STREAM_ID_MAX + 1];
    if (published->status == RB_OK) {
        rb_stream_id_write(published->id, id);
        printf("{\"id\":\"%s\",\"channel\":\"%s\",\"receivers\":%lld}\n", id,
               sent->channel, (long long)published->receivers);
    } else {
        fail(sent->bridge, sent->number,
             published->status == RB_REFUSED ? published->error
                                             : rb_status_text(published->status));
    }
    free(sent);
}

static void publish(struct bridge *b, struct rb_text line) {
    struct rb_publish_line parsed;
    struct rb_error error;
    struct rb_buffer json;
    if (rb_publish_line_parse(line, &parsed, &error) != RB_OK) {
        fail(b, b->number, error.text);
        return;
    }
    struct sent *sent = calloc(1, sizeof *sent);
    const struct rb_event_head head = {.channel = rb_text_of(parsed.channel),
                                       .at = rb_clock_unix_ms()};
    struct rb_text event = rb_text_of(parsed.event);
    rb_buffer_init(&json, parsed.data.len + 1024);
    rb_event_custom(&json, &head, event, parsed.data);
    if (sent && json.status == RB_OK) {
        *sent = (struct sent){.bridge = b, .number = b->number};
        memcpy(sent->channel, parsed.channel, sizeof sent->channel);
        const struct rb_publication publication = {
            .channel = head.channel,
            .terminal = rb_text_is(event, "done") || rb_text_is(event, "failed"),
            .event = rb_buffer_view(&json)};
        rb_publish(b->cli->link, &b->cli->policy, &publication, on_published, sent);
    } else {
        fail(b, b->number, "out of memory");
        free(sent);
    }
    rb_buffer_fini(&json);
}

/* Whole lines of what was read, up to `most` of them; false when there are no more. */
static bool take_lines(struct bridge *b, size_t most) {
    size_t from = 0;
    bool more = true;
    for (size_t i = 0; i < most && more; i++) {
        more = from < b->input.len;
        if (!more)
            break;
        struct rb_text rest = rb_text(b->input.at + from, b->input.len - from), line;
        const char *end = memchr(rest.at, '\n', rest.len);
        more = end || b->ended;
        if (!more)
            break;
        size_t len = end ? (size_t)(end - rest.at) + 1 : rest.len;
        rest.len = len;
        if (rb_publish_line_next(&rest, &b->number, &line))
            publish(b, line);
        from += len;
    }
    rb_buffer_consume(&b->input, from);
    return more;
}

static void on_readable(struct ev_loop *loop, ev_io *io, int events) {
    struct bridge *b = io->data;
    char *room = rb_buffer_reserve(&b->input, READ_BYTES);
    (void)loop;
    (void)events;
    ssize_t n = room ? read(io->fd, room, READ_BYTES) : 0;
    if (n > 0) {
        rb_buffer_commit(&b->input, (size_t)n);
    } else if (!room) {
        fail(b, b->number + 1, "longer than a message may be");
        rb_buffer_clear(&b->input);
        b->ended = true;
    } else if (n == 0) {
        b->ended = true;
    } else if (errno != EAGAIN && errno != EINTR) {
        fail(b, b->number + 1, strerror(errno));
        b->ended = true;
    }
}

/* While Redis is away nothing is taken: what is not read yet is not lost. What was under
 * way is told as failed, since nobody knows what became of it. */
static void run(struct bridge *b) {
    struct ev_loop *loop = b->cli->loop;
    for (;;) {
        size_t unanswered = rb_link_outstanding(b->cli->link);
        bool ready = rb_link_up(b->cli->link) && unanswered < UNANSWERED_MOST;
        bool more = !ready || take_lines(b, UNANSWERED_MOST - unanswered);
        unanswered = rb_link_outstanding(b->cli->link);
        if (unanswered == 0)
            fflush(stdout);
        if ((b->ended && b->input.len == 0 && unanswered == 0) || ferror(stdout))
            break;
        if (!more && !b->ended)
            ev_io_start(loop, &b->readable);
        else
            ev_io_stop(loop, &b->readable);
        bool idle = !more || !ready || unanswered > 0;
        ev_run(loop, idle ? EVRUN_ONCE : EVRUN_NOWAIT);
    }
}

int rb_cli_publish_lines(struct rb_cli *cli) {
    struct bridge b = {.cli = cli};
    rb_buffer_init(&b.input, LINE_LIMIT + READ_BYTES);
    ev_io_init(&b.readable, on_readable, STDIN_FILENO, EV_READ);
    b.readable.data = &b;
    run(&b);
    ev_io_stop(cli->loop, &b.readable);
    rb_buffer_fini(&b.input);
    return b.failed ? RB_EXIT_FAILURE : RB_EXIT_OK;
}
