/* Between Redis and the channels: links, subscribing again, messages. Reading history is
 * feed_read.c. */
#include "notifier/feed.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "config/clock.h"
#include "config/log.h"
#include "config/process.h"
#include "jobs/subscriber.h"
#include "notifier/feed_read.h"

/* Redis that is back is not met by all at once: each process begins after a random part
 * of PACE_START_MS a thousand channels, and has asked for all within about PACE_MS. */
#define PACE_MS 500
#define PACE_STEP_MS 10
#define PACE_START_MS 5
#define PACE_LEAST 256 /* channels a step */
#define PROBE_MS 2000

static const struct rb_channels_limits limits = {
    .page_max = 512,
    .page_bytes = (size_t)256 * 1024,
    .recent_events = 64,
    .recent_bytes = (size_t)64 * 1024,
    .recent_total_bytes = (size_t)64 * 1024 * 1024,
    .max_message = (size_t)16 * 1024 * 1024,
    .linger_ms = 5000,
};

struct control {
    struct rb_key name;
    rb_control_fn *fn;
    void *ctx;
};

struct rb_feed {
    struct ev_loop *loop;
    struct rb_keys keys;
    struct rb_link *link;
    struct rb_subscriber *subscriber;
    struct rb_channels *channels;
    struct rb_reader *reader;
    struct control controls[RB_FEED_CONTROLS];
    size_t control_count;
    ev_timer pace;
    size_t pace_step; /* channels each time */
    int64_t lost_ms;  /* since when the subscribed link is down; 0: it is up */
    uint64_t losses;
};

/* --- what the channels ask for --- */

static void subscribe(void *ctx, struct rb_text channel) {
    struct rb_feed *feed = ctx;
    struct rb_key key;
    rb_key_channel(&feed->keys, channel, &key);
    rb_subscriber_subscribe(feed->subscriber, rb_key_text(&key));
}

static void unsubscribe(void *ctx, struct rb_text channel) {
    struct rb_feed *feed = ctx;
    struct rb_key key;
    rb_key_channel(&feed->keys, channel, &key);
    rb_subscriber_unsubscribe(feed->subscriber, rb_key_text(&key));
}

static enum rb_status read_history(void *ctx, const struct rb_reading *reading,
                                   struct rb_group *group) {
    struct rb_feed *feed = ctx;
    return rb_reader_read(feed->reader, reading, group);
}

/* --- what the subscribed link tells --- */

static void pace(struct ev_loop *loop, ev_timer *timer, int events) {
    struct rb_feed *feed = timer->data;
    (void)events;
    if (!rb_channels_resubscribe(feed->channels, feed->pace_step)) {
        ev_timer_stop(loop, timer);
        rb_log(RB_LOG_INFO, "feed.ready",
               RB_I("channels", rb_channels_count(feed->channels)));
    }
}

static void on_up(struct rb_feed *feed) {
    size_t count = rb_channels_count(feed->channels);
    int64_t now_ms = rb_clock_ms();
    rb_log(RB_LOG_INFO, "feed.up", RB_I("channels", count),
           RB_I("down_ms", now_ms - feed->lost_ms));
    feed->lost_ms = 0;
    for (size_t i = 0; i < feed->control_count; i++)
        rb_subscriber_subscribe(feed->subscriber, rb_key_text(&feed->controls[i].name));
    /* From now on newcomers are subscribed at once. */
    rb_channels_resubscribe(feed->channels, 0);
    feed->pace_step = count / (PACE_MS / PACE_STEP_MS) + 1;
    if (feed->pace_step < PACE_LEAST)
        feed->pace_step = PACE_LEAST;
    int64_t latest = (int64_t)(count / 1000) * PACE_START_MS;
    if (latest > PACE_MS)
        latest = PACE_MS;
    double start = (double)(rb_process_random() % (uint64_t)(latest + 1)) / 1000;
    ev_timer_set(&feed->pace, start, PACE_STEP_MS / 1000.0);
    ev_timer_start(feed->loop, &feed->pace);
}

static void on_state(void *ctx, bool up) {
    struct rb_feed *feed = ctx;
    if (up) {
        on_up(feed);
        return;
    }
    if (feed->lost_ms == 0) {
        feed->lost_ms = rb_clock_ms();
        feed->losses++;
        rb_log(RB_LOG_WARN, "feed.down",
               RB_I("channels", rb_channels_count(feed->channels)));
    }
    ev_timer_stop(feed->loop, &feed->pace);
    rb_channels_down(feed->channels);
}

static const struct control *control_of(const struct rb_feed *feed, struct rb_text name) {
    for (size_t i = 0; i < feed->control_count; i++)
        if (rb_text_equal(rb_key_text(&feed->controls[i].name), name))
            return &feed->controls[i];
    return NULL;
}

static void on_subscribed(void *ctx, struct rb_text name) {
    struct rb_feed *feed = ctx;
    struct rb_text channel;
    if (rb_key_parse_channel(&feed->keys, name, &channel))
        rb_channel_confirmed(feed->channels, channel);
}

static void on_message(void *ctx, struct rb_text name, struct rb_text payload) {
    struct rb_feed *feed = ctx;
    struct rb_text channel;
    if (rb_key_parse_channel(&feed->keys, name, &channel)) {
        rb_channel_message(feed->channels, channel, payload);
        return;
    }
    const struct control *control = control_of(feed, name);
    if (control)
        control->fn(control->ctx, payload);
}

static_assert(RB_SUBSCRIBER_AHEAD <= RB_CHANNELS_FETCH, "all of them are fetched");

static void on_coming(void *ctx, const struct rb_text *names, size_t count) {
    const struct rb_feed *feed = ctx;
    struct rb_text channels[RB_SUBSCRIBER_AHEAD];
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        found += rb_key_parse_channel(&feed->keys, names[i], &channels[found]);
    rb_channels_fetch(feed->channels, channels, found);
}

static const struct rb_subscriber_events subscriber_events = {.on_state = on_state,
                                                              .on_subscribed =
                                                                  on_subscribed,
                                                              .on_message = on_message,
                                                              .on_coming = on_coming};

/* --- the command link --- */

static void on_link_state(void *ctx, bool up) {
    struct rb_feed *feed = ctx;
    if (up)
        rb_channels_retry(feed->channels);
}

/* --- birth and end --- */

static bool build(struct rb_feed *feed, const struct rb_feed_options *options) {
    const struct rb_settings *settings = options->settings;
    const struct rb_channel_feed channel_feed = {.subscribe = subscribe,
                                                 .unsubscribe = unsubscribe,
                                                 .read = read_history,
                                                 .ctx = feed};
    const struct rb_link_options link = {
        .address = options->address,
        .name = "ringback-notifier",
        .connect_timeout_ms = settings->redis.connect_timeout,
        .command_timeout_ms = settings->redis.command_timeout,
        .on_state = on_link_state,
        .ctx = feed};
    const struct rb_subscriber_options subscriber = {.address = options->address,
                                                     .name = "ringback-notifier-feed",
                                                     .connect_timeout_ms =
                                                         settings->redis.connect_timeout,
                                                     .probe_ms = PROBE_MS};
    const uint64_t seed[2] = {rb_process_random(), rb_process_random()};
    feed->channels = rb_channels_new(&channel_feed, &limits, seed);
    if (!feed->channels)
        return false;
    feed->link = rb_link_new(feed->loop, &link);
    if (!feed->link)
        return false;
    feed->reader = rb_reader_new(feed->loop, feed->link, &feed->keys, feed->channels,
                                 limits.page_max);
    if (!feed->reader)
        return false;
    feed->subscriber =
        rb_subscriber_new(feed->loop, &subscriber, &subscriber_events, feed);
    return feed->subscriber != NULL;
}

struct rb_feed *rb_feed_new(struct ev_loop *loop, const struct rb_feed_options *options) {
    struct rb_feed *feed = calloc(1, sizeof *feed);
    if (!feed)
        return NULL;
    feed->loop = loop;
    feed->keys = options->keys;
    feed->lost_ms = rb_clock_ms();
    ev_timer_init(&feed->pace, pace, 0, 0);
    feed->pace.data = feed;
    if (build(feed, options))
        return feed;
    rb_feed_free(feed);
    return NULL;
}

/* The link answers all that is outstanding before the reader goes. */
void rb_feed_free(struct rb_feed *feed) {
    if (!feed)
        return;
    ev_timer_stop(feed->loop, &feed->pace);
    rb_subscriber_free(feed->subscriber);
    rb_link_free(feed->link);
    rb_reader_free(feed->reader);
    rb_channels_free(feed->channels);
    free(feed);
}

struct rb_channels *rb_feed_channels(struct rb_feed *feed) {
    return feed->channels;
}

struct rb_link *rb_feed_link(struct rb_feed *feed) {
    return feed->link;
}

const struct rb_keys *rb_feed_keys(const struct rb_feed *feed) { return &feed->keys; }

bool rb_feed_ready(const struct rb_feed *feed) {
    return rb_link_up(feed->link) && rb_subscriber_up(feed->subscriber) &&
           !ev_is_active(&feed->pace);
}

const char *rb_feed_last_error(const struct rb_feed *feed) {
    if (!rb_link_up(feed->link))
        return rb_link_last_error(feed->link);
    return rb_feed_ready(feed) ? "" : "subscribing";
}

void rb_feed_rest(struct rb_feed *feed, bool on) {
    rb_subscriber_rest(feed->subscriber, on);
}

uint64_t rb_feed_losses(const struct rb_feed *feed) { return feed->losses; }

enum rb_status rb_feed_control(struct rb_feed *feed, struct rb_text name,
                               rb_control_fn *fn, void *ctx) {
    if (feed->control_count == RB_FEED_CONTROLS || name.len > RB_KEY_MAX)
        return RB_TOO_LARGE;
    struct control *control = &feed->controls[feed->control_count++];
    *control = (struct control){.name.len = name.len, .fn = fn, .ctx = ctx};
    memcpy(control->name.at, name.at, name.len);
    rb_subscriber_subscribe(feed->subscriber, name);
    return RB_OK;
}
