/* Publishing with single commands. What the script does in one step is three here:
 *
 *   1  HMGET, HLEN of the meta hash: is the job's terminal event out already?
 *   2  XADD
 *   3  PEXPIRE, PUBLISH, HSET of the meta hash and PEXPIRE of it, in one write
 *
 * So these promises are weaker than with the script: two publishers of one job at the
 * same moment both get through (with claim `blpop` a job has one publisher); and when the
 * link breaks within step 2 or 3, publishing again may put the event out twice, never
 * zero times. Readers see no holes in what they hear, since each message sends them to
 * the stream (publish.h). */
#include "jobs/publish_plain.h"

#include <stdio.h>
#include <stdlib.h>

/* As in publish.lua, which says why. */
#define MARKERS_MANY 1000
#define MARKERS_FULL 10000
#define MARKERS_SWEPT "20"

struct plain {
    struct rb_link *link;
    rb_published_fn *fn;
    void *ctx;
    struct rb_published published;
    char error[256];
    struct rb_key stream, meta;
    int64_t max_events, ttl_ms, meta_ttl_ms;
    bool terminal;
    int64_t markers;       /* fields of the meta hash */
    char sweep[24];        /* where the sweep goes on */
    int open;              /* answers of this step that are not there yet */
    struct rb_text marker; /* in `bytes`; len 0: no job */
    struct rb_text event;  /* likewise */
    char id[RB_STREAM_ID_MAX + 1];
    char bytes[];
};

static void finish(struct plain *p) {
    p->published.error = p->error;
    p->fn(p->ctx, &p->published);
    free(p);
}

static void note(struct plain *p, enum rb_status status, const struct redisReply *reply,
                 bool understood) {
    if (p->published.status != RB_OK || (status == RB_OK && understood))
        return;
    p->published.status = status != RB_OK ? status : RB_INVALID;
    if (status == RB_REFUSED)
        snprintf(p->error, sizeof p->error, "%s", reply->str);
}

static struct rb_text number(char digits[24], int64_t value) {
    int len = snprintf(digits, 24, "%lld", (long long)value);
    return rb_text(digits, (size_t)len);
}

static struct rb_text text_of_reply(const struct redisReply *reply) {
    return reply->type == REDIS_REPLY_STRING ? rb_text(reply->str, reply->len)
                                             : rb_text(NULL, 0);
}

struct sweeping {
    struct rb_link *link;
    struct rb_key meta;
    uint64_t oldest_ms; /* markers before it go */
};

static bool is_old_marker(const struct sweeping *s, const struct redisReply *field,
                          const struct redisReply *value) {
    struct rb_stream_id id;
    return rb_text_starts(text_of_reply(field), RB_TEXT(RB_META_MARKER)) &&
           rb_stream_id_parse(text_of_reply(value), &id) == RB_OK && id.ms < s->oldest_ms;
}

static void on_swept(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct sweeping s = *(struct sweeping *)ctx;
    free(ctx);
    if (status != RB_OK || reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[1]->type != REDIS_REPLY_ARRAY)
        return;
    const struct redisReply *fields = reply->element[1];
    struct rb_text meta = rb_key_text(&s.meta);
    const struct rb_text next[] = {RB_TEXT("HSET"), meta, RB_TEXT("sweep"),
                                   text_of_reply(reply->element[0])};
    rb_link_call(s.link, 0, NULL, NULL, 4, next);
    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        if (is_old_marker(&s, fields->element[i], fields->element[i + 1])) {
            const struct rb_text argv[] = {RB_TEXT("HDEL"), meta,
                                           text_of_reply(fields->element[i])};
            rb_link_call(s.link, 0, NULL, NULL, 3, argv);
        }
    }
}

static void sweep(const struct plain *p) {
    struct sweeping *s = malloc(sizeof *s);
    if (!s)
        return; /* another publication will */
    double share =
        p->markers > MARKERS_FULL ? (double)MARKERS_FULL / (double)p->markers : 1;
    uint64_t age_ms = (uint64_t)((double)p->meta_ttl_ms * share);
    uint64_t now_ms = p->published.id.ms;
    *s = (struct sweeping){p->link, p->meta, now_ms > age_ms ? now_ms - age_ms : 0};
    if (p->markers >= 10 * MARKERS_FULL)
        s->oldest_ms = now_ms;
    const struct rb_text argv[] = {RB_TEXT("HSCAN"), rb_key_text(&p->meta),
                                   rb_text_of(p->sweep), RB_TEXT("COUNT"),
                                   RB_TEXT(MARKERS_SWEPT)};
    rb_link_call(p->link, 0, on_swept, s, 5, argv);
}

static void on_heard(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct plain *p = ctx;
    bool understood = reply && reply->type == REDIS_REPLY_INTEGER;
    if (understood)
        p->published.receivers = reply->integer;
    note(p, status, reply, understood);
    if (--p->open == 0)
        finish(p);
}

static void on_noted(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct plain *p = ctx;
    note(p, status, reply, true);
    if (--p->open == 0)
        finish(p);
}

static void tell(struct plain *p, struct rb_text id) {
    size_t room = 2 * RB_STREAM_ID_MAX + 3 + p->event.len;
    char *payload = malloc(room);
    if (!payload) {
        note(p, RB_NOMEM, NULL, true);
        finish(p);
        return;
    }
    int before = snprintf(payload, room, "%s %s ", p->id, p->id);
    memcpy(payload + before, p->event.at, p->event.len);

    char ttl[24], meta_ttl[24];
    struct rb_text stream = rb_key_text(&p->stream), meta = rb_key_text(&p->meta);
    const struct rb_text expire[] = {RB_TEXT("PEXPIRE"), stream, number(ttl, p->ttl_ms)};
    const struct rb_text publish[] = {RB_TEXT("PUBLISH"), stream,
                                      rb_text(payload, (size_t)before + p->event.len)};
    const struct rb_text hset[] = {
        RB_TEXT("HSET"), meta, RB_TEXT(RB_META_LAST), id, RB_TEXT(RB_META_TERMINAL), id,
        p->marker,       id};
    const struct rb_text meta_expire[] = {RB_TEXT("PEXPIRE"), meta,
                                          number(meta_ttl, p->meta_ttl_ms)};
    size_t hset_count = !p->terminal ? 4 : p->marker.len == 0 ? 6 : 8;
    bool sweeps = hset_count == 8 && p->markers > MARKERS_MANY;
    p->open = 4;
    rb_link_call(p->link, 0, on_noted, p, 3, expire);
    rb_link_call(p->link, 0, on_heard, p, 3, publish);
    rb_link_call(p->link, 0, on_noted, p, hset_count, hset);
    if (sweeps)
        sweep(p);
    rb_link_call(p->link, 0, on_noted, p, 3, meta_expire);
    free(payload);
}

static void on_added(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct plain *p = ctx;
    struct rb_text id = reply ? text_of_reply(reply) : rb_text(NULL, 0);
    note(p, status, reply, rb_stream_id_parse(id, &p->published.id) == RB_OK);
    if (p->published.status != RB_OK) {
        finish(p);
        return;
    }
    size_t len = rb_stream_id_write(p->published.id, p->id);
    tell(p, rb_text(p->id, len));
}

static void add(struct plain *p) {
    char max_events[24];
    const struct rb_text argv[] = {RB_TEXT("XADD"),
                                   rb_key_text(&p->stream),
                                   RB_TEXT("MAXLEN"),
                                   RB_TEXT("="),
                                   number(max_events, p->max_events),
                                   RB_TEXT("*"),
                                   RB_TEXT(RB_ENTRY_EVENT),
                                   p->event};
    rb_link_call(p->link, 0, on_added, p, 8, argv);
}

static void after_asking(struct plain *p) {
    if (--p->open > 0)
        return;
    if (p->published.status != RB_OK || p->published.duplicate)
        finish(p);
    else
        add(p);
}

static void on_count(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct plain *p = ctx;
    bool understood = reply && reply->type == REDIS_REPLY_INTEGER;
    if (understood)
        p->markers = reply->integer;
    note(p, status, reply, understood);
    after_asking(p);
}

static void on_marker(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct plain *p = ctx;
    bool understood = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2;
    if (understood) {
        struct rb_text out = text_of_reply(reply->element[0]);
        struct rb_text sweep_at = text_of_reply(reply->element[1]);
        if (sweep_at.len > 0)
            snprintf(p->sweep, sizeof p->sweep, RB_TEXT_FMT, RB_TEXT_ARG(sweep_at));
        p->published.duplicate = rb_stream_id_parse(out, &p->published.id) == RB_OK;
    }
    note(p, status, reply, understood);
    after_asking(p);
}

static struct plain *new_plain(const struct rb_publication *publication) {
    size_t mark = sizeof RB_META_MARKER - 1, job = publication->job.len;
    struct plain *p = calloc(1, sizeof *p + mark + job + publication->event.len);
    if (!p)
        return NULL;
    if (job > 0) {
        memcpy(p->bytes, RB_META_MARKER, mark);
        memcpy(p->bytes + mark, publication->job.at, job);
        p->marker = rb_text(p->bytes, mark + job);
    }
    p->event = rb_text(p->bytes + mark + job, publication->event.len);
    if (p->event.len > 0)
        memcpy(p->bytes + mark + job, publication->event.at, p->event.len);
    return p;
}

void rb_publish_plain(struct rb_link *link, const struct rb_channel_policy *policy,
                      const struct rb_publication *publication, rb_published_fn *fn,
                      void *ctx) {
    struct plain *p = new_plain(publication);
    if (!p) {
        fn(ctx, &(struct rb_published){.status = RB_NOMEM, .error = ""});
        return;
    }
    p->link = link;
    p->fn = fn;
    p->ctx = ctx;
    p->terminal = publication->terminal;
    p->max_events = policy->max_events;
    p->ttl_ms = policy->ttl_ms;
    p->meta_ttl_ms = rb_channel_meta_ttl_ms(policy);
    p->sweep[0] = '0';
    rb_key_channel(&policy->keys, publication->channel, &p->stream);
    rb_key_meta(&policy->keys, publication->channel, &p->meta);
    if (p->marker.len == 0) {
        add(p);
        return;
    }
    struct rb_text meta = rb_key_text(&p->meta);
    const struct rb_text out[] = {RB_TEXT("HMGET"), meta, p->marker, RB_TEXT("sweep")};
    const struct rb_text count[] = {RB_TEXT("HLEN"), meta};
    p->open = 2;
    rb_link_call(link, 0, on_marker, p, 4, out);
    rb_link_call(link, 0, on_count, p, 2, count);
}
