/* POST /jobs/<service>: a job for the queue, how many wait for its result, and where the
 * asker wants it (RFC 7240 Prefer: wait=5) the result in the same answer. */
#include <stdlib.h>

#include "config/process.h"
#include "jobs/job.h"
#include "jobs/name.h"
#include "notifier/admin.h"
#include "notifier/admin_once.h"
#include "notifier/census.h"
#include "notifier/enqueue.h"
#include "notifier/server.h"

#define WAIT_MOST_S 60

/* A job on its way; freed when it is neither pushing, counting nor waiting. */
struct asked {
    struct rb_exchange *exchange;
    struct rb_subscription heard;
    ev_timer patience;
    struct rb_once once;
    struct rb_once_job job;
    char service[RB_NAME_MAX + 1];
    char queue[RB_NAME_MAX + 1];
    int wait_s;    /* 0: answered as soon as it is queued */
    bool async;    /* respond-async was said */
    bool pushing;  /* RPUSH is not answered yet */
    bool counting; /* who waits on the channel is not known yet */
    bool waiting;  /* for the terminal event */
    bool itself;   /* it was among those who were counted */
    bool counted;  /* nobody is missing in: */
    bool is_once;
    bool replayed; /* the job was queued by an earlier request */
    size_t waiters;
};

static struct ev_loop *loop_of(const struct asked *a) {
    return rb_exchange_server(a->exchange)->loop;
}

static void stop_waiting(struct asked *a) {
    a->waiting = false;
    ev_timer_stop(loop_of(a), &a->patience);
    rb_channel_unsubscribe(&a->heard);
}

static void free_if_done(struct asked *a) {
    if (a->pushing || a->counting || a->waiting)
        return;
    rb_exchange_on_gone(a->exchange, NULL, NULL);
    rb_exchange_on_stop(a->exchange, NULL, NULL);
    rb_exchange_release(a->exchange);
    free(a);
}

static void add_fields(const struct asked *a, struct rb_buffer *fields) {
    if (a->replayed)
        rb_buffer_string(fields, RB_ONCE_REPLAYED);
    if (a->wait_s > 0)
        rb_buffer_printf(fields, "Preference-Applied: wait=%d\r\n", a->wait_s);
    else if (a->async)
        rb_buffer_string(fields, "Preference-Applied: respond-async\r\n");
}

static void answer_accepted(const struct asked *a) {
    struct rb_buffer json, fields;
    rb_buffer_init(&json, 2048);
    rb_buffer_init(&fields, 2048);
    rb_buffer_printf(&json,
                     "{\"id\":\"%s\",\"channel\":\"%s\",\"wait\":\"/wait/%s?until=done\"",
                     a->job.id, a->job.channel, a->job.channel);
    if (a->counted || a->waiters > 0)
        rb_buffer_printf(&json, ",\"waiters\":%zu}", a->waiters);
    else
        rb_buffer_string(&json, ",\"waiters\":null}");
    rb_buffer_printf(&fields, "Location: /wait/%s?until=done\r\n", a->job.channel);
    add_fields(a, &fields);
    rb_admin_answer_json(a->exchange, 202, &json, rb_buffer_view(&fields));
    rb_buffer_fini(&json);
    rb_buffer_fini(&fields);
}

/* When all that the answer says is known, and nobody waits for a better one. */
static void answer_if_ready(const struct asked *a) {
    if (!a->pushing && !a->counting && !a->waiting)
        answer_accepted(a);
}

static void answer_event(const struct asked *a, struct rb_text event) {
    struct rb_buffer fields, json;
    rb_buffer_init(&fields, 256);
    rb_buffer_init(&json, event.len);
    add_fields(a, &fields);
    rb_buffer_text(&json, event);
    rb_admin_answer_json(a->exchange, 200, &json, rb_buffer_view(&fields));
    rb_buffer_fini(&fields);
    rb_buffer_fini(&json);
}

static void on_event(struct rb_subscription *subscription, struct rb_delivery *delivery) {
    struct asked *a = subscription->owner;
    if (delivery->kind != RB_DELIVERY_EVENT || !delivery->terminal ||
        !rb_enqueue_is_event_of(delivery->json, rb_text_of(a->job.id)))
        return;
    answer_event(a, delivery->json);
    stop_waiting(a);
    free_if_done(a);
}

/* From here on the asker has to fetch the result himself. */
static void give_up_waiting(struct asked *a) {
    stop_waiting(a);
    answer_if_ready(a);
    free_if_done(a);
}

static void on_unheard(struct rb_subscription *subscription) {
    give_up_waiting(subscription->owner);
}

static const struct rb_sink sink = {.deliver = on_event, .failed = on_unheard};

static void on_patience(struct ev_loop *loop, ev_timer *timer, int revents) {
    (void)loop;
    (void)revents;
    give_up_waiting(timer->data);
}

static void on_stop(void *ctx, struct rb_exchange *exchange) {
    struct asked *a = ctx;
    (void)exchange;
    if (a->waiting)
        give_up_waiting(a);
}

static void on_gone(void *ctx, struct rb_exchange *exchange) {
    struct asked *a = ctx;
    (void)exchange;
    if (a->waiting)
        stop_waiting(a);
    free_if_done(a);
}

/* Another request under the same key may have been faster: its job is the one, and what
 * this one waits for does not come. */
static void take_remembered(struct asked *a, const struct redisReply *reply) {
    struct rb_once_job job;
    enum rb_status status = RB_INVALID;
    if (reply->type == REDIS_REPLY_STRING)
        status = rb_once_job_parse(&a->once, rb_text(reply->str, reply->len), &job);
    if (status == RB_OK && strcmp(job.id, a->job.id) == 0)
        return;
    if (a->waiting)
        stop_waiting(a);
    a->replayed = true;
    if (status == RB_OK)
        a->job = job;
    else if (status == RB_REFUSED)
        rb_once_differs(a->exchange);
    else
        rb_admin_redis_failed(a->exchange, RB_INVALID, "");
}

static void on_pushed(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct asked *a = ctx;
    a->pushing = false;
    if (status != RB_OK) {
        rb_admin_redis_failed(a->exchange, status, reply ? reply->str : "");
        if (a->waiting)
            stop_waiting(a);
    } else {
        if (a->is_once)
            take_remembered(a, reply);
        answer_if_ready(a);
    }
    free_if_done(a);
}

static void on_counted(void *ctx, size_t waiters, bool complete) {
    struct asked *a = ctx;
    a->counting = false;
    a->waiters = a->itself && waiters > 0 ? waiters - 1 : waiters;
    a->counted = complete;
    answer_if_ready(a);
    free_if_done(a);
}

/* Prefer: wait=5, respond-async, in any order and number of fields; the first of a name
 * counts. */
static void read_preferences(const struct rb_http_request *request, struct asked *a) {
    bool wait_seen = false;
    for (size_t i = 0; i < request->header_count; i++) {
        struct rb_text rest = request->headers[i].value, item, name;
        if (!rb_text_equal_nocase(request->headers[i].name, RB_TEXT("prefer")))
            continue;
        while (rb_text_next(&rest, ',', &item)) {
            uint64_t seconds;
            struct rb_text value = item;
            if (!rb_text_next(&value, '=', &name))
                continue;
            name = rb_text_trim(name);
            if (rb_text_equal_nocase(name, RB_TEXT("respond-async"))) {
                a->async = true;
            } else if (rb_text_equal_nocase(name, RB_TEXT("wait")) && !wait_seen &&
                       rb_text_uint64(rb_text_trim(value), &seconds) == RB_OK) {
                wait_seen = true;
                a->wait_s = seconds < WAIT_MOST_S ? (int)seconds : WAIT_MOST_S;
            }
        }
    }
}

/* NULL, or a sentence about a mistake. */
static const char *read_query(const struct rb_http_request *request, struct asked *a) {
    struct rb_text raw;
    memcpy(a->queue, RB_ENQUEUE_QUEUE, sizeof RB_ENQUEUE_QUEUE);
    if (rb_http_query_raw(request->query, "queue", &raw) &&
        (!rb_http_query(request->query, "queue", a->queue, sizeof a->queue) ||
         !rb_name_is_queue(rb_text_of(a->queue))))
        return "A queue's name is 1 to 64 of A-Z a-z 0-9 _ . : @ = ~ and -.";
    if (!rb_http_query_raw(request->query, "channel", &raw)) {
        memcpy(a->job.channel, "job:", 4);
        memcpy(a->job.channel + 4, a->job.id, RB_ENQUEUE_ID_LEN + 1);
        return NULL;
    }
    if (!rb_http_query(request->query, "channel", a->job.channel,
                       sizeof a->job.channel) ||
        !rb_name_is_channel(rb_text_of(a->job.channel)))
        return "A channel's name is 1 to 128 of A-Z a-z 0-9 _ . : @ = ~ and -.";
    return rb_name_is_stand_in(rb_text_of(a->job.channel)) ? rb_name_stand_in : NULL;
}

/* 0, or the status to answer. */
static int make_job(const struct asked *a, const struct rb_http_request *request,
                    struct rb_text service, struct rb_buffer *json,
                    struct rb_error *error) {
    const struct rb_enqueue asked = {.service = service,
                                     .params = request->body,
                                     .channel = rb_text_of(a->job.channel),
                                     .id = rb_text_of(a->job.id),
                                     .trace = rb_http_header(request, "traceparent")};
    enum rb_status status = rb_enqueue_write(&asked, json, error);
    return status == RB_OK          ? 0
           : status == RB_INVALID   ? 400
           : status == RB_TOO_LARGE ? 413
                                    : 503;
}

/* Waiting begins before the job is pushed, so that no answer can be missed. */
static void begin(struct asked *a, const struct rb_buffer *json) {
    struct rb_server *server = rb_exchange_server(a->exchange);
    a->pushing = !a->replayed;
    a->counting = true;
    rb_exchange_on_gone(a->exchange, on_gone, a);
    rb_exchange_on_stop(a->exchange, on_stop, a);
    if (a->wait_s > 0) {
        a->heard.sink = &sink;
        a->heard.owner = a;
        ev_timer_init(&a->patience, on_patience, a->wait_s, 0.);
        a->patience.data = a;
        a->waiting = true;
        ev_timer_start(server->loop, &a->patience);
        if (rb_channel_subscribe(server->channels, rb_text_of(a->job.channel),
                                 (struct rb_cursor){.given = false},
                                 &a->heard) != RB_OK &&
            a->waiting)
            stop_waiting(a);
    }
    if (a->pushing && a->is_once)
        rb_once_enqueue(server, &a->once, &a->job, rb_text_of(a->queue),
                        rb_buffer_view(json), on_pushed, a);
    else if (a->pushing)
        rb_enqueue_push(server, rb_text_of(a->queue), rb_buffer_view(json), on_pushed, a);
    a->itself = a->waiting;
    rb_census_count(server->census, rb_text_of(a->job.channel), on_counted, a);
}

static void drop(struct asked *a) {
    rb_exchange_release(a->exchange);
    free(a);
}

static void write_and_begin(struct asked *a) {
    struct rb_error error = {.line = 0};
    struct rb_buffer json;
    rb_buffer_init(&json, RB_JOB_MAX_BYTES);
    int status = make_job(a, rb_exchange_request(a->exchange), rb_text_of(a->service),
                          &json, &error);
    if (status == 0) {
        begin(a, &json);
    } else {
        rb_exchange_problem(a->exchange, status, error.text, RB_TEXT(""));
        drop(a);
    }
    rb_buffer_fini(&json);
}

static void on_recalled(void *ctx, enum rb_status status,
                        const struct redisReply *reply) {
    struct asked *a = ctx;
    if (status != RB_OK) {
        rb_admin_redis_failed(a->exchange, status, reply ? reply->str : "");
        drop(a);
        return;
    }
    if (reply->type == REDIS_REPLY_STRING) {
        take_remembered(a, reply);
        if (rb_exchange_answered(a->exchange)) {
            drop(a);
            return;
        }
    }
    write_and_begin(a);
}

void rb_admin_enqueue(struct rb_exchange *x, struct rb_text service) {
    const struct rb_http_request *request = rb_exchange_request(x);
    struct asked *a = calloc(1, sizeof *a);
    if (!a) {
        rb_exchange_problem(x, 503, "Out of memory.", RB_TEXT("Retry-After: 1\r\n"));
        return;
    }
    a->exchange = rb_exchange_hold(x);
    memcpy(a->service, service.at, service.len);
    rb_process_random_hex(a->job.id, RB_ENQUEUE_ID_BYTES);
    read_preferences(request, a);
    const char *problem = read_query(request, a);
    if (problem)
        rb_exchange_problem(x, 400, problem, RB_TEXT(""));
    if (problem || !rb_once_read(x, "jobs", &a->once, &a->is_once))
        drop(a);
    else if (a->is_once)
        rb_once_recall(rb_exchange_server(x), &a->once, on_recalled, a);
    else
        write_and_begin(a);
}
