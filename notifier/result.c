/* Handing out results that lie beside their channels. */
#include "notifier/result.h"

#include "jobs/keys.h"
#include "notifier/server.h"
#include "notifier/transport.h"

bool rb_result_is_asked(const struct rb_exchange *x, const struct rb_wait *wait) {
    struct rb_text raw;
    return wait->transport != RB_TRANSPORT_WEBSOCKET &&
           rb_http_query_raw(rb_exchange_request(x)->query, "result", &raw);
}

static void problem(struct rb_exchange *x, int status, const char *detail,
                    struct rb_text more) {
    struct rb_buffer fields;
    rb_buffer_init(&fields, 4096);
    rb_transport_fields(x, &fields);
    rb_buffer_text(&fields, more);
    rb_exchange_problem(x, status, detail, rb_buffer_view(&fields));
    rb_buffer_fini(&fields);
}

static void give(struct rb_exchange *x, struct rb_text json) {
    struct rb_buffer fields;
    rb_buffer_init(&fields, 4096);
    rb_transport_fields(x, &fields);
    rb_buffer_string(&fields, "X-Content-Type-Options: nosniff\r\n");
    rb_exchange_answer(x, 200, "application/json", json, rb_buffer_view(&fields));
    rb_buffer_fini(&fields);
}

static void on_reply(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct rb_exchange *x = ctx;
    if (rb_exchange_gone(x))
        ;
    else if (status == RB_OK && reply->type == REDIS_REPLY_STRING)
        give(x, rb_text(reply->str, reply->len));
    else if (status == RB_OK)
        problem(x, 404, "There is no such result, or it is kept no longer.", RB_TEXT(""));
    else
        problem(x, 503, "Redis does not answer.", RB_TEXT("Retry-After: 1\r\n"));
    rb_exchange_release(x);
}

void rb_result_answer(struct rb_exchange *x, const struct rb_wait *wait) {
    struct rb_server *server = rb_exchange_server(x);
    char job[RB_JOB_ID_MAX + 1];
    struct rb_key key;
    if (wait->count != 1 ||
        !rb_http_query(rb_exchange_request(x)->query, "result", job, sizeof job) ||
        !rb_name_is_job_id(rb_text_of(job))) {
        problem(x, 400, "A result has one channel and the id of its job.", RB_TEXT(""));
        return;
    }
    rb_key_result(rb_feed_keys(server->feed), rb_text_of(wait->channels[0]),
                  rb_text_of(job), &key);
    const struct rb_text argv[] = {RB_TEXT("GET"), rb_key_text(&key)};
    rb_link_call(rb_feed_link(server->feed), 0, on_reply, rb_exchange_hold(x), 2, argv);
}
