/* Reading the events of one job out of its channel. */
#include "notifier/admin_job_events.h"

#include <stdio.h>
#include <stdlib.h>

#include "jobs/json_scan.h"
#include "jobs/publish.h"
#include "notifier/enqueue.h"
#include "notifier/server.h"

#define PAGE_FIRST 16
#define PAGE_MOST 128
#define PAGE_BYTES                                                                       \
    ((size_t)512 * 1024) /* a page that brings more is followed by less                  \
                          */
#define EVENTS_SEEN 2000
#define BYTES_MOST ((size_t)64 * 1024 * 1024)
#define EVENTS_MOST 200 /* of the job */
#define EVENT_BYTES ((size_t)16 * 1024)
#define MEMBER_BYTES ((size_t)4096) /* a longer member of an event is left out */

struct reading {
    struct rb_exchange *exchange;
    struct rb_job_events events;
    char channel[RB_CHANNEL_MAX + 1], job[RB_JOB_ID_MAX + 1];
    char *kept[EVENTS_MOST]; /* the newest first */
    char before[RB_STREAM_ID_MAX + 2];
    size_t page, seen, bytes;
    rb_job_events_fn *fn;
    void *ctx;
};

static void finish(struct reading *r) {
    struct rb_job_events *e = &r->events;
    rb_buffer_init(&e->json, EVENTS_MOST * (EVENT_BYTES + 1) + 2);
    rb_buffer_char(&e->json, '[');
    for (size_t i = e->count; i > 0; i--) {
        rb_buffer_string(&e->json, r->kept[i - 1]);
        if (i > 1)
            rb_buffer_char(&e->json, ',');
        free(r->kept[i - 1]);
    }
    rb_buffer_char(&e->json, ']');
    r->fn(r->ctx, e);
    rb_buffer_fini(&e->json);
    free(r);
}

static void fail(struct reading *r, enum rb_status status,
                 const struct redisReply *reply) {
    r->events.status = status;
    if (status == RB_REFUSED)
        snprintf(r->events.error, sizeof r->events.error, "%s", reply->str);
    finish(r);
}

/* ---- the channel's meta hash ---- */

static void on_meta(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct reading *r = ctx;
    struct rb_stream_id id;
    if (status != RB_OK) {
        fail(r, status, reply);
        return;
    }
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2) {
        const struct redisReply *ended = reply->element[0], *told = reply->element[1];
        if (ended->type == REDIS_REPLY_STRING &&
            rb_stream_id_parse(rb_text(ended->str, ended->len), &id) == RB_OK)
            rb_stream_id_write(id, r->events.ended);
        if (told->type == REDIS_REPLY_STRING &&
            rb_text_int64(rb_text(told->str, told->len), &r->events.delivered_at) !=
                RB_OK)
            r->events.delivered_at = 0;
    }
    finish(r);
}

static void ask_meta(struct reading *r) {
    struct rb_server *server = rb_exchange_server(r->exchange);
    char ended[RB_JOB_ID_MAX + 4], told[RB_JOB_ID_MAX + 4];
    struct rb_key key;
    snprintf(ended, sizeof ended, RB_META_MARKER "%s", r->job);
    snprintf(told, sizeof told, RB_META_RECEIPT "%s", r->job);
    rb_key_meta(rb_feed_keys(server->feed), rb_text_of(r->channel), &key);
    const struct rb_text argv[] = {RB_TEXT("HMGET"), rb_key_text(&key), rb_text_of(ended),
                                   rb_text_of(told)};
    rb_link_call(rb_feed_link(server->feed), 0, on_meta, r, 4, argv);
}

/* ---- its stream ---- */

/* All that an event says, but for what it carries. */
static void summarise(struct rb_buffer *out, struct rb_text id, struct rb_text event) {
    static const char *const left_out[] = {"\"data\"", "\"channel\"", "\"job\"",
                                           "\"id\""};
    struct rb_json_walk walk;
    struct rb_text key, value;
    rb_buffer_string(out, "{\"id\":");
    rb_buffer_json(out, id);
    if (rb_json_walk(event, &walk) == RB_OK)
        while (rb_json_next(&walk, &key, &value) == RB_OK) {
            bool skip = value.len > MEMBER_BYTES || key.len > MEMBER_BYTES;
            for (size_t i = 0; i < sizeof left_out / sizeof left_out[0]; i++)
                skip |= rb_text_is(key, left_out[i]);
            if (skip)
                continue;
            rb_buffer_char(out, ',');
            rb_buffer_text(out, key);
            rb_buffer_char(out, ':');
            rb_json_line(out, value);
        }
    rb_buffer_printf(out, ",\"bytes\":%zu}", event.len);
}

static void take(struct reading *r, struct rb_text id, struct rb_text event) {
    struct rb_buffer out;
    if (r->events.count == EVENTS_MOST ||
        !rb_enqueue_is_event_of(event, rb_text_of(r->job)))
        return;
    rb_buffer_init(&out, EVENT_BYTES);
    summarise(&out, id, event);
    char *text = out.status == RB_OK ? rb_buffer_detach(&out, NULL) : NULL;
    rb_buffer_fini(&out);
    if (text)
        r->kept[r->events.count++] = text;
    else
        r->events.complete = false;
}

/* [id, [field, value, …]] */
static void take_entry(struct reading *r, const struct redisReply *entry) {
    if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2 ||
        entry->element[0]->type != REDIS_REPLY_STRING ||
        entry->element[1]->type != REDIS_REPLY_ARRAY)
        return;
    struct rb_text id = rb_text(entry->element[0]->str, entry->element[0]->len);
    const struct redisReply *fields = entry->element[1];
    snprintf(r->before, sizeof r->before, "(" RB_TEXT_FMT, RB_TEXT_ARG(id));
    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        const struct redisReply *name = fields->element[i],
                                *text = fields->element[i + 1];
        if (name->type != REDIS_REPLY_STRING || text->type != REDIS_REPLY_STRING ||
            strcmp(name->str, RB_ENTRY_EVENT) != 0)
            continue;
        r->bytes += text->len;
        take(r, id, rb_text(text->str, text->len));
    }
}

static void ask_page(struct reading *r);

static void on_page(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct reading *r = ctx;
    size_t before = r->bytes;
    if (status != RB_OK || reply->type != REDIS_REPLY_ARRAY) {
        fail(r, status == RB_OK ? RB_INVALID : status, reply);
        return;
    }
    for (size_t i = 0; i < reply->elements; i++)
        take_entry(r, reply->element[i]);
    r->seen += reply->elements;
    bool last = reply->elements < r->page;
    if (r->bytes - before > PAGE_BYTES)
        r->page = r->page > 1 ? r->page / 2 : 1;
    else if (r->page < PAGE_MOST)
        r->page *= 2;
    bool enough = r->seen >= EVENTS_SEEN || r->bytes >= BYTES_MOST ||
                  r->events.count == EVENTS_MOST || rb_exchange_gone(r->exchange);
    if (!last && !enough) {
        ask_page(r);
        return;
    }
    r->events.complete = r->events.complete && last;
    ask_meta(r);
}

static void ask_page(struct reading *r) {
    struct rb_server *server = rb_exchange_server(r->exchange);
    char count[24];
    struct rb_key key;
    snprintf(count, sizeof count, "%zu", r->page);
    rb_key_channel(rb_feed_keys(server->feed), rb_text_of(r->channel), &key);
    const struct rb_text argv[] = {RB_TEXT("XREVRANGE"),  rb_key_text(&key),
                                   rb_text_of(r->before), RB_TEXT("-"),
                                   RB_TEXT("COUNT"),      rb_text_of(count)};
    rb_link_call(rb_feed_link(server->feed), 0, on_page, r, 6, argv);
}

void rb_job_events_read(struct rb_exchange *x, struct rb_text channel, struct rb_text job,
                        rb_job_events_fn *fn, void *ctx) {
    struct reading *r = calloc(1, sizeof *r);
    if (!r) {
        const struct rb_job_events none = {.status = RB_NOMEM};
        fn(ctx, &none);
        return;
    }
    r->exchange = x;
    r->events.complete = true;
    r->fn = fn;
    r->ctx = ctx;
    r->page = PAGE_FIRST;
    memcpy(r->before, "+", 2);
    memcpy(r->channel, channel.at, channel.len);
    memcpy(r->job, job.at, job.len);
    if (channel.len > 0)
        ask_page(r);
    else
        finish(r);
}
