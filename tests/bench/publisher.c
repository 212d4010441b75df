/* Publishes numbered, timed messages through Redis.
 *
 *     bench_publisher REDIS_URL kept|raw CHANNELS MESSAGES BYTES [RATE] [FIRST] [RUN]
 *
 * kept: events with an id, as a worker publishes them (the script); raw: a plain PUBLISH
 * of the app's own. They go to bench:0 … bench:CHANNELS-1 in turn, RUN (1) in a row to
 * each, numbered from FIRST; RATE messages a second, 0 = as fast as Redis takes them.
 * Prints one line of JSON. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "config/buffer.h"
#include "config/clock.h"
#include "config/process.h"
#include "jobs/event.h"
#include "jobs/publish.h"

#define OUTSTANDING 1024

struct bench {
    struct ev_loop *loop;
    struct rb_link *link;
    struct rb_channel_policy policy;
    struct ev_io pace;
    bool raw;
    uint64_t channels, total, sent, done, failed, receivers, first, run;
    size_t bytes;
    double rate;
    int64_t start_us;
    struct rb_buffer event, data;
};

static void pump(struct bench *b);

static void count(struct bench *b, bool good, int64_t receivers) {
    b->done++;
    b->receivers += (uint64_t)receivers;
    b->failed += !good;
    if (b->done == b->total)
        ev_break(b->loop, EVBREAK_ALL);
    else if (b->rate == 0 && b->sent - b->done <= OUTSTANDING / 2)
        pump(b);
}

static void on_published(void *ctx, const struct rb_published *published) {
    count(ctx, published->status == RB_OK, published->receivers);
}

static void on_reply(void *ctx, enum rb_status status, const struct redisReply *reply) {
    bool good = status == RB_OK && reply && reply->type == REDIS_REPLY_INTEGER;
    count(ctx, good, good ? reply->integer : 0);
}

static uint64_t channel_of(const struct bench *b) {
    return b->sent / b->run % b->channels;
}

static void write_data(struct bench *b) {
    uint64_t round = b->sent / (b->channels * b->run);
    rb_buffer_clear(&b->data);
    rb_buffer_printf(&b->data, "{\"n\":%" PRIu64 ",\"t\":%" PRId64 ",\"x\":\"",
                     b->first + round * b->run + b->sent % b->run, rb_clock_us());
    while (b->data.len + 2 < b->bytes)
        rb_buffer_char(&b->data, 'x');
    rb_buffer_string(&b->data, "\"}");
}

static void publish_raw(struct bench *b) {
    char key[64];
    snprintf(key, sizeof key, "ringback:ch:{bench:%" PRIu64 "}", channel_of(b));
    struct rb_text argv[] = {RB_TEXT("PUBLISH"), rb_text_of(key),
                             rb_buffer_view(&b->data)};
    b->sent++;
    rb_link_call(b->link, 0, on_reply, b, 3, argv);
}

static void publish_kept(struct bench *b) {
    char channel[32];
    snprintf(channel, sizeof channel, "bench:%" PRIu64, channel_of(b));
    struct rb_event_head head = {.channel = rb_text_of(channel),
                                 .at = rb_clock_unix_ms()};
    rb_buffer_clear(&b->event);
    rb_event_custom(&b->event, &head, RB_TEXT("bench"), rb_buffer_view(&b->data));
    struct rb_publication publication = {.channel = head.channel,
                                         .event = rb_buffer_view(&b->event)};
    b->sent++;
    rb_publish(b->link, &b->policy, &publication, on_published, b);
}

static void pump(struct bench *b) {
    uint64_t until = b->total;
    if (b->rate > 0) {
        double due = (double)(rb_clock_us() - b->start_us) / 1e6 * b->rate;
        if (due < (double)until)
            until = (uint64_t)due;
    }
    while (b->sent < until && b->sent - b->done < OUTSTANDING) {
        write_data(b);
        if (b->raw)
            publish_raw(b);
        else
            publish_kept(b);
    }
}

static void on_pace(struct ev_loop *loop, struct ev_io *io, int events) {
    uint64_t ticks;
    (void)loop;
    (void)events;
    if (read(io->fd, &ticks, sizeof ticks) == sizeof ticks)
        pump(io->data);
}

/* Even gaps: libev's own timers are whole milliseconds apart, which would make bursts. */
static void keep_pace(struct bench *b) {
    struct timespec gap = {.tv_nsec = (long)(1e9 / b->rate)};
    struct itimerspec timer = {.it_interval = gap, .it_value = gap};
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (fd < 0 || timerfd_settime(fd, 0, &timer, NULL) != 0) {
        perror("timerfd");
        exit(1);
    }
    ev_io_init(&b->pace, on_pace, fd, EV_READ);
    b->pace.data = b;
    ev_io_start(b->loop, &b->pace);
}

static void on_state(void *ctx, bool up) {
    struct bench *b = ctx;
    if (!up) {
        fprintf(stderr, "Redis is gone: %s\n", rb_link_last_error(b->link));
        exit(69);
    }
    b->start_us = rb_clock_us();
    if (b->rate > 0)
        keep_pace(b);
    else
        pump(b);
}

int main(int argc, char **argv) {
    if (argc < 6) {
        fprintf(
            stderr,
            "usage: %s REDIS_URL kept|raw CHANNELS MESSAGES BYTES [RATE] [FIRST] [RUN]\n",
            argv[0]);
        return 64;
    }
    struct rb_redis_address address;
    struct rb_error error;
    if (rb_redis_address_parse(rb_text_of(argv[1]), &address, &error) != RB_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 64;
    }
    rb_process_prepare();
    struct bench b = {.loop = ev_default_loop(0),
                      .policy = {.keys = {RB_TEXT("ringback"), RB_TEXT("ringback:ch")},
                                 .max_events = 100,
                                 .ttl_ms = 600000,
                                 .max_data = 262144,
                                 .scripts = true},
                      .raw = strcmp(argv[2], "raw") == 0,
                      .channels = strtoul(argv[3], NULL, 10),
                      .total = strtoul(argv[4], NULL, 10),
                      .bytes = strtoul(argv[5], NULL, 10),
                      .rate = argc > 6 ? strtod(argv[6], NULL) : 0,
                      .first = argc > 7 ? strtoul(argv[7], NULL, 10) : 0,
                      .run = argc > 8 ? strtoul(argv[8], NULL, 10) : 1};
    rb_buffer_init(&b.event, 1 << 20);
    rb_buffer_init(&b.data, 1 << 20);
    struct rb_link_options options = {.address = &address,
                                      .name = "bench",
                                      .connect_timeout_ms = 2000,
                                      .command_timeout_ms = 60000,
                                      .on_state = on_state,
                                      .ctx = &b};
    b.link = rb_link_new(b.loop, &options);
    ev_run(b.loop, 0);
    double span = (double)(rb_clock_us() - b.start_us) / 1e6;
    printf("{\"published\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"receivers\":%" PRIu64
           ",\"span_s\":%.4f,\"per_s\":%.0f}\n",
           b.done, b.failed, b.receivers, span, (double)b.done / span);
    rb_link_free(b.link);
    rb_redis_address_fini(&address);
    rb_buffer_fini(&b.event);
    rb_buffer_fini(&b.data);
    return b.failed ? 1 : 0;
}
