/* WebSocket: one frame an event, pings, and the client's commands. An idle connection
 * needs no memory here. */
#include <stdlib.h>
#include <string.h>

#include "notifier/deflate.h"
#include "notifier/exchange_core.h"
#include "notifier/http_response.h"
#include "notifier/me.h"
#include "notifier/pace.h"
#include "notifier/transport.h"
#include "notifier/transport_websocket.h"

/* Bits of the connection. */
#define UNTIL_DONE 1u
#define SILENT_ONE 2u /* pings that nothing came after: 0 to 3, in two bits */
#define SILENT_ALL 6u
#define SILENT_MAX 4u /* two */
#define PONG_DUE 8u   /* to our last ping: it is not counted */

#define FRAMES_BEYOND 64 /* that may wait when there are more bytes than may */

#define TOO_FAST_MS (2 * RB_PACE_BURST_MS)

void rb_websocket_send(struct rb_connection *c, enum rb_ws_opcode opcode,
                       struct rb_text payload) {
    struct rb_buffer *out = &c->server->scratch;
    /* Who makes us answer and does not read the answers is a slow reader too. A few
     * frames beyond the bound are one large event and what was said meanwhile. */
    size_t max = (size_t)c->server->settings->notifier.max_queue;
    if (rb_connection_queued(c) > max)
        rb_connection_relieve(c);
    if (rb_connection_queued(c) > max && rb_out_frames(c->out) > FRAMES_BEYOND) {
        rb_connection_doom(c, RB_COUNT_CLOSED_SLOW, "does not read the answers");
        return;
    }
    rb_buffer_clear(out);
    rb_ws_frame(out, opcode, payload);
    rb_connection_send_buffer(c, out);
}

void rb_websocket_close(struct rb_connection *c, uint16_t code, const char *reason) {
    struct rb_buffer *out = &c->server->scratch;
    if (c->closing || c->doomed)
        return;
    rb_buffer_clear(out);
    if (code == RB_WS_NO_STATUS)
        rb_ws_frame(out, RB_WS_CLOSE, RB_TEXT(""));
    else
        rb_ws_close_frame(out, code, rb_text_of(reason));
    rb_connection_send_buffer(c, out);
    rb_connection_close(c);
}

bool rb_websocket_on_ping(void *ctx, struct rb_text data) {
    struct rb_connection *c = ctx;
    rb_websocket_send(c, RB_WS_PONG, data);
    return !c->doomed;
}

bool rb_websocket_on_pong(void *ctx, struct rb_text data) {
    (void)ctx;
    (void)data;
    return true;
}

bool rb_websocket_on_close(void *ctx, uint16_t code, struct rb_text reason) {
    (void)reason;
    rb_websocket_close(ctx, code, "");
    return false;
}

static void log_too_fast(struct rb_connection *c, const char *what) {
    unsigned held;
    if (rb_server_line(c->server, RB_LINE_TOO_FAST, &held))
        rb_log(RB_LOG_INFO, "websocket.too_fast", RB_S("done", what),
               RB_I("suppressed", held));
}

/* The client may send max_commands_per_second and twice as many in a burst. Beyond, its
 * commands are refused, and at the double of that it is closed. It is not left unread:
 * a page can't see that, and goes on sending into its browser's memory. */
static bool on_frame(void *ctx, enum rb_ws_opcode opcode) {
    struct rb_connection *c = ctx;
    bool answers = opcode == RB_WS_PONG && c->bits & PONG_DUE;
    if (answers)
        c->bits &= (uint8_t)~PONG_DUE;
    int64_t max = c->server->settings->notifier.max_commands_per_second;
    if (max == 0 || answers ||
        rb_pace_spend(&c->spent, max, c->server->now_ms, TOO_FAST_MS) < TOO_FAST_MS)
        return true;
    rb_count(c->server, RB_COUNT_CLOSED_TOO_FAST, 1);
    log_too_fast(c, "closed");
    rb_websocket_close(c, RB_WS_POLICY, "too many messages");
    return false;
}

static bool is_too_fast(const struct rb_connection *c) {
    return c->server->settings->notifier.max_commands_per_second > 0 &&
           rb_pace_spent(c->spent, c->server->now_ms, TOO_FAST_MS) > RB_PACE_BURST_MS;
}

static bool on_message(void *ctx, enum rb_ws_opcode opcode, struct rb_text data) {
    struct rb_connection *c = ctx;
    if (is_too_fast(c)) {
        rb_count(c->server, RB_COUNT_REFUSED_COMMAND, 1);
        log_too_fast(c, "refused");
        rb_websocket_too_fast(c);
    } else {
        rb_websocket_command(c, opcode, data);
    }
    return !c->doomed && !c->closing;
}

enum rb_status rb_websocket_restore(void *ctx, struct rb_text packed,
                                    struct rb_text *data) {
    const struct rb_connection *c = ctx;
    size_t max = (size_t)c->server->settings->notifier.max_message;
    return rb_deflate_restore(c->server->deflate, packed, max, data);
}

static const struct rb_ws_events events = {.on_message = on_message,
                                           .on_ping = rb_websocket_on_ping,
                                           .on_pong = rb_websocket_on_pong,
                                           .on_close = rb_websocket_on_close,
                                           .restore = rb_websocket_restore,
                                           .on_frame = on_frame};

void rb_websocket_feed(struct rb_connection *c, struct rb_ws_state **state, char *bytes,
                       size_t len, const struct rb_ws_events *handlers) {
    uint16_t code = RB_WS_INTERNAL;
    size_t max = (size_t)c->server->settings->notifier.max_message;
    struct rb_ws_events agreed = *handlers;
    if (c->window == 0)
        agreed.restore = NULL;
    enum rb_status status = rb_ws_feed(state, bytes, len, max, &agreed, c, &code);
    if (status == RB_OK || c->doomed)
        return;
    if (status == RB_NOMEM) {
        rb_connection_doom(c, RB_COUNT_CLOSED_MEMORY, "out of memory");
        return;
    }
    rb_count(c->server, RB_COUNT_CLOSED_PROTOCOL, 1);
    rb_websocket_close(c, code, rb_status_text(status));
}

/* --- what it keeps --- */

struct rb_websocket_work *rb_websocket_work(struct rb_connection *c) {
    if (!c->work)
        c->work = calloc(1, sizeof(struct rb_websocket_work));
    return c->work;
}

void rb_websocket_tidy(struct rb_connection *c) {
    struct rb_websocket_work *work = c->work;
    if (!work || work->state || LIST_FIRST(&work->asked))
        return;
    c->work = NULL;
    free(work);
}

/* A callback may doom the connection, which lets go of its work: the state is out of its
 * reach meanwhile. */
static void websocket_bytes(struct rb_connection *c, char *bytes, size_t len) {
    struct rb_websocket_work *work = c->work;
    struct rb_ws_state *state = work ? work->state : NULL;
    if (work)
        work->state = NULL;
    c->bits &= (uint8_t)~SILENT_ALL;
    rb_websocket_feed(c, &state, bytes, len, &events);
    work = state && !c->doomed ? rb_websocket_work(c) : NULL;
    if (work) {
        work->state = state;
        return;
    }
    if (state && !c->doomed)
        rb_connection_doom(c, RB_COUNT_CLOSED_MEMORY, "out of memory");
    rb_ws_state_free(state);
    if (!c->doomed)
        rb_websocket_tidy(c);
}

static void ping_later(struct rb_connection *c) {
    rb_connection_timer(c, rb_server_beat(c->server));
}

static void timeout(struct rb_connection *c) {
    if ((c->bits & SILENT_ALL) >= SILENT_MAX) {
        rb_connection_doom(c, RB_COUNT_CLOSED_SILENT, "does not answer");
        return;
    }
    c->bits = (uint8_t)(c->bits + SILENT_ONE);
    if (!c->blocked) { /* else it is still to take something: see `took` */
        c->bits |= PONG_DUE;
        rb_websocket_send(c, RB_WS_PING, RB_TEXT(""));
    }
    ping_later(c);
}

/* Its pongs wait behind what it is still taking. */
static void took(struct rb_connection *c) { c->bits &= (uint8_t)~SILENT_ALL; }

static void turn(struct rb_connection *c) {
    if (c->closing) {
        rb_connection_unsubscribe_all(c);
        return;
    }
    if (!(c->bits & UNTIL_DONE) || !c->subscriptions ||
        !rb_transport_all_marked(c, RB_MARK_DONE))
        return;
    rb_connection_unsubscribe_all(c);
    rb_websocket_close(c, RB_WS_NORMAL, "done");
}

static void leave(struct rb_connection *c) {
    struct rb_websocket_work *work = c->work;
    c->work = NULL;
    if (!work)
        return;
    rb_websocket_forget_jobs(work);
    rb_ws_state_free(work->state);
    free(work);
}

static void stop(struct rb_connection *c) {
    rb_connection_unsubscribe_all(c);
    rb_websocket_close(c, RB_WS_GOING_AWAY, "the server is going away");
}

static void tell(struct rb_connection *c, const char *event, struct rb_text json) {
    (void)event;
    rb_websocket_send(c, RB_WS_TEXT, json);
}

static void refuse_more(struct rb_connection *c, const char *why) {
    rb_connection_unsubscribe_all(c);
    rb_websocket_close(c, RB_WS_POLICY, why);
}

static const struct rb_role role = {.name = "websocket",
                                    .gauge = RB_COUNT_CONNECTIONS_WEBSOCKET,
                                    .bytes = websocket_bytes,
                                    .timeout = timeout,
                                    .turn = turn,
                                    .took = took,
                                    .drained = rb_connection_resume,
                                    .leave = leave,
                                    .stop = stop,
                                    .tell = tell,
                                    .refuse = refuse_more,
                                    .one_less = true};

/* --- what it hears --- */

/* A client whose queue is full is told to come again: its cursor says from where. */
static void too_slow(struct rb_connection *c) {
    rb_count(c->server, RB_COUNT_CLOSED_SLOW, 1);
    rb_websocket_close(c, RB_WS_TRY_AGAIN, "reads too slowly");
    rb_connection_touch(c);
}

static void deliver(struct rb_subscription *s, struct rb_delivery *delivery) {
    struct rb_connection *c = s->owner;
    if (c->work && !c->closing && delivery->kind == RB_DELIVERY_EVENT)
        rb_websocket_hears(c, delivery->json, delivery->terminal);
    if (c->closing || c->doomed)
        return;
    enum rb_encoding encoding = rb_deflate_suits(c->window, delivery->json.len)
                                    ? RB_ENCODING_WEBSOCKET_PACKED
                                    : RB_ENCODING_WEBSOCKET;
    if (rb_transport_push(c, delivery, encoding) == RB_TOO_LARGE) {
        too_slow(c);
        return;
    }
    rb_count(c->server, RB_COUNT_DELIVERED_WEBSOCKET, 1);
    if (delivery->terminal && c->bits & UNTIL_DONE)
        rb_transport_done(s);
}

static void verified(struct rb_subscription *s, bool finished) {
    const struct rb_connection *c = s->owner;
    if (finished && c->bits & UNTIL_DONE)
        rb_transport_done(s);
}

const struct rb_sink rb_websocket_sink = {.deliver = deliver,
                                          .verified = verified,
                                          .failed = rb_transport_failed,
                                          .full = rb_transport_full};

/* --- the handshake --- */

static const char *const upgrade_fields =
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n";

static bool is_twice(const struct rb_http_request *request, const char *name) {
    size_t count = 0;
    for (size_t i = 0; i < request->header_count; i++)
        count += rb_text_equal_nocase(request->headers[i].name, rb_text_of(name));
    return count > 1;
}

struct rb_connection *rb_websocket_accept(struct rb_exchange *x,
                                          const struct rb_role *new_role) {
    const struct rb_http_request *request = rb_exchange_request(x);
    struct rb_server *server = rb_exchange_server(x);
    struct rb_buffer *out = &server->scratch, fields;
    char key[RB_WS_ACCEPT_LEN + 1];
    /* RFC 6455 §11.3.1 and §11.3.5 */
    if (is_twice(request, "sec-websocket-key") ||
        is_twice(request, "sec-websocket-version")) {
        rb_exchange_problem(x, 400,
                            "Sec-WebSocket-Key and Sec-WebSocket-Version stand once.",
                            RB_TEXT(""));
        return NULL;
    }
    if (!rb_text_is(rb_http_header(request, "sec-websocket-version"), "13")) {
        rb_exchange_problem(x, 426, "WebSocket is spoken in version 13 (RFC 6455).",
                            rb_text_of(upgrade_fields));
        return NULL;
    }
    struct rb_text nonce = rb_http_header(request, "sec-websocket-key");
    if (rb_ws_accept_key(server->hash, nonce, key) != RB_OK) {
        rb_exchange_problem(x, 400, "Sec-WebSocket-Key is not 16 bytes in base64.",
                            RB_TEXT(""));
        return NULL;
    }
    struct rb_deflate_terms terms = {0};
    if (server->settings->notifier.compression)
        terms = rb_deflate_choose(request);
    struct rb_connection *c = rb_exchange_take(x);
    if (!c)
        return NULL;
    rb_connection_set_role(c, new_role, NULL);
    c->window = terms.window & 15;
    rb_buffer_init(&fields, 512);
    rb_buffer_string(&fields, "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                              "Sec-WebSocket-Accept: ");
    rb_buffer_string(&fields, key);
    rb_buffer_string(&fields, "\r\n");
    rb_deflate_answer(terms, &fields);
    rb_buffer_clear(out);
    rb_http_head(out, 101, NULL, -1, true, RB_TEXT(""), rb_buffer_view(&fields));
    if (fields.status != RB_OK)
        out->status = fields.status;
    rb_connection_send_buffer(c, out);
    rb_buffer_fini(&fields);
    return c->doomed ? NULL : c;
}

static void begin(struct rb_exchange *x, const struct rb_wait *wait) {
    struct rb_connection *c = rb_websocket_accept(x, &role);
    if (!c)
        return;
    c->bits = wait->until_done ? UNTIL_DONE : 0;
    ping_later(c);
    rb_transport_subscribe(c, wait, &rb_websocket_sink);
}

const struct rb_transport rb_transport_websocket = {.name = "websocket", .begin = begin};
