/* XRANGE for one group of members after the other. Where nothing stands at or behind a
 * cursor, the meta hash tells whether anything was there: it is asked first and the
 * stream once more behind it, so that an event that comes in between is not missed. */
#include "notifier/feed_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "config/log.h"
#include "jobs/name.h"

#define AT_A_TIME 64 /* bounds what the answers weigh together */
#define RETRY_FIRST_S 0.1
#define RETRY_MAX_S 2.0

enum stage { STAGE_FIRST, STAGE_META, STAGE_AGAIN };

struct reading {
    STAILQ_ENTRY(reading) next;
    struct rb_reader *reader;
    struct rb_group *group;
    enum stage stage;
    struct rb_stream_id from;
    bool inclusive, verify;
    unsigned count;
    struct rb_page page;
    uint8_t name_len;
    char name[];
};

struct rb_reader {
    struct ev_loop *loop;
    struct rb_link *link;
    const struct rb_keys *keys;
    struct rb_channels *channels;
    STAILQ_HEAD(, reading) waiting;
    unsigned out; /* readings whose answer is awaited */
    ev_timer retry;
    double retry_s;
    struct rb_log_limit line;
    unsigned page_max;
    struct rb_entry entries[]; /* of the page being handed over */
};

static void on_retry(struct ev_loop *loop, ev_timer *timer, int events) {
    struct rb_reader *reader = timer->data;
    (void)loop;
    (void)events;
    rb_channels_retry(reader->channels);
}

struct rb_reader *rb_reader_new(struct ev_loop *loop, struct rb_link *link,
                                const struct rb_keys *keys, struct rb_channels *channels,
                                unsigned page_max) {
    struct rb_reader *reader =
        calloc(1, sizeof *reader + page_max * sizeof(struct rb_entry));
    if (!reader)
        return NULL;
    reader->loop = loop;
    reader->link = link;
    reader->keys = keys;
    reader->channels = channels;
    reader->page_max = page_max;
    reader->retry_s = RETRY_FIRST_S;
    STAILQ_INIT(&reader->waiting);
    ev_timer_init(&reader->retry, on_retry, 0, 0);
    reader->retry.data = reader;
    return reader;
}

void rb_reader_free(struct rb_reader *reader) {
    if (!reader)
        return;
    ev_timer_stop(reader->loop, &reader->retry);
    free(reader);
}

static void start_next(struct rb_reader *reader);

/* When the link is down its coming back makes the channels try again. */
static void retry_later(struct rb_reader *reader) {
    if (!rb_link_up(reader->link) || ev_is_active(&reader->retry))
        return;
    ev_timer_set(&reader->retry, reader->retry_s, 0);
    ev_timer_start(reader->loop, &reader->retry);
    reader->retry_s *= 2;
    if (reader->retry_s > RETRY_MAX_S)
        reader->retry_s = RETRY_MAX_S;
}

/* Redis may be there and refuse: it loads its data, or the key is no stream. */
static void note_failure(struct rb_reader *reader, const struct reading *reading,
                         enum rb_status status, const struct redisReply *reply) {
    unsigned held;
    if (status == RB_CANCELLED)
        return;
    if (rb_log_allow(&reader->line, (int64_t)(ev_now(reader->loop) * 1000), &held))
        rb_log(RB_LOG_WARN, "feed.read_failed",
               RB_T("channel", rb_name_shown(rb_text(reading->name, reading->name_len))),
               RB_S("why", reply && reply->type == REDIS_REPLY_ERROR
                               ? reply->str
                               : rb_status_text(status)),
               RB_I("suppressed", held));
    retry_later(reader);
}

static void finish(struct reading *reading, enum rb_status status,
                   const struct redisReply *reply) {
    struct rb_reader *reader = reading->reader;
    reader->out--;
    reading->page.status = status;
    if (status != RB_OK)
        note_failure(reader, reading, status, reply);
    else
        reader->retry_s = RETRY_FIRST_S;
    rb_channel_page(reading->group, &reading->page);
    free(reading);
    start_next(reader);
}

static bool parse_id(const struct redisReply *reply, struct rb_stream_id *id) {
    return reply->type == REDIS_REPLY_STRING &&
           rb_stream_id_parse(rb_text(reply->str, reply->len), id) == RB_OK;
}

/* [id, [field, value, …]]; an entry that somebody else wrote may have any fields. */
static bool parse_entry(const struct redisReply *reply, struct rb_entry *entry) {
    *entry = (struct rb_entry){0};
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        !parse_id(reply->element[0], &entry->id))
        return false;
    const struct redisReply *fields = reply->element[1];
    if (fields->type != REDIS_REPLY_ARRAY)
        return true;
    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        const struct redisReply *name = fields->element[i],
                                *value = fields->element[i + 1];
        if (name->type != REDIS_REPLY_STRING || value->type != REDIS_REPLY_STRING ||
            name->len != 1)
            continue;
        if (name->str[0] == 'e') {
            entry->has_json = true;
            entry->json = rb_text(value->str, value->len);
        } else if (name->str[0] == 'p') {
            entry->has_prev = parse_id(value, &entry->prev) &&
                              rb_stream_id_compare(entry->prev, entry->id) < 0;
        }
    }
    return true;
}

static enum rb_status parse_page(struct reading *reading,
                                 const struct redisReply *reply) {
    struct rb_reader *reader = reading->reader;
    struct rb_page *page = &reading->page;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements > reader->page_max)
        return RB_INVALID;
    page->entries = reader->entries;
    page->count = reply->elements;
    page->more = reply->elements >= reading->count;
    for (size_t i = 0; i < reply->elements; i++)
        if (!parse_entry(reply->element[i], &reader->entries[i]))
            return RB_INVALID;
    return RB_OK;
}

static void ask(struct reading *reading);

static void on_meta(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct reading *reading = ctx;
    struct rb_page *page = &reading->page;
    struct rb_stream_id terminal;
    if (status != RB_OK || reply->type != REDIS_REPLY_ARRAY || reply->elements != 2) {
        finish(reading, status != RB_OK ? status : RB_INVALID, reply);
        return;
    }
    page->last_known = parse_id(reply->element[0], &page->last);
    page->last_terminal = page->last_known && parse_id(reply->element[1], &terminal) &&
                          rb_stream_id_compare(page->last, terminal) == 0;
    reading->stage = STAGE_AGAIN;
    ask(reading);
}

static void ask_meta(struct reading *reading) {
    struct rb_key key;
    rb_key_meta(reading->reader->keys, rb_text(reading->name, reading->name_len), &key);
    const struct rb_text command[] = {RB_TEXT("HMGET"), rb_key_text(&key),
                                      RB_TEXT("last"), RB_TEXT("terminal")};
    reading->stage = STAGE_META;
    rb_link_call(reading->reader->link, 0, on_meta, reading, 4, command);
}

static void on_page(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct reading *reading = ctx;
    if (status == RB_OK)
        status = parse_page(reading, reply);
    if (status == RB_OK && reading->page.count == 0 && reading->verify &&
        reading->stage == STAGE_FIRST)
        ask_meta(reading);
    else
        finish(reading, status, reply);
}

static void ask(struct reading *reading) {
    struct rb_key key;
    char from[RB_STREAM_ID_MAX + 2], count[16];
    size_t len = 0;
    rb_key_channel(reading->reader->keys, rb_text(reading->name, reading->name_len),
                   &key);
    if (!reading->inclusive)
        from[len++] = '(';
    len += rb_stream_id_write(reading->from, from + len);
    int digits = snprintf(count, sizeof count, "%u", reading->count);
    const struct rb_text command[] = {RB_TEXT("XRANGE"),  rb_key_text(&key),
                                      rb_text(from, len), RB_TEXT("+"),
                                      RB_TEXT("COUNT"),   rb_text(count, (size_t)digits)};
    rb_link_call(reading->reader->link, 0, on_page, reading, 6, command);
}

static void start_next(struct rb_reader *reader) {
    struct reading *reading;
    while (reader->out < AT_A_TIME && (reading = STAILQ_FIRST(&reader->waiting))) {
        STAILQ_REMOVE_HEAD(&reader->waiting, next);
        reader->out++;
        ask(reading);
    }
}

enum rb_status rb_reader_read(struct rb_reader *reader, const struct rb_reading *asked,
                              struct rb_group *group) {
    struct reading *reading = calloc(1, sizeof *reading + asked->channel.len);
    if (!reading) {
        retry_later(reader);
        return RB_NOMEM;
    }
    reading->reader = reader;
    reading->group = group;
    reading->from = asked->from;
    reading->inclusive = asked->inclusive;
    reading->verify = asked->verify;
    reading->count = asked->count;
    reading->name_len = (uint8_t)asked->channel.len;
    memcpy(reading->name, asked->channel.at, asked->channel.len);
    STAILQ_INSERT_TAIL(&reader->waiting, reading, next);
    start_next(reader);
    return RB_OK;
}
