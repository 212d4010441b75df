/* For tests: the channel core with a Redis of words, and subscribers who write down what
 * they hear. */
#ifndef RB_TESTS_UNIT_CHANNEL_STAGE_H
#define RB_TESTS_UNIT_CHANNEL_STAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/buffer.h"
#include "notifier/channel.h"

#define NAME RB_TEXT("c")
#define DONE "{\"channel\":\"c\",\"event\":\"done\",\"data\":1}"
#define TICK "{\"channel\":\"c\",\"event\":\"tick\",\"data\":1}"

/* What Redis was asked, and what subscribers heard, one word each. */
static struct rb_buffer asked;
static struct rb_group *readings[8]; /* not answered yet */
static size_t reading_count;
static struct rb_channels *channels;
static enum rb_status read_status;

struct listener {
    struct rb_subscription subscription;
    struct rb_buffer heard;
    bool full, leaves;
};

static inline void on_subscribe(void *ctx, struct rb_text channel) {
    (void)ctx;
    rb_buffer_printf(&asked, "sub:%.*s ", (int)channel.len, channel.at);
}

static inline void on_unsubscribe(void *ctx, struct rb_text channel) {
    (void)ctx;
    rb_buffer_printf(&asked, "unsub:%.*s ", (int)channel.len, channel.at);
}

static inline enum rb_status on_read(void *ctx, const struct rb_reading *r,
                                     struct rb_group *group) {
    (void)ctx;
    char from[RB_STREAM_ID_MAX + 1];
    rb_stream_id_write(r->from, from);
    rb_buffer_printf(&asked, "read%s%s%s:%u ", r->inclusive ? "=" : ">", from,
                     r->verify ? "?" : "", r->count);
    if (read_status == RB_OK)
        readings[reading_count++] = group;
    return read_status;
}

static inline void on_deliver(struct rb_subscription *s, struct rb_delivery *d) {
    struct listener *l = s->owner;
    char id[RB_STREAM_ID_MAX + 1];
    rb_stream_id_write(d->id, id);
    if (d->kind == RB_DELIVERY_RAW)
        rb_buffer_printf(&l->heard, "raw:%.*s ", (int)d->json.len, d->json.at);
    else
        rb_buffer_printf(&l->heard, "%.*s:%s%s ", (int)d->event.len, d->event.at, id,
                         d->terminal ? "!" : "");
    if (d->kind == RB_DELIVERY_GAP)
        rb_buffer_printf(&l->heard, "%.*s ", (int)d->json.len, d->json.at);
    assert_true(d->kind == RB_DELIVERY_RAW || d->json.at[0] == '{');
    if (l->leaves)
        rb_channel_unsubscribe(s);
}

static inline void on_verified(struct rb_subscription *s, bool finished) {
    struct listener *l = s->owner;
    rb_buffer_string(&l->heard, finished ? "finished " : "verified ");
    if (finished)
        rb_channel_unsubscribe(s);
}

static inline void on_live(struct rb_subscription *s) {
    rb_buffer_string(&((struct listener *)s->owner)->heard, "live ");
}

static inline bool on_full(const struct rb_subscription *s) {
    return ((struct listener *)s->owner)->full;
}

static inline void on_failed(struct rb_subscription *s) {
    rb_buffer_string(&((struct listener *)s->owner)->heard, "failed ");
}

static const struct rb_sink sink = {.deliver = on_deliver,
                                    .verified = on_verified,
                                    .live = on_live,
                                    .full = on_full,
                                    .failed = on_failed};

static inline int set_up(void **state) {
    const struct rb_channel_feed feed = {
        .subscribe = on_subscribe, .unsubscribe = on_unsubscribe, .read = on_read};
    const struct rb_channels_limits limits = {.page_max = 100,
                                              .page_bytes = 1000,
                                              .recent_events = 3,
                                              .recent_bytes = 1000,
                                              .recent_total_bytes = 2000,
                                              .max_message = 200,
                                              .linger_ms = 100};
    (void)state;
    rb_buffer_init(&asked, 10000);
    reading_count = 0;
    read_status = RB_OK;
    channels = rb_channels_new(&feed, &limits, (uint64_t[2]){1, 2});
    rb_channels_resubscribe(channels, 0);
    rb_channels_turn(channels, 1000, 1700000000000);
    return channels ? 0 : -1;
}

static inline int tear_down(void **state) {
    (void)state;
    rb_channels_free(channels);
    rb_buffer_fini(&asked);
    return 0;
}

static inline struct rb_stream_id id_of(const char *text) {
    struct rb_stream_id id;
    assert_int_equal(rb_stream_id_parse(rb_text_of(text), &id), RB_OK);
    return id;
}

static inline void come(struct listener *l, const char *since) {
    struct rb_cursor cursor = {0};
    if (since)
        cursor = (struct rb_cursor){true, id_of(since)};
    rb_buffer_init(&l->heard, 10000);
    l->subscription.sink = &sink;
    l->subscription.owner = l;
    assert_int_equal(rb_channel_subscribe(channels, NAME, cursor, &l->subscription),
                     RB_OK);
}

static inline void leave(struct listener *l) {
    rb_channel_unsubscribe(&l->subscription);
    rb_buffer_fini(&l->heard);
}

#define assert_asked(text) assert_said(&asked, text)
#define assert_heard(l, text) assert_said(&(l)->heard, text)
static inline void assert_said(struct rb_buffer *said, const char *text) {
    assert_string_equal(said->at ? said->at : "", text);
    rb_buffer_clear(said);
}

static inline void message(const char *payload) {
    rb_channel_message(channels, NAME, rb_text_of(payload));
}

/* The reading that was asked last. */
static inline void answer(const struct rb_page *p) {
    assert_true(reading_count > 0);
    rb_channel_page(readings[--reading_count], p);
}

/* "5-0<4-0 6-0! 7-0-": an entry 5-0 that knows 4-0 before it, a terminal one that knows
 * none, one without an event. */
static inline void page(const char *text, bool more, const char *last) {
    struct rb_entry entries[16] = {0};
    struct rb_page p = {.entries = entries, .more = more};
    struct rb_text rest = rb_text_of(text), word;
    while (rb_text_next(&rest, ' ', &word)) {
        struct rb_entry *e = &entries[p.count++];
        struct rb_text id;
        bool terminal = word.at[word.len - 1] == '!';
        e->has_json = word.at[word.len - 1] != '-';
        e->json = terminal ? RB_TEXT(DONE) : RB_TEXT(TICK);
        word.len -= terminal || !e->has_json;
        assert_true(rb_text_next(&word, '<', &id));
        assert_int_equal(rb_stream_id_parse(id, &e->id), RB_OK);
        e->has_prev = word.len > 0;
        if (e->has_prev)
            assert_int_equal(rb_stream_id_parse(word, &e->prev), RB_OK);
    }
    if (last) {
        p.last_known = true;
        p.last_terminal = strchr(last, '!') != NULL;
        p.last = id_of(p.last_terminal ? "9-0" : last);
    }
    answer(&p);
}

static inline void confirm(void) { rb_channel_confirmed(channels, NAME); }

/* A first member, at the end of a stream that holds 5-0. */
static inline void begin(struct listener *l) {
    come(l, NULL);
    confirm();
    page("5-0<0-0", false, NULL);
    assert_heard(l, "verified tick:5-0 live ");
    rb_buffer_clear(&asked);
}

#endif
