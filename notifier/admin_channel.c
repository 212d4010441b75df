/* GET and DELETE /channels/<channel>: what is kept of it, who waits, and which of its
 * jobs' ends were written to a client; forgetting it. */
#include <stdlib.h>

#include "jobs/event.h"
#include "jobs/name.h"
#include "notifier/admin.h"
#include "notifier/census.h"
#include "notifier/receipt_list.h"
#include "notifier/server.h"

#define LAST_BYTES ((size_t)64 * 1024 * 1024)
#define RECEIPTS_BYTES ((size_t)256 * 1024)

/* Two or three questions are out at once: what is kept, who waits, what was written. */
struct look {
    struct rb_exchange *exchange;
    char channel[RB_CHANNEL_MAX + 1];
    unsigned open; /* questions without an answer */
    struct rb_buffer last, receipts;
    struct rb_stream_id last_id;
    int64_t count;
    size_t waiters;
    bool complete;
};

static void answer(struct look *l) {
    char id[RB_STREAM_ID_MAX + 1];
    struct rb_buffer json;
    rb_buffer_init(&json, LAST_BYTES + RECEIPTS_BYTES + 1024);
    rb_buffer_printf(&json, "{\"channel\":\"%s\",\"last\":", l->channel);
    if (l->last.len > 0)
        rb_buffer_text(&json, rb_buffer_view(&l->last));
    else
        rb_buffer_string(&json, "null");
    if (rb_stream_id_is_zero(l->last_id)) {
        rb_buffer_string(&json, ",\"last_id\":null");
    } else {
        rb_stream_id_write(l->last_id, id);
        rb_buffer_printf(&json, ",\"last_id\":\"%s\"", id);
    }
    rb_buffer_printf(&json, ",\"count\":%lld,\"waiters\":%zu,\"complete\":%s,",
                     (long long)l->count, l->waiters, l->complete ? "true" : "false");
    rb_buffer_string(&json, "\"receipts\":");
    rb_buffer_text(&json,
                   l->receipts.len > 0 ? rb_buffer_view(&l->receipts) : RB_TEXT("null"));
    rb_buffer_char(&json, '}');
    if (l->last.status != RB_OK || l->receipts.status != RB_OK)
        json.status = RB_NOMEM;
    rb_admin_answer_json(l->exchange, 200, &json, RB_TEXT(""));
    rb_buffer_fini(&json);
}

/* After a failure the answer was given already, and this one is dropped. */
static void close_question(struct look *l) {
    if (--l->open > 0)
        return;
    answer(l);
    rb_buffer_fini(&l->last);
    rb_buffer_fini(&l->receipts);
    rb_exchange_release(l->exchange);
    free(l);
}

static void on_info(void *ctx, const struct rb_channel_info *info) {
    struct look *l = ctx;
    if (info->status != RB_OK) {
        rb_admin_redis_failed(l->exchange, info->status, info->error);
    } else {
        l->count = info->events;
        l->last_id = info->last;
        struct rb_event_view view;
        if (info->event.len > 0)
            rb_event_tell(&l->last, rb_text_of(l->channel), info->last, info->event,
                          false, &view);
    }
    close_question(l);
}

static void on_hash(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct look *l = ctx;
    if (status == RB_OK)
        status = rb_receipt_list_write(reply, &l->receipts);
    if (status != RB_OK)
        rb_admin_redis_failed(l->exchange, status,
                              status == RB_REFUSED && reply ? reply->str : "");
    close_question(l);
}

/* Where none are made, none are shown: all would look as if nobody had got anything. */
static void ask_receipts(struct look *l, struct rb_text channel) {
    struct rb_server *server = rb_exchange_server(l->exchange);
    struct rb_key meta;
    if (!server->settings->notifier.receipts || !server->policy.scripts)
        return;
    l->open++;
    rb_key_meta(rb_feed_keys(server->feed), channel, &meta);
    const struct rb_text argv[] = {RB_TEXT("HGETALL"), rb_key_text(&meta)};
    rb_link_call(rb_feed_link(server->feed), 0, on_hash, l, 2, argv);
}

static void on_counted(void *ctx, size_t waiters, bool complete) {
    struct look *l = ctx;
    l->waiters = waiters;
    l->complete = complete;
    close_question(l);
}

void rb_admin_show_channel(struct rb_exchange *x, struct rb_text channel) {
    struct rb_server *server = rb_exchange_server(x);
    struct look *l = calloc(1, sizeof *l);
    if (!l) {
        rb_exchange_problem(x, 503, "Out of memory.", RB_TEXT("Retry-After: 1\r\n"));
        return;
    }
    l->exchange = rb_exchange_hold(x);
    l->open = 2;
    memcpy(l->channel, channel.at, channel.len);
    rb_buffer_init(&l->last, LAST_BYTES);
    rb_buffer_init(&l->receipts, RECEIPTS_BYTES);
    rb_census_ask(server->census, channel, on_counted, l);
    ask_receipts(l, channel);
    rb_channel_ask(rb_feed_link(server->feed), rb_feed_keys(server->feed), channel,
                   on_info, l);
}

static void on_forgotten(void *ctx, enum rb_status status,
                         const struct redisReply *reply) {
    struct rb_exchange *x = ctx;
    if (status == RB_OK)
        rb_exchange_answer(x, 204, NULL, RB_TEXT(""), RB_TEXT(""));
    else
        rb_admin_redis_failed(x, status, reply ? reply->str : "");
    rb_exchange_release(x);
}

void rb_admin_forget_channel(struct rb_exchange *x, struct rb_text channel) {
    struct rb_server *server = rb_exchange_server(x);
    rb_channel_forget(rb_feed_link(server->feed), rb_feed_keys(server->feed), channel,
                      on_forgotten, rb_exchange_hold(x));
}
