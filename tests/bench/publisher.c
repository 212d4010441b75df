/* Publishes numbered, timed events through Redis, as a worker does.
 *
 *     bench_publisher REDIS_URL CHANNELS MESSAGES BYTES [RATE]
 *
 * Message n goes to bench:0 … bench:CHANNELS-1 in turn; RATE messages a second, 0 = as
 * fast as Redis takes them with 256 outstanding. Prints one line of JSON. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/buffer.h"
#include "config/clock.h"
#include "config/process.h"
#include "jobs/event.h"
#include "jobs/publish.h"

#define OUTSTANDING 256

struct bench {
    struct ev_loop *loop;
    struct rb_link *link;
    struct rb_channel_policy policy;
    struct ev_timer pace;
    uint64_t channels, total, sent, done, failed, receivers;
    size_t bytes;
    double rate;
    int64_t start_us;
};

static void pump(struct bench *b);

static void on_published(void *ctx, const struct rb_published *published) {
    struct bench *b = ctx;
    b->done++;
    b->receivers += (uint64_t)published->receivers;
    if (published->status != RB_OK)
        b->failed++;
    if (b->done == b->total)
        ev_break(b->loop, EVBREAK_ALL);
    else
        pump(b);
}

static void publish_one(struct bench *b) {
    struct rb_buffer event, data;
    char channel[32];
    snprintf(channel, sizeof channel, "bench:%" PRIu64, b->sent % b->channels);
    rb_buffer_init(&event, 1 << 20);
    rb_buffer_init(&data, 1 << 20);
    rb_buffer_printf(&data, "{\"n\":%" PRIu64 ",\"t\":%" PRId64 ",\"x\":\"",
                     b->sent / b->channels, rb_clock_us());
    while (data.len + 2 < b->bytes)
        rb_buffer_char(&data, 'x');
    rb_buffer_string(&data, "\"}");
    struct rb_event_head head = {.channel = rb_text_of(channel),
                                 .at = rb_clock_unix_ms()};
    rb_event_custom(&event, &head, RB_TEXT("bench"), rb_buffer_view(&data));
    struct rb_publication publication = {.channel = head.channel,
                                         .event = rb_buffer_view(&event)};
    b->sent++;
    rb_publish(b->link, &b->policy, &publication, on_published, b);
    rb_buffer_fini(&event);
    rb_buffer_fini(&data);
}

static void pump(struct bench *b) {
    uint64_t until = b->total;
    if (b->rate > 0) {
        double due = (double)(rb_clock_us() - b->start_us) / 1e6 * b->rate;
        if (due < (double)until)
            until = (uint64_t)due;
    }
    while (b->sent < until && b->sent - b->done < OUTSTANDING)
        publish_one(b);
}

static void on_pace(struct ev_loop *loop, struct ev_timer *timer, int events) {
    (void)loop;
    (void)events;
    pump(timer->data);
}

static void on_state(void *ctx, bool up) {
    struct bench *b = ctx;
    if (!up) {
        fprintf(stderr, "Redis is gone: %s\n", rb_link_last_error(b->link));
        exit(69);
    }
    b->start_us = rb_clock_us();
    pump(b);
}

int main(int argc, char **argv) {
    if (argc < 5) {
        fprintf(stderr, "usage: %s REDIS_URL CHANNELS MESSAGES BYTES [RATE]\n", argv[0]);
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
                                 .scripts = true},
                      .channels = strtoul(argv[2], NULL, 10),
                      .total = strtoul(argv[3], NULL, 10),
                      .bytes = strtoul(argv[4], NULL, 10),
                      .rate = argc > 5 ? strtod(argv[5], NULL) : 0};
    struct rb_link_options options = {.address = &address,
                                      .name = "bench",
                                      .connect_timeout_ms = 2000,
                                      .command_timeout_ms = 60000,
                                      .on_state = on_state,
                                      .ctx = &b};
    b.link = rb_link_new(b.loop, &options);
    ev_timer_init(&b.pace, on_pace, 0.001, 0.001);
    b.pace.data = &b;
    if (b.rate > 0)
        ev_timer_start(b.loop, &b.pace);
    ev_run(b.loop, 0);
    double span = (double)(rb_clock_us() - b.start_us) / 1e6;
    printf("{\"published\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"receivers\":%" PRIu64
           ",\"span_s\":%.4f,\"per_s\":%.0f}\n",
           b.done, b.failed, b.receivers, span, (double)b.done / span);
    rb_link_free(b.link);
    rb_redis_address_fini(&address);
    return b.failed ? 1 : 0;
}
