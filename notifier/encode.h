/* An event's bytes on each transport: encoded once, shared by every client that gets
 * them. */
#ifndef RB_NOTIFIER_ENCODE_H
#define RB_NOTIFIER_ENCODE_H

#include <stdbool.h>
#include <stdint.h>

#include "config/buffer.h"
#include "jobs/stream_id.h"

struct rb_receipt;

/* Shared, refcounted, immutable bytes. One allocation. */
struct rb_bytes {
    struct rb_receipt *receipt; /* of what is in them, see receipt.h; NULL: none */
    uint32_t refs;
    uint32_t len;
    char at[];
};
struct rb_bytes *
rb_bytes_new(struct rb_text text); /* refs = 1; NULL when out of memory */
struct rb_bytes *rb_bytes_ref(struct rb_bytes *bytes);
void rb_bytes_unref(struct rb_bytes *bytes); /* NULL is legal */

/* One event as it is handed to a transport. json is whole, with its id (or raw bytes of
 * an app's own PUBLISH: has_id false, delivered as they are, never part of a cursor). */
struct rb_deflate;
struct rb_event_frame {
    struct rb_text json;
    struct rb_text event; /* its name, "message" for raw */
    bool has_id;
    struct rb_text cursor;      /* what `id:` says in SSE: one id, or joined ids */
    struct rb_deflate *deflate; /* for the compressed encoding alone */
};

/* WebSocket: one text frame (binary when the bytes are not UTF-8). */
void rb_encode_websocket(struct rb_buffer *out, const struct rb_event_frame *frame);
/* The same as a compressed message where that is shorter (RFC 7692). */
void rb_encode_websocket_packed(struct rb_buffer *out,
                                const struct rb_event_frame *frame);
/* SSE (WHATWG HTML, server-sent events): id, event, data; CR, LF and CRLF in data each
 * start a new data line. As one chunk of a chunked body. */
void rb_encode_sse(struct rb_buffer *out, const struct rb_event_frame *frame);
/* NDJSON: one line, as one chunk. Raw bytes that are not one-line JSON become a JSON
 * string. */
void rb_encode_stream(struct rb_buffer *out, const struct rb_event_frame *frame);
/* Both without the chunk around, for HTTP/1.0. */
void rb_encode_sse_plain(struct rb_buffer *out, const struct rb_event_frame *frame);
void rb_encode_stream_plain(struct rb_buffer *out, const struct rb_event_frame *frame);
/* Long-poll: the event alone, as one of those that rb_encode_poll is given. */
void rb_encode_poll_event(struct rb_buffer *out, const struct rb_event_frame *frame);
/* Long-poll and JSONP bodies: {"events":[…],"cursor":"…"}; events_json are the members of
 * the array joined by commas. JSONP is guarded: a comment, then f({…}); and U+2028/9 are
 * escaped. */
void rb_encode_poll(struct rb_buffer *out, struct rb_text events_json,
                    struct rb_text cursor, const char *callback);
/* A raw payload as a JSON value for the poll's array: itself when it is JSON, else a
 * string. */
void rb_encode_raw_json(struct rb_buffer *out, struct rb_text payload);

#endif
