/* POST /publish/<channel>[,<channel>…], POST /publish?channel=…, and POST /publish with
 * one message a line: what is asked for, and within which bounds. */
#include "notifier/admin_publish.h"

#include <stdio.h>
#include <stdlib.h>

#include "jobs/json_scan.h"
#include "jobs/publish_line.h"
#include "notifier/admin.h"
#include "notifier/server.h"

static const char channel_wrong[] =
    "A channel's name is 1 to 128 of A-Z a-z 0-9 _ . : @ = ~ and -.";

/* --- refusals --- */

void rb_publish_refused(struct rb_server *server, enum rb_count count, const char *why) {
    unsigned held;
    rb_count(server, count, 1);
    if (rb_server_line(server, RB_LINE_PUBLISH, &held))
        rb_log(RB_LOG_WARN, "publish.refused", RB_S("why", why),
               RB_I("suppressed", held));
}

static void refuse_large(struct rb_exchange *x, const char *detail) {
    rb_publish_refused(rb_exchange_server(x), RB_COUNT_REFUSED_MAX_PUBLISH,
                       "max_publish");
    rb_exchange_problem(x, 413, detail, RB_TEXT(""));
}

/* False when it was refused. */
static bool within_rate(struct rb_exchange *x, size_t count) {
    struct rb_server *server = rb_exchange_server(x);
    int64_t wait_ms =
        rb_publish_pace(&server->publish_pace, server->settings->notifier.publish_rate,
                        count, server->now_ms);
    char fields[64];
    if (wait_ms == 0)
        return true;
    snprintf(fields, sizeof fields, "Retry-After: %lld\r\n",
             (long long)((wait_ms + 999) / 1000));
    rb_publish_refused(server, RB_COUNT_REFUSED_PUBLISH_RATE, "publish_rate");
    rb_exchange_problem(x, 429, "More is published than notifier.publish_rate allows.",
                        rb_text_of(fields));
    return false;
}

/* --- what the body is --- */

static bool has_type(struct rb_text content_type, struct rb_text wanted,
                     struct rb_text suffix) {
    struct rb_text type = {"", 0};
    (void)rb_text_next(&content_type, ';', &type);
    type = rb_text_trim(type);
    return rb_text_equal_nocase(type, wanted) ||
           (suffix.len > 0 && type.len > suffix.len &&
            rb_text_equal_nocase(rb_text(type.at + type.len - suffix.len, suffix.len),
                                 suffix));
}

/* application/json and what is built on it (RFC 6839 §3.1). */
static bool is_json(const struct rb_http_request *request) {
    return has_type(rb_http_header(request, "content-type"), RB_TEXT("application/json"),
                    RB_TEXT("+json"));
}

static bool is_lines(const struct rb_http_request *request) {
    struct rb_text type = rb_http_header(request, "content-type");
    return has_type(type, RB_TEXT("application/x-ndjson"), RB_TEXT("")) ||
           has_type(type, RB_TEXT("application/jsonl"), RB_TEXT(""));
}

/* The body as a JSON value. NULL, or a sentence about what is wrong with it. */
static const char *read_data(const struct rb_http_request *request,
                             struct rb_buffer *data, struct rb_error *error) {
    struct rb_text body = request->body;
    if (body.len == 0) {
        rb_buffer_string(data, "null");
    } else if (!is_json(request)) {
        if (!rb_text_utf8(body))
            return "The body is not text in UTF-8.";
        rb_buffer_json(data, body);
    } else {
        if (rb_json_check(body, error) != RB_OK)
            return error->text;
        rb_buffer_text(data, body);
    }
    return NULL;
}

static const char *read_name(const struct rb_http_request *request, char *name,
                             size_t room) {
    struct rb_text raw;
    memcpy(name, "message", sizeof "message");
    if (!rb_http_query_raw(request->query, "event", &raw))
        return NULL;
    if (!rb_http_query(request->query, "event", name, room))
        name[0] = '\0';
    return rb_publish_event_problem(rb_text_of(name));
}

/* --- channels --- */

static const char *add_channel(struct rb_publish_run *run, struct rb_text name) {
    if (!rb_name_is_channel(name))
        return channel_wrong;
    if (rb_name_is_stand_in(name))
        return rb_name_stand_in;
    if (run->count == RB_PUBLISH_CHANNELS)
        return "At most 100 channels can be published on at once.";
    for (struct rb_text rest = rb_buffer_view(&run->channels), known;
         rb_text_next(&rest, ',', &known);)
        if (rb_text_equal(known, name))
            return "A channel is named twice.";
    if (run->count > 0)
        rb_buffer_char(&run->channels, ',');
    rb_buffer_text(&run->channels, name);
    run->count++;
    return NULL;
}

/* A list like that of /wait/…; an empty name in it is a mistake. */
static const char *read_path(struct rb_publish_run *run, struct rb_text raw) {
    char names[RB_PUBLISH_CHANNELS * (RB_CHANNEL_MAX + 1)];
    size_t len = 0, from = 0;
    if (rb_http_decode(raw, names, sizeof names, &len) != RB_OK)
        return channel_wrong;
    for (size_t i = 0; i <= len; i++) {
        if (i < len && names[i] != ',')
            continue;
        const char *problem = add_channel(run, rb_text(names + from, i - from));
        if (problem)
            return problem;
        from = i + 1;
    }
    return NULL;
}

/* ?channel=a&channel=b */
static const char *read_query(struct rb_publish_run *run, struct rb_text query) {
    struct rb_text pair;
    while (rb_text_next(&query, '&', &pair)) {
        char name[RB_CHANNEL_MAX + 1];
        struct rb_text prefix = RB_TEXT("channel=");
        size_t len;
        if (!rb_text_starts(pair, prefix))
            continue;
        if (rb_http_decode(rb_text(pair.at + prefix.len, pair.len - prefix.len), name,
                           sizeof name, &len) != RB_OK)
            return channel_wrong;
        const char *problem = add_channel(run, rb_text(name, len));
        if (problem)
            return problem;
    }
    return run->count > 0
               ? NULL
               : "Expected channels in the path or as channel=…, or a batch as "
                 "application/x-ndjson.";
}

/* --- the requests --- */

/* The rate is looked at last, so that what is refused otherwise takes nothing of it. */
static void start(struct rb_publish_run *run) {
    struct rb_exchange *x = run->exchange;
    if (!rb_once_read(x, "publish", &run->once, &run->is_once) ||
        !within_rate(x, run->count))
        rb_publish_run_free(run);
    else
        rb_publish_run_start(run);
}

static struct rb_publish_run *run_new(struct rb_exchange *x) {
    struct rb_publish_run *run = rb_publish_run_new(x);
    if (!run)
        rb_exchange_problem(x, 503, "Out of memory.", RB_TEXT("Retry-After: 1\r\n"));
    return run;
}

static void publish_body(struct rb_publish_run *run, const char *problem) {
    struct rb_exchange *x = run->exchange;
    const struct rb_http_request *request = rb_exchange_request(x);
    int64_t most = rb_exchange_server(x)->settings->notifier.max_publish;
    struct rb_error error;
    /* A control character grows to six bytes. */
    run->data.limit = request->body.len * RB_JSON_STEP + 16;
    if (!problem)
        problem = read_name(request, run->event, sizeof run->event);
    if (!problem && request->body.len > (size_t)most) {
        refuse_large(x, "The body is larger than notifier.max_publish.");
        rb_publish_run_free(run);
        return;
    }
    if (!problem)
        problem = read_data(request, &run->data, &error);
    if (problem || run->data.status != RB_OK || run->channels.status != RB_OK) {
        if (problem)
            rb_exchange_problem(x, 400, problem, RB_TEXT(""));
        else
            rb_exchange_problem(x, 503, "Out of memory.", RB_TEXT("Retry-After: 1\r\n"));
        rb_publish_run_free(run);
        return;
    }
    start(run);
}

void rb_admin_publish(struct rb_exchange *x, struct rb_text channels) {
    struct rb_publish_run *run = run_new(x);
    if (!run)
        return;
    const char *problem = read_path(run, channels);
    run->single = run->count == 1;
    publish_body(run, problem);
}

static void publish_lines(struct rb_publish_run *run) {
    struct rb_exchange *x = run->exchange;
    struct rb_text rest = rb_exchange_request(x)->body, line;
    size_t number = 0;
    run->lines = rest;
    while (rb_publish_line_next(&rest, &number, &line))
        run->count++;
    if (run->count == 0) {
        rb_exchange_problem(x, 400, "The batch is empty.", RB_TEXT(""));
        rb_publish_run_free(run);
    } else if (run->count > RB_PUBLISH_LINES) {
        refuse_large(x, "A batch has at most 10000 messages.");
        rb_publish_run_free(run);
    } else {
        start(run);
    }
}

void rb_admin_publish_many(struct rb_exchange *x, struct rb_text none) {
    const struct rb_http_request *request = rb_exchange_request(x);
    struct rb_text raw;
    bool lines = is_lines(request) && !rb_http_query_raw(request->query, "channel", &raw);
    struct rb_publish_run *run = run_new(x);
    (void)none;
    if (run && lines)
        publish_lines(run);
    else if (run)
        publish_body(run, read_query(run, request->query));
}
