/* How it all stands: asked of Redis, told to whoever asked and to all who watch. */
#include "notifier/admin_status.h"

#include <stdlib.h>

#include "config/clock.h"
#include "jobs/overview.h"
#include "notifier/admin.h"
#include "notifier/http_response.h"
#include "notifier/server.h"
#include "notifier/transport.h"

#define EVERY_S 1.0
#define WATCHERS 64
#define ASKERS 256
#define JSON_BYTES ((size_t)16 * 1024 * 1024)
#define MISSES_MOST 15 /* so often one that reads nothing is passed over */

/* Of the connection's bits: is the body chunked? The rest counts what it has missed. */
#define CHUNKED 1u
#define MISS 2u

struct rb_admin_status {
    struct rb_server *server;
    ev_timer timer; /* runs while somebody watches */
    int64_t since_ms;
    struct rb_connection *watchers[WATCHERS];
    struct rb_exchange *askers[ASKERS]; /* held */
    size_t watcher_count, asker_count;
    bool asking; /* Redis has not told all yet */
};

/* ---- what is told ---- */

static void write_notifier(const struct rb_admin_status *s, struct rb_buffer *out) {
    struct rb_server *server = s->server;
    rb_buffer_printf(
        out,
        "\"notifier\":{\"version\":\"" RINGBACK_VERSION
        "\",\"id\":\"%s\",\"processes\":%d,\"uptime_s\":%lld,"
        "\"draining\":%s,\"ready\":%s,\"claim\":\"%s\",",
        server->id, server->processes, (long long)(server->now_ms - s->since_ms) / 1000,
        server->draining ? "true" : "false",
        rb_feed_ready(server->feed) ? "true" : "false",
        server->settings->worker.claim == RB_CLAIM_LEASE ? "lease" : "blpop");
    rb_notifier_metrics_json(server->metrics, server->series, out);
    rb_buffer_char(out, '}');
}

/* Where Redis does not tell, the notifier still does. overview: NULL when out of memory.
 */
static void write_all(const struct rb_admin_status *s, const struct rb_overview *overview,
                      struct rb_buffer *out) {
    const char *error = overview ? overview->error : rb_status_text(RB_NOMEM);
    if (overview && overview->status == RB_OK) {
        rb_buffer_printf(out, "{\"at\":%.0f,\"error\":null,\"services_at\":%.0f,",
                         overview->now_ms, overview->figures.at_ms);
        rb_overview_write(out, overview, NULL, true);
    } else {
        rb_buffer_printf(out, "{\"at\":%lld,\"error\":", (long long)rb_clock_unix_ms());
        rb_buffer_json(out, rb_text_of(error));
    }
    rb_buffer_char(out, ',');
    write_notifier(s, out);
    rb_buffer_char(out, '}');
}

/* ---- to whom ---- */

static struct rb_admin_status *status_of(const struct rb_connection *c) {
    return c->server->status;
}

static void forget(struct rb_connection *c) {
    struct rb_admin_status *s = status_of(c);
    for (size_t i = 0; i < s->watcher_count; i++)
        if (s->watchers[i] == c)
            s->watchers[i] = s->watchers[--s->watcher_count];
    if (s->watcher_count == 0)
        ev_timer_stop(s->server->loop, &s->timer);
}

static void ignore_bytes(struct rb_connection *c, char *bytes, size_t len) {
    (void)c, (void)bytes, (void)len;
}

static void stop(struct rb_connection *c) {
    forget(c);
    if (c->bits & CHUNKED)
        rb_connection_send(c, RB_TEXT("0\r\n\r\n"));
    rb_connection_close(c);
}

static const struct rb_role status_role = {.name = "status",
                                           .gauge = RB_COUNT_CONNECTIONS_SSE,
                                           .bytes = ignore_bytes,
                                           .leave = forget,
                                           .stop = stop};

static struct rb_bytes *encode(struct rb_text json, bool chunked) {
    const struct rb_event_frame frame = {.json = json, .event = RB_TEXT("status")};
    struct rb_bytes *bytes = NULL;
    struct rb_buffer out;
    rb_buffer_init(&out, JSON_BYTES + 4096);
    if (chunked)
        rb_encode_sse(&out, &frame);
    else
        rb_encode_sse_plain(&out, &frame);
    if (out.status == RB_OK)
        bytes = rb_bytes_new(rb_buffer_view(&out));
    rb_buffer_fini(&out);
    return bytes;
}

/* One that has not taken what it was told before is passed over. */
static bool is_behind(struct rb_connection *c) {
    if (rb_connection_queued(c) == 0) {
        c->bits &= CHUNKED;
        return false;
    }
    c->bits = (uint8_t)(c->bits + MISS);
    if (c->bits / MISS > MISSES_MOST)
        rb_connection_doom(c, RB_COUNT_CLOSED_SLOW, "reads too slowly");
    return true;
}

/* From the last one: who is doomed gives his place to it. */
static void tell_watchers(struct rb_admin_status *s, struct rb_text json) {
    struct rb_bytes *encoded[2] = {NULL, NULL};
    for (size_t i = s->watcher_count; i > 0; i--) {
        struct rb_connection *c = s->watchers[i - 1];
        bool chunked = c->bits & CHUNKED;
        if (is_behind(c))
            continue;
        if (!encoded[chunked])
            encoded[chunked] = encode(json, chunked);
        if (!encoded[chunked] || rb_connection_push(c, encoded[chunked]) != RB_OK)
            rb_connection_doom(c, RB_COUNT_CLOSED_MEMORY, "out of memory");
    }
    rb_bytes_unref(encoded[0]);
    rb_bytes_unref(encoded[1]);
}

static void tell_askers(struct rb_admin_status *s, const struct rb_buffer *json) {
    size_t count = s->asker_count;
    s->asker_count = 0;
    for (size_t i = 0; i < count; i++) {
        rb_admin_answer_json(s->askers[i], 200, json, RB_TEXT(""));
        rb_exchange_release(s->askers[i]);
    }
}

static void on_overview(void *ctx, struct rb_overview *overview) {
    struct rb_admin_status *s = ctx;
    struct rb_buffer json;
    rb_buffer_init(&json, JSON_BYTES);
    s->asking = false;
    write_all(s, overview, &json);
    tell_askers(s, &json);
    if (json.status == RB_OK)
        tell_watchers(s, rb_buffer_view(&json));
    rb_buffer_fini(&json);
    rb_overview_free(overview);
}

static void look(struct rb_admin_status *s) {
    struct rb_server *server = s->server;
    if (s->asking)
        return;
    s->asking = true;
    rb_overview_ask(rb_feed_link(server->feed), rb_feed_keys(server->feed),
                    &server->settings->worker.queues, on_overview, s);
}

static void on_second(struct ev_loop *loop, ev_timer *timer, int events) {
    (void)loop, (void)events;
    look(timer->data);
}

/* ---- the request ---- */

static void answer_full(struct rb_exchange *x, const char *why) {
    struct rb_server *server = rb_exchange_server(x);
    unsigned held;
    rb_count(server, RB_COUNT_REFUSED_ADMIN, 1);
    if (rb_server_line(server, RB_LINE_ADMIN, &held))
        rb_log(RB_LOG_WARN, "admin.refused", RB_S("why", why), RB_I("suppressed", held));
    rb_exchange_problem(x, 503, "As many ask for the status as may.",
                        RB_TEXT("Retry-After: 5\r\n"));
}

static void begin_watching(struct rb_admin_status *s, struct rb_exchange *x) {
    bool chunked = rb_exchange_request(x)->minor > 0;
    struct rb_connection *c;
    struct rb_buffer head;
    if (s->watcher_count == WATCHERS) {
        answer_full(x, "watchers");
        return;
    }
    c = rb_exchange_take(x);
    if (!c)
        return;
    rb_connection_set_role(c, &status_role, NULL);
    c->bits = chunked ? CHUNKED : 0;
    s->watchers[s->watcher_count++] = c;
    rb_buffer_init(&head, 1024);
    rb_http_head(&head, 200, "text/event-stream", -1, false, rb_server_date(c->server),
                 chunked
                     ? RB_TEXT("Cache-Control: no-store\r\nX-Accel-Buffering: no\r\n"
                               "Transfer-Encoding: chunked\r\n")
                     : RB_TEXT("Cache-Control: no-store\r\nX-Accel-Buffering: no\r\n"));
    rb_connection_send_buffer(c, &head);
    rb_buffer_fini(&head);
    ev_timer_again(s->server->loop, &s->timer);
    look(s);
}

void rb_admin_show_status(struct rb_exchange *x, struct rb_text none) {
    const struct rb_http_request *request = rb_exchange_request(x);
    struct rb_admin_status *s = rb_exchange_server(x)->status;
    (void)none;
    if (request->method == RB_HTTP_GET &&
        rb_http_accepts(rb_http_header(request, "accept"), "text/event-stream")) {
        begin_watching(s, x);
    } else if (s->asker_count == ASKERS) {
        answer_full(x, "askers");
    } else {
        s->askers[s->asker_count++] = rb_exchange_hold(x);
        look(s);
    }
}

struct rb_admin_status *rb_admin_status_new(struct rb_server *server) {
    struct rb_admin_status *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->server = server;
    s->since_ms = server->now_ms;
    ev_timer_init(&s->timer, on_second, EVERY_S, EVERY_S);
    s->timer.data = s;
    return s;
}

void rb_admin_status_free(struct rb_admin_status *s) {
    if (!s)
        return;
    ev_timer_stop(s->server->loop, &s->timer);
    free(s);
}
