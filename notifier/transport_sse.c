/* Server-sent events and the stream of JSON lines: one answer that does not end. They
 * differ in how an event, a heartbeat and the beginning are written. */
#include <stdlib.h>

#include "notifier/exchange_core.h"
#include "notifier/http_response.h"
#include "notifier/transport.h"

/* How long the head waits for the word that the client's cursor is not at the end: after
 * that it is 200, and the end comes in the stream. */
#define VERIFY_MS 2000
#define RETRY_MS 2000 /* told to EventSource: when to come back */

/* Bits of the connection. */
#define UNTIL_DONE 1u
#define CHUNKED 2u
#define STALLED 4u /* nothing was written since the last heartbeat */
#define STREAM 8u  /* JSON lines */

/* Until the head is sent the connection's work is this; then it needs none. */
struct opening {
    struct rb_exchange *exchange; /* held */
    char *fields;
};

static const struct rb_role sse_role, stream_role;

static void send_part(struct rb_connection *c, struct rb_text text) {
    struct rb_buffer *out = &c->server->scratch;
    if (!(c->bits & CHUNKED)) {
        rb_connection_send(c, text);
        return;
    }
    rb_buffer_clear(out);
    rb_http_chunk(out, text);
    rb_connection_send_buffer(c, out);
}

static void send_retry(struct rb_connection *c, int64_t delay_ms) {
    struct rb_buffer line;
    rb_buffer_init(&line, 64);
    rb_buffer_printf(&line, "retry: %lld\n\n",
                     (long long)rb_server_jitter(c->server, delay_ms));
    if (line.status == RB_OK)
        send_part(c, rb_buffer_view(&line));
    rb_buffer_fini(&line);
}

/* The answer is whole: in a chunked body that is said. */
static void end(struct rb_connection *c) {
    rb_connection_unsubscribe_all(c);
    if (c->bits & CHUNKED)
        rb_connection_send(c, RB_TEXT("0\r\n\r\n"));
    rb_connection_close(c);
}

static void opening_free(struct opening *opening) {
    rb_exchange_release(opening->exchange);
    free(opening->fields);
    free(opening);
}

static void heartbeat_later(struct rb_connection *c) {
    rb_connection_timer(c, rb_server_beat(c->server));
}

static void send_head(struct rb_connection *c) {
    struct opening *opening = c->work;
    struct rb_buffer fields, out;
    if (!opening)
        return;
    rb_buffer_init(&fields, 4096);
    rb_buffer_init(&out, 8192);
    rb_buffer_text(&fields, rb_text_of(opening->fields));
    rb_buffer_string(&fields, "X-Accel-Buffering: no\r\n");
    if (c->bits & CHUNKED)
        rb_buffer_string(&fields, "Transfer-Encoding: chunked\r\n");
    rb_http_head(&out, 200,
                 c->bits & STREAM ? rb_transport_stream.content_type
                                  : rb_transport_sse.content_type,
                 -1, false, rb_server_date(c->server), rb_buffer_view(&fields));
    rb_exchange_take(opening->exchange);
    opening_free(opening);
    if (fields.status != RB_OK)
        out.status = fields.status;
    rb_connection_send_buffer(c, &out);
    rb_buffer_fini(&fields);
    rb_buffer_fini(&out);
    if (!(c->bits & STREAM))
        send_retry(c, RETRY_MS);
    heartbeat_later(c);
}

/* The client has heard its last event before: a browser is told not to come back. */
static void answer_finished(struct rb_connection *c) {
    struct opening *opening = c->work;
    struct rb_exchange *x = opening->exchange;
    rb_connection_unsubscribe_all(c);
    rb_connection_set_role(c, &rb_role_http, x);
    rb_exchange_answer(x, 204, NULL, RB_TEXT(""), rb_text_of(opening->fields));
    opening_free(opening);
}

/* --- the connection --- */

static void ignore_bytes(struct rb_connection *c, char *bytes, size_t len) {
    struct opening *opening = c->work;
    if (opening)
        rb_exchange_ahead(opening->exchange, bytes, len);
}

static void timeout(struct rb_connection *c) {
    if (c->work) {
        send_head(c);
        return;
    }
    if (c->blocked && c->bits & STALLED) {
        rb_connection_doom(c, RB_COUNT_CLOSED_SLOW, "reads nothing");
        return;
    }
    c->bits |= c->blocked ? STALLED : 0;
    if (!c->blocked)
        send_part(c, c->bits & STREAM ? RB_TEXT("\n") : RB_TEXT(":\n\n"));
    heartbeat_later(c);
}

static void took(struct rb_connection *c) { c->bits &= (uint8_t)~STALLED; }

static void drained(struct rb_connection *c) {
    took(c);
    rb_connection_resume(c);
}

/* What a turn of the loop has brought is the last of it, or there was nothing to say. */
static void turn(struct rb_connection *c) {
    bool done = c->bits & UNTIL_DONE && rb_transport_all_marked(c, RB_MARK_DONE);
    if (!c->work && done)
        end(c);
    else if (c->work && done)
        answer_finished(c);
    else if (c->work && rb_transport_all_marked(c, RB_MARK_VERIFIED))
        send_head(c);
}

static void leave(struct rb_connection *c) {
    struct opening *opening = c->work;
    c->work = NULL;
    if (!opening)
        return;
    rb_exchange_detach(opening->exchange);
    opening_free(opening);
}

static void stop(struct rb_connection *c) {
    send_head(c);
    if (!(c->bits & STREAM))
        send_retry(c, RETRY_MS);
    end(c);
}

static void tell(struct rb_connection *c, const char *event, struct rb_text json) {
    struct rb_event_frame frame = {.json = json, .event = rb_text_of(event)};
    struct rb_buffer out;
    rb_buffer_init(&out, 4096);
    if (c->bits & STREAM)
        rb_encode_stream_plain(&out, &frame);
    else
        rb_encode_sse_plain(&out, &frame);
    send_head(c);
    if (out.status == RB_OK)
        send_part(c, rb_buffer_view(&out));
    rb_buffer_fini(&out);
}

/* EventSource comes back, and is told then. */
static void refuse_more(struct rb_connection *c, const char *why) {
    (void)why;
    stop(c);
}

static const struct rb_role sse_role = {.name = "sse",
                                        .gauge = RB_COUNT_CONNECTIONS_SSE,
                                        .bytes = ignore_bytes,
                                        .timeout = timeout,
                                        .took = took,
                                        .drained = drained,
                                        .turn = turn,
                                        .leave = leave,
                                        .stop = stop,
                                        .tell = tell,
                                        .refuse = refuse_more};
static const struct rb_role stream_role = {.name = "stream",
                                           .gauge = RB_COUNT_CONNECTIONS_STREAM,
                                           .bytes = ignore_bytes,
                                           .timeout = timeout,
                                           .took = took,
                                           .drained = drained,
                                           .turn = turn,
                                           .leave = leave,
                                           .stop = stop,
                                           .tell = tell,
                                           .refuse = refuse_more};

/* --- what it hears --- */

static enum rb_encoding encoding_of(const struct rb_connection *c) {
    if (c->bits & STREAM)
        return c->bits & CHUNKED ? RB_ENCODING_STREAM : RB_ENCODING_STREAM_PLAIN;
    return c->bits & CHUNKED ? RB_ENCODING_SSE : RB_ENCODING_SSE_PLAIN;
}

static void deliver(struct rb_subscription *s, struct rb_delivery *delivery) {
    struct rb_connection *c = s->owner;
    bool stream = c->bits & STREAM;
    send_head(c);
    if (rb_transport_push(c, delivery, encoding_of(c)) == RB_TOO_LARGE) {
        rb_connection_doom(c, RB_COUNT_CLOSED_SLOW, "reads too slowly");
        return;
    }
    rb_count(c->server, stream ? RB_COUNT_DELIVERED_STREAM : RB_COUNT_DELIVERED_SSE, 1);
    if (delivery->terminal && c->bits & UNTIL_DONE)
        rb_transport_done(s);
}

static void verified(struct rb_subscription *s, bool finished) {
    struct rb_connection *c = s->owner;
    s->mark |= RB_MARK_VERIFIED;
    if (finished && c->bits & UNTIL_DONE)
        rb_transport_done(s);
    else if (c->work)
        rb_connection_touch(c);
}

static const struct rb_sink sink = {.deliver = deliver,
                                    .verified = verified,
                                    .failed = rb_transport_failed,
                                    .full = rb_transport_full};

static struct opening *opening_new(struct rb_exchange *x) {
    struct opening *opening = calloc(1, sizeof *opening);
    struct rb_buffer *fields = &rb_exchange_server(x)->scratch;
    rb_buffer_clear(fields);
    rb_transport_fields(x, fields);
    char *copy = fields->status == RB_OK ? rb_text_copy(rb_buffer_view(fields)) : NULL;
    if (!opening || !copy) {
        free(opening);
        free(copy);
        return NULL;
    }
    opening->fields = copy;
    return opening;
}

/* Only a client that has a cursor and waits for the end can be at the end already. */
static bool may_be_finished(const struct rb_connection *c, const struct rb_wait *wait) {
    for (size_t i = 0; i < wait->count; i++)
        if (!wait->cursors[i].given)
            return false;
    return wait->until_done && rb_feed_ready(c->server->feed);
}

static void begin_as(struct rb_exchange *x, const struct rb_wait *wait, bool stream) {
    struct rb_connection *c = rb_exchange_waiter(x);
    struct opening *opening = c ? opening_new(x) : NULL;
    if (!opening) {
        rb_exchange_problem(x, 503, "Out of memory.", RB_TEXT(""));
        return;
    }
    unsigned chunked = rb_exchange_request(x)->minor > 0 ? CHUNKED : 0;
    opening->exchange = rb_exchange_hold(x);
    rb_exchange_drop_request(x);
    rb_connection_set_role(c, stream ? &stream_role : &sse_role, opening);
    c->bits =
        (uint8_t)(chunked | (stream ? STREAM : 0) | (wait->until_done ? UNTIL_DONE : 0));
    if (may_be_finished(c, wait))
        rb_connection_timer(c, VERIFY_MS);
    else
        send_head(c);
    rb_transport_subscribe(c, wait, &sink);
}

static void begin_sse(struct rb_exchange *x, const struct rb_wait *wait) {
    begin_as(x, wait, false);
}

static void begin_stream(struct rb_exchange *x, const struct rb_wait *wait) {
    begin_as(x, wait, true);
}

const struct rb_transport rb_transport_sse = {
    .name = "sse", .content_type = "text/event-stream", .begin = begin_sse};
const struct rb_transport rb_transport_stream = {
    .name = "stream", .content_type = "application/x-ndjson", .begin = begin_stream};
