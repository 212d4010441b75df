/* Messages of one request on their way to Redis, in order, a window of them at a time. */
#include <stdio.h>
#include <stdlib.h>

#include "config/clock.h"
#include "jobs/event.h"
#include "jobs/publish_line.h"
#include "notifier/admin.h"
#include "notifier/admin_publish.h"
#include "notifier/http_response.h"
#include "notifier/server.h"

#define WINDOW 128 /* messages that Redis has not answered */
#define RESULTS_BYTES ((size_t)32 * 1024 * 1024)

struct rb_publish_slot {
    struct rb_publish_run *run;
    size_t line; /* 0: it is of no line */
    bool told;   /* what became of it is known */
    bool replayed;
    int problem; /* HTTP status; 0: it is out */
    char channel[RB_CHANNEL_MAX + 1];
    char detail[sizeof((struct rb_error *)0)->text];
    struct rb_stream_id id;
};

struct rb_publish_run *rb_publish_run_new(struct rb_exchange *x) {
    struct rb_publish_run *run = calloc(1, sizeof *run);
    if (!run)
        return NULL;
    run->exchange = rb_exchange_hold(x);
    rb_buffer_init(&run->channels, RB_PUBLISH_CHANNELS * (RB_CHANNEL_MAX + 1));
    rb_buffer_init(&run->data, 0);
    rb_buffer_init(&run->results, RESULTS_BYTES);
    return run;
}

void rb_publish_run_free(struct rb_publish_run *run) {
    rb_exchange_release(run->exchange);
    rb_buffer_fini(&run->channels);
    rb_buffer_fini(&run->data);
    rb_buffer_fini(&run->results);
    free(run->slots);
    free(run);
}

/* --- the answer --- */

static void add_problem(struct rb_buffer *out, int status, const char *detail) {
    rb_buffer_printf(out,
                     "\"error\":{\"type\":\"about:blank\",\"title\":\"%s\","
                     "\"status\":%d,\"detail\":",
                     rb_http_reason(status), status);
    rb_buffer_json(out, rb_text_of(detail));
    rb_buffer_string(out, "}}");
}

static void tell(struct rb_publish_run *run, const struct rb_publish_slot *slot) {
    struct rb_buffer *out = &run->results;
    char id[RB_STREAM_ID_MAX + 1];
    if (run->told > 0)
        rb_buffer_char(out, ',');
    if (slot->problem == 0) {
        rb_stream_id_write(slot->id, id);
        rb_buffer_printf(out, "{\"id\":\"%s\",\"channel\":\"%s\"}", id, slot->channel);
        run->published++;
        run->replayed += slot->replayed;
    } else if (slot->line > 0) {
        rb_buffer_printf(out, "{\"line\":%zu,", slot->line);
        add_problem(out, slot->problem, slot->detail);
    } else {
        rb_buffer_printf(out, "{\"channel\":\"%s\",", slot->channel);
        add_problem(out, slot->problem, slot->detail);
    }
    enum rb_count count = slot->problem != 0 ? RB_COUNT_PUBLISHED_FAILED
                          : slot->replayed   ? RB_COUNT_PUBLISHED_REPLAYED
                                             : RB_COUNT_PUBLISHED_NEW;
    rb_count(rb_exchange_server(run->exchange), count, 1);
}

static void answer(struct rb_publish_run *run) {
    bool replayed = run->is_once && run->published > 0 && run->replayed == run->published;
    struct rb_text fields = replayed ? RB_TEXT(RB_ONCE_REPLAYED) : RB_TEXT("");
    struct rb_buffer json;
    if (run->unheard == run->count) {
        rb_admin_redis_failed(run->exchange, run->status, run->why);
    } else if (run->single) {
        rb_admin_answer_json(run->exchange, 200, &run->results, fields);
    } else {
        rb_buffer_init(&json, RESULTS_BYTES + 64);
        rb_buffer_printf(&json, "{\"published\":%zu,\"results\":[", run->published);
        rb_buffer_text(&json, rb_buffer_view(&run->results));
        rb_buffer_string(&json, "]}");
        if (run->results.status != RB_OK)
            json.status = run->results.status;
        rb_admin_answer_json(run->exchange, 200, &json, fields);
        rb_buffer_fini(&json);
    }
    rb_publish_run_free(run);
}

/* --- sending --- */

static void fail(struct rb_publish_slot *slot, int status, const char *detail) {
    slot->told = true;
    slot->problem = status;
    snprintf(slot->detail, sizeof slot->detail, "%s", detail);
}

static void go_on(struct rb_publish_run *run);

static void on_published(void *ctx, const struct rb_published *published) {
    struct rb_publish_slot *slot = ctx;
    struct rb_publish_run *run = slot->run;
    slot->told = true;
    if (published->status == RB_OK) {
        slot->id = published->id;
        slot->replayed = published->duplicate;
    } else {
        run->unheard++;
        run->status = published->status;
        snprintf(run->why, sizeof run->why, "%s", published->error);
        fail(slot, 503, run->why[0] ? run->why : rb_status_text(published->status));
    }
    if (!run->sending)
        go_on(run);
}

static bool is_terminal(const char *event) {
    return strcmp(event, "done") == 0 || strcmp(event, "failed") == 0;
}

static void publish(struct rb_publish_run *run, struct rb_publish_slot *slot,
                    const char *event, struct rb_text data) {
    struct rb_server *server = rb_exchange_server(run->exchange);
    struct rb_event_head head = {.channel = rb_text_of(slot->channel),
                                 .at = rb_clock_unix_ms()};
    struct rb_buffer *json = &server->scratch;
    char once[RB_FINGERPRINT + 1] = "";
    size_t number = run->sent;
    const struct rb_text parts[] = {rb_text_of(run->once.key),
                                    rb_text_of(run->once.request),
                                    rb_text((const char *)&number, sizeof number)};
    rb_buffer_clear(json);
    rb_event_custom(json, &head, rb_text_of(event), data);
    if (json->status != RB_OK ||
        (run->is_once && rb_fingerprint(3, parts, once) != RB_OK)) {
        run->unheard++;
        run->status = RB_NOMEM;
        fail(slot, 503, "Out of memory.");
        return;
    }
    const struct rb_publication publication = {
        .channel = head.channel,
        .terminal = is_terminal(event),
        .event = rb_buffer_view(json),
        .once = rb_text_of(once),
        .once_ms = server->settings->notifier.idempotency};
    rb_publish(rb_feed_link(server->feed), &server->policy, &publication, on_published,
               slot);
}

static void send_line(struct rb_publish_run *run, struct rb_publish_slot *slot) {
    struct rb_server *server = rb_exchange_server(run->exchange);
    struct rb_publish_line parsed;
    struct rb_error error;
    struct rb_text line = {"", 0};
    (void)rb_publish_line_next(&run->rest, &run->line, &line);
    slot->line = run->line;
    if (rb_publish_line_parse(line, &parsed, &error) != RB_OK) {
        fail(slot, 400, error.text);
    } else if (parsed.data.len > (size_t)server->settings->notifier.max_publish) {
        rb_publish_refused(server, RB_COUNT_REFUSED_MAX_PUBLISH, "max_publish");
        fail(slot, 413, "data is larger than notifier.max_publish.");
    } else {
        memcpy(slot->channel, parsed.channel, sizeof slot->channel);
        publish(run, slot, parsed.event, parsed.data);
    }
}

static void send_one(struct rb_publish_run *run) {
    struct rb_publish_slot *slot = &run->slots[run->sent % run->window];
    struct rb_text channel = {"", 0};
    memset(slot, 0, sizeof *slot);
    slot->run = run;
    if (run->lines.len > 0) {
        send_line(run, slot);
    } else {
        (void)rb_text_next(&run->rest, ',', &channel);
        memcpy(slot->channel, channel.at, channel.len);
        publish(run, slot, run->event, rb_buffer_view(&run->data));
    }
    run->sent++;
}

/* What can be sent is, what is known is told. Without Redis all of it may happen at once,
 * and an answer comes from within rb_publish only when there is no memory. */
static void go_on(struct rb_publish_run *run) {
    run->sending = true;
    while (run->told < run->count) {
        while (run->sent < run->count && run->sent - run->told < run->window)
            send_one(run);
        const struct rb_publish_slot *slot = &run->slots[run->told % run->window];
        if (!slot->told)
            break;
        tell(run, slot);
        run->told++;
    }
    run->sending = false;
    if (run->told == run->count)
        answer(run);
}

/* --- beginning --- */

/* Whoever was first has set it; what is there is what was asked first. */
static void on_remembered(void *ctx, enum rb_status status,
                          const struct redisReply *reply) {
    struct rb_publish_run *run = ctx;
    if (status != RB_OK || reply->type != REDIS_REPLY_STRING) {
        rb_admin_redis_failed(run->exchange, status == RB_OK ? RB_INVALID : status,
                              status == RB_REFUSED ? reply->str : "");
        rb_publish_run_free(run);
    } else if (!rb_text_is(rb_text(reply->str, reply->len), run->once.request)) {
        rb_once_differs(run->exchange);
        rb_publish_run_free(run);
    } else {
        go_on(run);
    }
}

static void remember(struct rb_publish_run *run) {
    const struct rb_server *server = rb_exchange_server(run->exchange);
    struct rb_link *link = rb_feed_link(server->feed);
    struct rb_buffer ms;
    struct rb_key key;
    rb_key_request(rb_feed_keys(server->feed), rb_text_of(run->once.key), &key);
    rb_buffer_init(&ms, 24);
    rb_buffer_int(&ms, server->settings->notifier.idempotency);
    const struct rb_text set[] = {
        RB_TEXT("SET"), rb_key_text(&key), rb_text_of(run->once.request),
        RB_TEXT("NX"),  RB_TEXT("PX"),     rb_buffer_view(&ms)};
    const struct rb_text get[] = {RB_TEXT("GET"), rb_key_text(&key)};
    rb_link_call(link, 0, NULL, NULL, 6, set);
    rb_link_call(link, 0, on_remembered, run, 2, get);
    rb_buffer_fini(&ms);
}

void rb_publish_run_start(struct rb_publish_run *run) {
    run->window = run->count < WINDOW ? run->count : WINDOW;
    run->slots = calloc(run->window, sizeof *run->slots);
    run->rest = run->lines.len > 0 ? run->lines : rb_buffer_view(&run->channels);
    if (!run->slots) {
        rb_exchange_problem(run->exchange, 503, "Out of memory.",
                            RB_TEXT("Retry-After: 1\r\n"));
        rb_publish_run_free(run);
    } else if (run->is_once) {
        remember(run);
    } else {
        go_on(run);
    }
}
