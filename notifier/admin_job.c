/* GET /jobs/<id>: the life of one job, as far as Redis still knows it: where it is, and
 * what its channel has kept of it. */
#include <stdlib.h>

#include "jobs/dead.h"
#include "jobs/name.h"
#include "notifier/admin.h"
#include "notifier/admin_job_events.h"
#include "notifier/admin_job_find.h"
#include "notifier/server.h"

#define JSON_BYTES ((size_t)16 * 1024 * 1024)
#define STANDARD_CHANNEL "job:" /* + id: what POST /jobs/<service> gives a job */

struct asked {
    struct rb_exchange *exchange;
    char id[RB_JOB_ID_MAX + 1];
    char channel[RB_CHANNEL_MAX + 1]; /* "": not known */
    bool named;                       /* the asker named it */
    int64_t cancelled_at;
    struct rb_job_found found;
    struct rb_buffer dead;
};

static void end(struct asked *a) {
    rb_buffer_fini(&a->dead);
    rb_exchange_release(a->exchange);
    free(a);
}

/* ---- the answer ---- */

static void add_text(struct rb_buffer *json, const char *name, const char *value) {
    rb_buffer_printf(json, ",\"%s\":", name);
    if (value[0] != '\0')
        rb_buffer_json(json, rb_text_of(value));
    else
        rb_buffer_string(json, "null");
}

static void add_number(struct rb_buffer *json, const char *name, bool known,
                       int64_t value) {
    rb_buffer_printf(json, ",\"%s\":", name);
    if (known)
        rb_buffer_int(json, value);
    else
        rb_buffer_string(json, "null");
}

static const char *place_of(const struct rb_job_found *found,
                            const struct rb_job_events *events) {
    static const char *const names[] = {
        [RB_PLACE_QUEUE] = "queue", [RB_PLACE_RETRY] = "retry", [RB_PLACE_DUE] = "due",
        [RB_PLACE_HELD] = "held",   [RB_PLACE_DEAD] = "dead",
    };
    if (found->place != RB_PLACE_NOWHERE)
        return names[found->place];
    return events->ended[0] != '\0' ? "ended" : "unknown";
}

static void write_found(struct rb_buffer *json, const struct asked *a) {
    const struct rb_job_found *f = &a->found;
    bool found = f->place != RB_PLACE_NOWHERE, held = f->place == RB_PLACE_HELD;
    bool claimed = found && f->claimed_at > 0;
    add_text(json, "service", f->service);
    add_text(json, "queue", f->queue);
    add_number(json, "position", f->position >= 0, f->position);
    add_text(json, "worker", f->worker);
    add_number(json, "lease_ms", held, f->lease_ms);
    add_number(json, "due_at", f->place == RB_PLACE_DUE, f->due_at);
    add_number(json, "asked_at", f->asked_at > 0, f->asked_at);
    add_number(json, "run_at", f->run_at > 0, f->run_at);
    add_number(json, "expires_at", f->expires_at > 0, f->expires_at);
    add_number(json, "claimed_at", claimed, f->claimed_at);
    add_number(json, "deliveries", claimed, f->deliveries);
    add_number(json, "attempts", claimed, f->attempts);
    rb_buffer_string(json, ",\"dead\":");
    rb_buffer_text(json, a->dead.len > 0 ? rb_buffer_view(&a->dead) : RB_TEXT("null"));
}

static void answer(struct asked *a, const struct rb_job_events *events) {
    struct rb_buffer json;
    rb_buffer_init(&json, JSON_BYTES + RB_DEAD_JSON_BYTES);
    rb_buffer_printf(&json, "{\"id\":\"%s\",\"place\":\"%s\",\"now\":%lld", a->id,
                     place_of(&a->found, events), (long long)a->found.now_ms);
    add_text(&json, "channel", a->channel);
    write_found(&json, a);
    add_number(&json, "cancelled_at", a->cancelled_at > 0, a->cancelled_at);
    add_text(&json, "ended", events->ended);
    add_number(&json, "delivered_at", events->delivered_at > 0, events->delivered_at);
    rb_buffer_string(&json, ",\"events\":");
    rb_buffer_text(&json, rb_buffer_view(&events->json));
    rb_buffer_printf(&json, ",\"complete\":%s}",
                     a->found.complete && events->complete ? "true" : "false");
    if (events->json.status != RB_OK)
        json.status = events->json.status;
    rb_admin_answer_json(a->exchange, 200, &json, RB_TEXT(""));
    rb_buffer_fini(&json);
}

static void on_events(void *ctx, const struct rb_job_events *events) {
    struct asked *a = ctx;
    bool known = a->found.place != RB_PLACE_NOWHERE || events->count > 0 ||
                 events->ended[0] != '\0' || a->cancelled_at > 0;
    if (events->status != RB_OK)
        rb_admin_redis_failed(a->exchange, events->status, events->error);
    else if (known)
        answer(a, events);
    else
        rb_exchange_problem(
            a->exchange, 404,
            a->found.complete
                ? "No such job is in a queue, in a worker's hands or among the dead, and "
                  "its channel has nothing of it."
                : "No such job was found; not all places were looked at to their end.",
            RB_TEXT(""));
    end(a);
}

/* ---- asking ---- */

/* What the job itself says is true; without one it is the asker's word, or a guess. */
static void choose_channel(struct asked *a) {
    struct rb_text id = rb_text_of(a->id), standard = RB_TEXT(STANDARD_CHANNEL);
    if (a->found.channel[0] != '\0') {
        memcpy(a->channel, a->found.channel, sizeof a->channel);
    } else if (!a->named && standard.len + id.len < sizeof a->channel) {
        memcpy(a->channel, standard.at, standard.len);
        memcpy(a->channel + standard.len, id.at, id.len + 1);
    }
}

static void on_cancelled(void *ctx, enum rb_status status,
                         const struct redisReply *reply) {
    struct asked *a = ctx;
    if (status == RB_OK && reply->type == REDIS_REPLY_STRING)
        a->cancelled_at = (int64_t)strtod(reply->str, NULL);
    choose_channel(a);
    rb_job_events_read(a->exchange, rb_text_of(a->channel), rb_text_of(a->id), on_events,
                       a);
}

static void on_found(void *ctx, const struct rb_job_found *found) {
    struct asked *a = ctx;
    struct rb_server *server = rb_exchange_server(a->exchange);
    struct rb_key key;
    if (found->status != RB_OK) {
        rb_admin_redis_failed(a->exchange, found->status,
                              found->status == RB_REFUSED ? found->error : "");
        end(a);
        return;
    }
    a->found = *found;
    rb_buffer_init(&a->dead, RB_DEAD_JSON_BYTES);
    rb_buffer_text(&a->dead, rb_buffer_view(&found->dead));
    rb_key_cancelled(rb_feed_keys(server->feed), &key);
    const struct rb_text argv[] = {RB_TEXT("ZSCORE"), rb_key_text(&key),
                                   rb_text_of(a->id)};
    rb_link_call(rb_feed_link(server->feed), 0, on_cancelled, a, 3, argv);
}

void rb_admin_show_job(struct rb_exchange *x, struct rb_text id) {
    struct rb_text query = rb_exchange_request(x)->query, raw;
    struct asked *a = calloc(1, sizeof *a);
    if (!a) {
        rb_exchange_problem(x, 503, "Out of memory.", RB_TEXT("Retry-After: 1\r\n"));
        return;
    }
    a->named = rb_http_query_raw(query, "channel", &raw);
    if (a->named && (!rb_http_query(query, "channel", a->channel, sizeof a->channel) ||
                     !rb_name_is_channel(rb_text_of(a->channel)))) {
        rb_exchange_problem(
            x, 400, "A channel's name is 1 to 128 of A-Z a-z 0-9 _ . : @ = ~ and -.",
            RB_TEXT(""));
        free(a);
        return;
    }
    memcpy(a->id, id.at, id.len);
    a->exchange = rb_exchange_hold(x);
    rb_job_find(x, id, on_found, a);
}
