/* POST /publish/<channel>: an app's own event, kept and delivered like a job's. */
#include <stdlib.h>

#include "config/clock.h"
#include "jobs/event.h"
#include "jobs/json_scan.h"
#include "jobs/name.h"
#include "notifier/admin.h"
#include "notifier/server.h"

struct publishing {
    struct rb_exchange *exchange;
    char channel[RB_CHANNEL_MAX + 1];
};

static void on_published(void *ctx, const struct rb_published *published) {
    struct publishing *p = ctx;
    char id[RB_STREAM_ID_MAX + 1];
    struct rb_buffer json;
    rb_buffer_init(&json, 1024);
    if (published->status != RB_OK) {
        rb_admin_redis_failed(p->exchange, published->status, published->error);
    } else {
        rb_stream_id_write(published->id, id);
        rb_buffer_printf(&json, "{\"id\":\"%s\",\"channel\":\"%s\"}", id, p->channel);
        rb_admin_answer_json(p->exchange, 200, &json, RB_TEXT(""));
    }
    rb_buffer_fini(&json);
    rb_exchange_release(p->exchange);
    free(p);
}

/* application/json and what is built on it (RFC 6839 §3.1). */
static bool is_json(struct rb_text content_type) {
    struct rb_text type = {"", 0};
    (void)rb_text_next(&content_type, ';', &type);
    type = rb_text_trim(type);
    struct rb_text suffix = RB_TEXT("+json");
    return rb_text_equal_nocase(type, RB_TEXT("application/json")) ||
           (type.len > suffix.len &&
            rb_text_equal_nocase(rb_text(type.at + type.len - suffix.len, suffix.len),
                                 suffix));
}

/* The body as a JSON value. NULL, or a sentence about what is wrong with it. */
static const char *read_data(const struct rb_http_request *request,
                             struct rb_buffer *data, struct rb_error *error) {
    struct rb_text body = request->body;
    if (body.len == 0) {
        rb_buffer_string(data, "null");
    } else if (!is_json(rb_http_header(request, "content-type"))) {
        if (!rb_text_utf8(body))
            return "The body is not text in UTF-8.";
        rb_buffer_json(data, body);
    } else {
        if (rb_json_check(body, error) != RB_OK)
            return error->text;
        rb_buffer_text(data, body);
    }
    return data->status == RB_OK ? NULL : "The body is too large.";
}

static const char *read_name(const struct rb_http_request *request, char *name,
                             size_t room) {
    struct rb_text raw;
    memcpy(name, "message", sizeof "message");
    if (!rb_http_query_raw(request->query, "event", &raw))
        return NULL;
    if (!rb_http_query(request->query, "event", name, room) ||
        !rb_name_is_event(rb_text_of(name)))
        return "An event's name is 1 to 64 of A-Z a-z 0-9 _ . and -.";
    return strcmp(name, "gap") == 0 ? "gap is the notifier's own event." : NULL;
}

static void publish(struct rb_exchange *x, struct rb_text channel, struct rb_text name,
                    struct rb_text data) {
    struct rb_server *server = rb_exchange_server(x);
    struct rb_event_head head = {.channel = channel, .at = rb_clock_unix_ms()};
    struct publishing *p = calloc(1, sizeof *p);
    struct rb_buffer event;
    rb_buffer_init(&event, data.len + 1024);
    rb_event_custom(&event, &head, name, data);
    if (!p || event.status != RB_OK) {
        rb_exchange_problem(x, 503, "Out of memory.", RB_TEXT("Retry-After: 1\r\n"));
        free(p);
    } else {
        p->exchange = rb_exchange_hold(x);
        memcpy(p->channel, channel.at, channel.len);
        const struct rb_publication publication = {.channel = channel,
                                                   .terminal = rb_text_is(name, "done") ||
                                                               rb_text_is(name, "failed"),
                                                   .event = rb_buffer_view(&event)};
        rb_publish(rb_feed_link(server->feed), &server->policy, &publication,
                   on_published, p);
    }
    rb_buffer_fini(&event);
}

void rb_admin_publish(struct rb_exchange *x, struct rb_text channel) {
    const struct rb_http_request *request = rb_exchange_request(x);
    char name[RB_NAME_MAX + 1];
    struct rb_error error;
    struct rb_buffer data;
    /* A control character grows to six bytes. */
    rb_buffer_init(&data, request->body.len * RB_JSON_STEP + 16);
    const char *problem = read_name(request, name, sizeof name);
    if (!problem)
        problem = read_data(request, &data, &error);
    if (problem)
        rb_exchange_problem(x, 400, problem, RB_TEXT(""));
    else
        publish(x, channel, rb_text_of(name), rb_buffer_view(&data));
    rb_buffer_fini(&data);
}
