/* /echo: returns each message as it came, for test pages and conformance suites. While
 * the client does not read, it is not read from. */
#include "notifier/deflate.h"
#include "notifier/transport.h"
#include "notifier/transport_websocket.h"

static bool on_message(void *ctx, enum rb_ws_opcode opcode, struct rb_text data) {
    struct rb_connection *c = ctx;
    struct rb_buffer frame;
    rb_buffer_init(&frame, data.len + RB_WS_HEADER_MAX);
    if (rb_deflate_suits(c->window, data.len))
        rb_deflate_frame(c->server->deflate, &frame, opcode, data);
    else
        rb_ws_frame(&frame, opcode, data);
    rb_connection_send_buffer(c, &frame);
    rb_buffer_fini(&frame);
    if (rb_connection_full(c))
        rb_connection_read(c, false);
    return !c->doomed;
}

static const struct rb_ws_events events = {.on_message = on_message,
                                           .on_ping = rb_websocket_on_ping,
                                           .on_pong = rb_websocket_on_pong,
                                           .on_close = rb_websocket_on_close,
                                           .restore = rb_websocket_restore};

static void echo_bytes(struct rb_connection *c, char *bytes, size_t len) {
    struct rb_ws_state *state = c->work;
    c->work = NULL; /* out of reach of `leave` */
    c->bits = 0;
    rb_websocket_feed(c, &state, bytes, len, &events);
    if (c->doomed)
        rb_ws_state_free(state);
    else
        c->work = state;
}

static void took(struct rb_connection *c) { c->bits = 0; }

static void drained(struct rb_connection *c) { rb_connection_read(c, true); }

static void leave(struct rb_connection *c) {
    rb_ws_state_free(c->work);
    c->work = NULL;
}

/* The bits count the pings that nothing came after. */
static void timeout(struct rb_connection *c) {
    if (c->bits++ == 2) {
        rb_connection_doom(c, RB_COUNT_CLOSED_SILENT, "does not answer");
        return;
    }
    rb_websocket_send(c, RB_WS_PING, RB_TEXT(""));
    rb_connection_timer(c, rb_server_beat(c->server));
}

static void stop(struct rb_connection *c) {
    rb_websocket_close(c, RB_WS_GOING_AWAY, "the server is going away");
}

static const struct rb_role role = {.name = "echo",
                                    .gauge = RB_COUNT_CONNECTIONS_WEBSOCKET,
                                    .bytes = echo_bytes,
                                    .timeout = timeout,
                                    .took = took,
                                    .drained = drained,
                                    .leave = leave,
                                    .stop = stop};

void rb_echo_begin(struct rb_exchange *x) {
    struct rb_connection *c = rb_websocket_accept(x, &role);
    if (c)
        rb_connection_timer(c, rb_server_beat(c->server));
}
