/* What the ways of waiting have in common. */
#include "notifier/transport.h"

#include <assert.h>

#include "notifier/admit.h"
#include "notifier/receipt.h"

const struct rb_transport *rb_transport_of(enum rb_transport_kind kind) {
    static const struct rb_transport *const transports[] = {
        [RB_TRANSPORT_WEBSOCKET] = &rb_transport_websocket,
        [RB_TRANSPORT_SSE] = &rb_transport_sse,
        [RB_TRANSPORT_POLL] = &rb_transport_poll,
        [RB_TRANSPORT_STREAM] = &rb_transport_stream,
    };
    static_assert(sizeof transports / sizeof transports[0] == RB_TRANSPORTS,
                  "each kind has its transport");
    return transports[kind];
}

/* All are added before the first may hear: what it is told carries the cursor of all. */
bool rb_transport_subscribe(struct rb_connection *c, const struct rb_wait *wait,
                            const struct rb_sink *sink) {
    bool good = true;
    for (size_t i = 0; i < wait->count && good; i++)
        good = rb_connection_add(c, wait->cursors[i], sink) != NULL;
    struct rb_subscription *s = c->subscriptions;
    for (size_t i = 0; i < wait->count && good && !c->doomed && !c->closing; i++) {
        good = rb_channel_subscribe(c->server->channels, rb_text_of(wait->channels[i]),
                                    wait->cursors[i], s) == RB_OK;
        if (good && !c->doomed && !c->closing)
            s = s->sibling;
    }
    if (!good)
        rb_connection_doom(c, RB_COUNT_CLOSED_MEMORY, "out of memory");
    return !c->doomed && !c->closing;
}

void rb_transport_failed(struct rb_subscription *subscription) {
    rb_connection_doom(subscription->owner, RB_COUNT_CLOSED_MEMORY, "out of memory");
}

bool rb_transport_full(const struct rb_subscription *subscription) {
    struct rb_connection *c = subscription->owner;
    if (rb_connection_full(c))
        rb_connection_relieve(c);
    bool full = rb_connection_full(c) && !c->doomed;
    c->held_back = c->held_back || full;
    return full;
}

bool rb_transport_all_marked(const struct rb_connection *c, unsigned mark) {
    for (const struct rb_subscription *s = c->subscriptions; s; s = s->sibling)
        if (!(s->mark & mark))
            return false;
    return true;
}

void rb_transport_done(struct rb_subscription *subscription) {
    subscription->mark |= RB_MARK_DONE;
    rb_channel_unsubscribe(subscription);
    rb_connection_touch(subscription->owner);
}

void rb_transport_cursor(const struct rb_connection *c, struct rb_buffer *out) {
    struct rb_cursor cursors[RB_WAIT_CHANNELS];
    size_t count = 0;
    for (const struct rb_subscription *s = c->subscriptions;
         s && count < RB_WAIT_CHANNELS; s = s->sibling)
        cursors[count++] = rb_subscription_cursor(s);
    rb_cursor_write(cursors, count, out);
}

void rb_transport_fields(const struct rb_exchange *x, struct rb_buffer *fields) {
    rb_buffer_string(fields, "Cache-Control: no-store\r\n");
    rb_admit_cors(&rb_exchange_server(x)->settings->notifier.origins,
                  rb_exchange_request(x), fields);
}

static void (*const encoders[])(struct rb_buffer *, const struct rb_event_frame *) = {
    [RB_ENCODING_WEBSOCKET] = rb_encode_websocket,
    [RB_ENCODING_WEBSOCKET_PACKED] = rb_encode_websocket_packed,
    [RB_ENCODING_SSE] = rb_encode_sse,
    [RB_ENCODING_SSE_PLAIN] = rb_encode_sse_plain,
    [RB_ENCODING_STREAM] = rb_encode_stream,
    [RB_ENCODING_STREAM_PLAIN] = rb_encode_stream_plain,
    [RB_ENCODING_POLL] = rb_encode_poll_event,
};
static_assert(sizeof encoders / sizeof encoders[0] == RB_ENCODINGS,
              "each encoding has its encoder");

static struct rb_bytes *encode(struct rb_connection *c,
                               const struct rb_delivery *delivery,
                               enum rb_encoding encoding) {
    char cursor_bytes[RB_WAIT_CHANNELS * (RB_STREAM_ID_MAX + 1)];
    struct rb_buffer cursor, *out = &c->server->scratch;
    struct rb_event_frame frame = {.json = delivery->json,
                                   .event = delivery->event,
                                   .has_id = delivery->kind != RB_DELIVERY_RAW,
                                   .deflate = c->server->deflate};
    struct rb_bytes *bytes = NULL;
    bool sse = encoding == RB_ENCODING_SSE || encoding == RB_ENCODING_SSE_PLAIN;
    rb_buffer_init(&cursor, sizeof cursor_bytes);
    if (sse && frame.has_id)
        rb_transport_cursor(c, &cursor);
    frame.cursor = rb_buffer_view(&cursor);
    rb_buffer_clear(out);
    encoders[encoding](out, &frame);
    if (out->status == RB_OK && cursor.status == RB_OK)
        bytes = rb_bytes_new(rb_buffer_view(out));
    rb_buffer_fini(&cursor);
    return bytes;
}

/* An SSE client of several channels has a cursor of its own in each event. */
static bool is_shared(const struct rb_connection *c, enum rb_encoding encoding) {
    bool sse = encoding == RB_ENCODING_SSE || encoding == RB_ENCODING_SSE_PLAIN;
    return !sse || !c->subscriptions->sibling;
}

static struct rb_bytes *encode_for(struct rb_connection *c, struct rb_delivery *delivery,
                                   enum rb_encoding encoding) {
    struct rb_bytes *bytes = encode(c, delivery, encoding);
    if (!bytes)
        return NULL;
    c->server->gathered += bytes->len;
    bytes->receipt = rb_receipt_ref(rb_receipt_of(c->server->receipts, delivery));
    return bytes;
}

struct rb_bytes *rb_transport_encoded(struct rb_connection *c,
                                      struct rb_delivery *delivery,
                                      enum rb_encoding encoding) {
    struct rb_bytes **shared = &delivery->encoded[encoding];
    if (!*shared)
        *shared = encode_for(c, delivery, encoding);
    return *shared;
}

enum rb_status rb_transport_push(struct rb_connection *c, struct rb_delivery *delivery,
                                 enum rb_encoding encoding) {
    bool shared = is_shared(c, encoding);
    struct rb_bytes *bytes = shared ? rb_transport_encoded(c, delivery, encoding)
                                    : encode_for(c, delivery, encoding);
    enum rb_status status = bytes ? rb_connection_push(c, bytes) : RB_NOMEM;
    if (!shared)
        rb_bytes_unref(bytes);
    if (status == RB_NOMEM)
        rb_connection_doom(c, RB_COUNT_CLOSED_MEMORY, "out of memory");
    return status;
}
