/* Asking and answering who waits. A question is "<asker> <number> <channel>", an answer
 * "<number> <waiters>". */
#include "notifier/census.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "config/buffer.h"
#include "jobs/name.h"
#include "notifier/channel.h"

#define ASKER_MAX 64

struct question {
    TAILQ_ENTRY(question) entry;
    struct rb_census *census;
    uint64_t number;
    ev_timer timer;
    rb_census_fn *fn;
    void *ctx;
    size_t waiters;
    int64_t answers;
    int64_t heard; /* how many processes; < 0: Redis has not said yet */
};

TAILQ_HEAD(questions, question);

struct rb_census {
    struct ev_loop *loop;
    struct rb_feed *feed;
    char id[ASKER_MAX + 1];
    uint64_t last_number;
    struct questions open;
};

static void finish(struct question *q, bool complete) {
    TAILQ_REMOVE(&q->census->open, q, entry);
    ev_timer_stop(q->census->loop, &q->timer);
    q->fn(q->ctx, q->waiters, complete);
    free(q);
}

static void finish_if_all_answered(struct question *q) {
    if (q->heard >= 0 && q->answers >= q->heard)
        finish(q, true);
}

static void on_timeout(struct ev_loop *loop, ev_timer *timer, int revents) {
    (void)loop;
    (void)revents;
    finish(timer->data, false);
}

/* Answers may have come before Redis's own reply: they take another connection. */
static void on_asked(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct question *q = ctx;
    /* Heard by nobody, not even by ourselves: the subscribed link is down, and what the
     * others know is not to be had. */
    if (status != RB_OK || reply->type != REDIS_REPLY_INTEGER || reply->integer < 1) {
        finish(q, false);
        return;
    }
    q->heard = reply->integer;
    ev_timer_start(q->census->loop, &q->timer);
    finish_if_all_answered(q);
}

static void publish(struct rb_census *census, const struct rb_key *name,
                    const struct rb_buffer *payload, rb_link_reply_fn *fn, void *ctx) {
    const struct rb_text argv[] = {RB_TEXT("PUBLISH"), rb_key_text(name),
                                   rb_buffer_view(payload)};
    rb_link_call(rb_feed_link(census->feed), 0, fn, ctx, 3, argv);
}

void rb_census_ask(struct rb_census *census, struct rb_text channel, rb_census_fn *fn,
                   void *ctx) {
    size_t own = rb_channel_waiters(rb_feed_channels(census->feed), channel);
    struct question *q = calloc(1, sizeof *q);
    struct rb_buffer payload;
    struct rb_key name;
    if (!q) {
        fn(ctx, own, false);
        return;
    }
    *q = (struct question){.census = census,
                           .number = ++census->last_number,
                           .fn = fn,
                           .ctx = ctx,
                           .waiters = own,
                           .heard = -1};
    ev_timer_init(&q->timer, on_timeout, RB_CENSUS_MS / 1e3, 0.);
    q->timer.data = q;
    TAILQ_INSERT_TAIL(&census->open, q, entry);
    rb_buffer_init(&payload, 512);
    rb_buffer_string(&payload, census->id);
    rb_buffer_char(&payload, ' ');
    rb_buffer_uint(&payload, q->number);
    rb_buffer_char(&payload, ' ');
    rb_buffer_text(&payload, channel);
    rb_key_notifiers(rb_feed_keys(census->feed), &name);
    if (payload.status == RB_OK)
        publish(census, &name, &payload, on_asked, q);
    else
        finish(q, false);
    rb_buffer_fini(&payload);
}

/* ---- whom to ask ---- */

/* Redis is asked first how many processes are subscribed. */
struct counting {
    struct rb_census *census;
    rb_census_fn *fn;
    void *ctx;
    uint8_t channel_len;
    char channel[];
};

static_assert(RB_CHANNEL_MAX <= UINT8_MAX, "a channel's length fits");

static bool parse_subscribers(const struct redisReply *reply, int64_t *subscribers) {
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[1]->type != REDIS_REPLY_INTEGER)
        return false;
    *subscribers = reply->element[1]->integer;
    return true;
}

static void on_subscribers(void *ctx, enum rb_status status,
                           const struct redisReply *reply) {
    struct counting *c = ctx;
    struct rb_feed *feed = c->census->feed;
    struct rb_text channel = rb_text(c->channel, c->channel_len);
    size_t own = rb_channel_waiters(rb_feed_channels(feed), channel);
    int64_t subscribers;
    if (status != RB_OK || !parse_subscribers(reply, &subscribers))
        c->fn(c->ctx, own, false);
    else if (own == 0 && subscribers == 0)
        c->fn(c->ctx, 0, true);
    else if (own > 0 && subscribers == 1 && rb_feed_ready(feed))
        c->fn(c->ctx, own, true);
    else
        rb_census_ask(c->census, channel, c->fn, c->ctx);
    free(c);
}

void rb_census_count(struct rb_census *census, struct rb_text channel, rb_census_fn *fn,
                     void *ctx) {
    struct counting *c = malloc(sizeof *c + channel.len);
    struct rb_key name;
    if (!c) {
        fn(ctx, rb_channel_waiters(rb_feed_channels(census->feed), channel), false);
        return;
    }
    *c = (struct counting){census, fn, ctx, (uint8_t)channel.len};
    memcpy(c->channel, channel.at, channel.len);
    rb_key_channel(rb_feed_keys(census->feed), channel, &name);
    const struct rb_text argv[] = {RB_TEXT("PUBSUB"), RB_TEXT("NUMSUB"),
                                   rb_key_text(&name)};
    rb_link_call(rb_feed_link(census->feed), 0, on_subscribers, c, 3, argv);
}

/* ---- answers, and others' questions ---- */

static void take_answer(struct rb_census *census, uint64_t number, uint64_t waiters) {
    struct question *q;
    TAILQ_FOREACH (q, &census->open, entry) {
        if (q->number != number)
            continue;
        q->answers++;
        q->waiters += (size_t)waiters;
        finish_if_all_answered(q);
        return;
    }
}

static void on_answer(void *ctx, struct rb_text payload) {
    struct rb_text number_text;
    uint64_t number, waiters;
    if (rb_text_next(&payload, ' ', &number_text) &&
        rb_text_uint64(number_text, &number) == RB_OK &&
        rb_text_uint64(payload, &waiters) == RB_OK && waiters <= UINT32_MAX)
        take_answer(ctx, number, waiters);
}

static void on_question(void *ctx, struct rb_text payload) {
    struct rb_census *census = ctx;
    struct rb_text asker, number_text;
    uint64_t number;
    if (!rb_text_next(&payload, ' ', &asker) || !rb_name_is_job_id(asker) ||
        asker.len > ASKER_MAX || !rb_text_next(&payload, ' ', &number_text) ||
        rb_text_uint64(number_text, &number) != RB_OK || !rb_name_is_channel(payload))
        return;
    if (rb_text_is(asker, census->id)) {
        take_answer(census, number, 0); /* its own count is in already */
        return;
    }
    struct rb_buffer answer;
    struct rb_key name;
    rb_buffer_init(&answer, 64);
    rb_buffer_uint(&answer, number);
    rb_buffer_char(&answer, ' ');
    rb_buffer_uint(&answer, rb_channel_waiters(rb_feed_channels(census->feed), payload));
    rb_key_notifier(rb_feed_keys(census->feed), asker, &name);
    if (answer.status == RB_OK) /* else the asker learns that the count is not complete */
        publish(census, &name, &answer, NULL, NULL);
    rb_buffer_fini(&answer);
}

struct rb_census *rb_census_new(struct ev_loop *loop, struct rb_feed *feed,
                                const char *id) {
    struct rb_census *census = calloc(1, sizeof *census);
    struct rb_text own = rb_text_of(id);
    struct rb_key questions, answers;
    if (!census || own.len == 0 || own.len > ASKER_MAX) {
        free(census);
        return NULL;
    }
    census->loop = loop;
    census->feed = feed;
    memcpy(census->id, own.at, own.len);
    TAILQ_INIT(&census->open);
    rb_key_notifiers(rb_feed_keys(feed), &questions);
    rb_key_notifier(rb_feed_keys(feed), own, &answers);
    if (rb_feed_control(feed, rb_key_text(&answers), on_answer, census) != RB_OK ||
        rb_feed_control(feed, rb_key_text(&questions), on_question, census) != RB_OK) {
        free(census);
        return NULL;
    }
    return census;
}

void rb_census_free(struct rb_census *census) {
    if (!census)
        return;
    while (!TAILQ_EMPTY(&census->open))
        finish(TAILQ_FIRST(&census->open), false);
    free(census);
}
