/* DELETE /jobs/<id>: cancelling. GET /paused, POST and DELETE /paused/<name>: queues, and
 * with ?kind=service services, that rest. */
#include <stdlib.h>

#include "jobs/cancel.h"
#include "jobs/name.h"
#include "jobs/pause.h"
#include "notifier/admin.h"
#include "notifier/server.h"

#define LIST_BYTES ((size_t)1024 * 1024)

static void on_cancelled(void *ctx, const struct rb_cancelled *cancelled) {
    struct rb_exchange *x = ctx;
    if (cancelled->status == RB_OK)
        rb_exchange_answer(x, 202, NULL, RB_TEXT(""), RB_TEXT(""));
    else
        rb_admin_redis_failed(x, cancelled->status, cancelled->error);
    rb_exchange_release(x);
}

void rb_admin_cancel(struct rb_exchange *x, struct rb_text id) {
    struct rb_server *server = rb_exchange_server(x);
    rb_cancel(rb_feed_link(server->feed), rb_feed_keys(server->feed), id, on_cancelled,
              rb_exchange_hold(x));
}

static void on_paused(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct rb_exchange *x = ctx;
    if (status == RB_OK)
        rb_exchange_answer(x, 204, NULL, RB_TEXT(""), RB_TEXT(""));
    else
        rb_admin_redis_failed(x, status, reply ? reply->str : "");
    rb_exchange_release(x);
}

static void change(struct rb_exchange *x, struct rb_text name, bool paused) {
    struct rb_server *server = rb_exchange_server(x);
    struct rb_text query = rb_exchange_request(x)->query, raw;
    char kind[16] = "queue";
    bool given = rb_http_query_raw(query, "kind", &raw);
    bool service = false;
    if (given && rb_http_query(query, "kind", kind, sizeof kind))
        service = strcmp(kind, "service") == 0;
    if (given && !service && strcmp(kind, "queue") != 0) {
        rb_exchange_problem(x, 400, "kind is queue or service.", RB_TEXT(""));
        return;
    }
    if (service && !rb_name_is_service(name)) {
        rb_exchange_problem(x, 400,
                            "A service's name is 1 to 64 of a-z 0-9 _ and -, beginning "
                            "with a letter or digit.",
                            RB_TEXT(""));
        return;
    }
    rb_pause(rb_feed_link(server->feed), rb_feed_keys(server->feed),
             service ? RB_PAUSE_SERVICE : RB_PAUSE_QUEUE, name, paused, on_paused,
             rb_exchange_hold(x));
}

void rb_admin_pause(struct rb_exchange *x, struct rb_text name) { change(x, name, true); }

void rb_admin_resume(struct rb_exchange *x, struct rb_text name) {
    change(x, name, false);
}

static void add_kind(struct rb_buffer *json, const struct redisReply *members,
                     const char *kind, struct rb_text prefix) {
    const char *comma = "";
    rb_buffer_printf(json, "\"%s\":[", kind);
    for (size_t i = 0; i < members->elements; i++) {
        struct rb_text name = rb_text(members->element[i]->str, members->element[i]->len);
        if (members->element[i]->type != REDIS_REPLY_STRING ||
            !rb_text_starts(name, prefix))
            continue;
        rb_buffer_string(json, comma);
        rb_buffer_json(json, rb_text(name.at + prefix.len, name.len - prefix.len));
        comma = ",";
    }
    rb_buffer_char(json, ']');
}

static void on_members(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct rb_exchange *x = ctx;
    struct rb_buffer json;
    if (status != RB_OK) {
        rb_admin_redis_failed(x, status, reply ? reply->str : "");
    } else {
        rb_buffer_init(&json, LIST_BYTES);
        rb_buffer_char(&json, '{');
        add_kind(&json, reply, "queues", RB_TEXT("queue:"));
        rb_buffer_char(&json, ',');
        add_kind(&json, reply, "services", RB_TEXT("service:"));
        rb_buffer_char(&json, '}');
        rb_admin_answer_json(x, 200, &json, RB_TEXT(""));
        rb_buffer_fini(&json);
    }
    rb_exchange_release(x);
}

void rb_admin_show_paused(struct rb_exchange *x, struct rb_text name) {
    struct rb_server *server = rb_exchange_server(x);
    struct rb_key key;
    (void)name;
    rb_key_paused(rb_feed_keys(server->feed), &key);
    const struct rb_text argv[] = {RB_TEXT("SMEMBERS"), rb_key_text(&key)};
    rb_link_call(rb_feed_link(server->feed), 0, on_members, rb_exchange_hold(x), 2, argv);
}
