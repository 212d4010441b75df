/* Publishing an event with the script, and asking after a channel. */
#include "jobs/publish.h"

#include <stdio.h>
#include <stdlib.h>

#include "jobs/publish_plain.h"

struct publishing {
    rb_published_fn *fn;
    void *ctx;
};

static bool parse_id(const struct redisReply *reply, struct rb_stream_id *id) {
    return reply && reply->type == REDIS_REPLY_STRING &&
           rb_stream_id_parse(rb_text(reply->str, reply->len), id) == RB_OK;
}

static const char *words(enum rb_status status, const struct redisReply *reply) {
    return status == RB_REFUSED && reply ? reply->str : "";
}

/* "<id> <receivers>", or "<id>" of the terminal event that was out before. */
static bool parse_published(const struct redisReply *reply,
                            struct rb_published *published) {
    struct rb_text id;
    if (reply->type != REDIS_REPLY_STRING)
        return false;
    struct rb_text rest = rb_text(reply->str, reply->len);
    if (!rb_text_next(&rest, ' ', &id) || rb_stream_id_parse(id, &published->id) != RB_OK)
        return false;
    published->duplicate = id.len == reply->len;
    return published->duplicate || rb_text_int64(rest, &published->receivers) == RB_OK;
}

static void on_published(void *ctx, enum rb_status status,
                         const struct redisReply *reply) {
    struct publishing p = *(struct publishing *)ctx;
    struct rb_published published = {.status = status, .error = words(status, reply)};
    free(ctx);
    if (status == RB_OK && !parse_published(reply, &published))
        published = (struct rb_published){.status = RB_INVALID, .error = ""};
    p.fn(p.ctx, &published);
}

/* Not below 0. */
static struct rb_text number(char digits[24], int64_t value) {
    size_t at = 24;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return rb_text(digits + at, 24 - at);
}

int64_t rb_channel_meta_ttl_ms(const struct rb_channel_policy *policy) {
    const int64_t longer_ms = 600000;
    return policy->ttl_ms + (policy->ttl_ms > longer_ms ? policy->ttl_ms : longer_ms);
}

void rb_publish(struct rb_link *link, const struct rb_channel_policy *policy,
                const struct rb_publication *publication, rb_published_fn *fn,
                void *ctx) {
    if (!policy->scripts) {
        rb_publish_plain(link, policy, publication, fn, ctx);
        return;
    }
    struct publishing *p = malloc(sizeof *p);
    if (!p) {
        fn(ctx, &(struct rb_published){.status = RB_NOMEM, .error = ""});
        return;
    }
    *p = (struct publishing){fn, ctx};

    struct rb_key stream, meta, once;
    char max_events[24], ttl[24], meta_ttl[24], once_ms[24];
    bool is_once = publication->once.len > 0;
    rb_key_channel(&policy->keys, publication->channel, &stream);
    rb_key_meta(&policy->keys, publication->channel, &meta);
    once.len = 0;
    if (is_once)
        rb_key_published(&policy->keys, publication->channel, publication->once, &once);
    const struct rb_text keys[] = {rb_key_text(&stream), rb_key_text(&meta),
                                   rb_key_text(&once)};
    const struct rb_text args[] = {
        publication->event,
        publication->job,
        publication->terminal ? RB_TEXT("1") : RB_TEXT("0"),
        number(max_events, policy->max_events),
        number(ttl, policy->ttl_ms),
        number(meta_ttl, rb_channel_meta_ttl_ms(policy)),
        number(once_ms, publication->once_ms),
    };
    rb_link_script(link, &rb_script_publish, is_once ? 3 : 2, keys, is_once ? 7 : 6, args,
                   on_published, p);
}

void rb_result_store(struct rb_link *link, const struct rb_channel_policy *policy,
                     struct rb_text channel, struct rb_text job, struct rb_text json,
                     rb_link_reply_fn *fn, void *ctx) {
    struct rb_key key;
    char ttl[24];
    rb_key_result(&policy->keys, channel, job, &key);
    const struct rb_text argv[] = {RB_TEXT("SET"), rb_key_text(&key), json, RB_TEXT("PX"),
                                   number(ttl, policy->ttl_ms)};
    rb_link_call(link, 0, fn, ctx, sizeof argv / sizeof argv[0], argv);
}

void rb_channel_forget(struct rb_link *link, const struct rb_keys *keys,
                       struct rb_text channel, rb_link_reply_fn *fn, void *ctx) {
    struct rb_key stream;
    rb_key_channel(keys, channel, &stream);
    const struct rb_text argv[] = {RB_TEXT("UNLINK"), rb_key_text(&stream)};
    rb_link_call(link, 0, fn, ctx, 2, argv);
}

/* Four questions, one answer: whoever is answered last gives the whole. */
struct asking {
    rb_channel_info_fn *fn;
    void *ctx;
    int open;
    struct rb_channel_info info;
    char *event;
    char error[256];
};

static void take_part(struct asking *a, enum rb_status status,
                      const struct redisReply *reply, bool understood) {
    if (a->info.status == RB_OK && status != RB_OK) {
        a->info.status = status;
        snprintf(a->error, sizeof a->error, "%s", words(status, reply));
    } else if (a->info.status == RB_OK && !understood) {
        a->info.status = RB_INVALID;
    }
    if (--a->open > 0)
        return;
    a->info.error = a->error;
    a->info.event = rb_text_of(a->event);
    a->fn(a->ctx, &a->info);
    free(a->event);
    free(a);
}

static void take_id(struct asking *a, struct rb_stream_id id) {
    if (rb_stream_id_compare(id, a->info.last) > 0)
        a->info.last = id;
}

static void on_length(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct asking *a = ctx;
    bool understood = reply && reply->type == REDIS_REPLY_INTEGER;
    if (understood)
        a->info.events = reply->integer;
    take_part(a, status, reply, understood);
}

static void on_expiry(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct asking *a = ctx;
    bool understood = reply && reply->type == REDIS_REPLY_INTEGER;
    if (understood && reply->integer > 0)
        a->info.expires_ms = reply->integer;
    take_part(a, status, reply, understood);
}

static bool is_pair(const struct redisReply *reply) {
    return reply->type == REDIS_REPLY_ARRAY && reply->elements == 2;
}

/* {{id, {field, value, …}}} or {} */
static bool parse_newest(struct asking *a, const struct redisReply *reply) {
    struct rb_stream_id id;
    if (reply->type != REDIS_REPLY_ARRAY)
        return false;
    if (reply->elements == 0)
        return true;
    if (!is_pair(reply->element[0]) || !parse_id(reply->element[0]->element[0], &id))
        return false;
    take_id(a, id);
    const struct redisReply *fields = reply->element[0]->element[1];
    if (fields->type != REDIS_REPLY_ARRAY || fields->elements < 2)
        return false;
    const struct redisReply *name = fields->element[0], *value = fields->element[1];
    if (name->type == REDIS_REPLY_STRING && value->type == REDIS_REPLY_STRING &&
        rb_text_is(rb_text(name->str, name->len), RB_ENTRY_EVENT))
        a->event = rb_text_copy(rb_text(value->str, value->len));
    return true;
}

static void on_newest(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct asking *a = ctx;
    take_part(a, status, reply, status == RB_OK && parse_newest(a, reply));
}

static void on_last(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct asking *a = ctx;
    struct rb_stream_id last;
    bool none = reply && reply->type == REDIS_REPLY_NIL;
    bool known = parse_id(reply, &last);
    if (known)
        take_id(a, last);
    take_part(a, status, reply, none || known);
}

void rb_channel_ask(struct rb_link *link, const struct rb_keys *keys,
                    struct rb_text channel, rb_channel_info_fn *fn, void *ctx) {
    struct asking *a = calloc(1, sizeof *a);
    if (!a) {
        fn(ctx, &(struct rb_channel_info){.status = RB_NOMEM, .error = ""});
        return;
    }
    a->fn = fn;
    a->ctx = ctx;
    a->open = 4;
    struct rb_key stream_key, meta_key;
    rb_key_channel(keys, channel, &stream_key);
    rb_key_meta(keys, channel, &meta_key);
    const struct rb_text stream = rb_key_text(&stream_key), meta = rb_key_text(&meta_key);
    const struct rb_text length[] = {RB_TEXT("XLEN"), stream};
    const struct rb_text expiry[] = {RB_TEXT("PTTL"), stream};
    const struct rb_text newest[] = {RB_TEXT("XREVRANGE"), stream,
                                     RB_TEXT("+"),         RB_TEXT("-"),
                                     RB_TEXT("COUNT"),     RB_TEXT("1")};
    const struct rb_text last[] = {RB_TEXT("HGET"), meta, RB_TEXT(RB_META_LAST)};
    rb_link_call(link, 0, on_length, a, 2, length);
    rb_link_call(link, 0, on_expiry, a, 2, expiry);
    rb_link_call(link, 0, on_newest, a, 6, newest);
    rb_link_call(link, 0, on_last, a, 3, last);
}
