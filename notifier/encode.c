/* The bytes of events on each transport. */
#include "notifier/encode.h"

#include <stdlib.h>
#include <string.h>

#include "jobs/json_scan.h"
#include "jobs/name.h"
#include "notifier/deflate.h"
#include "notifier/http_response.h"
#include "notifier/receipt.h"
#include "notifier/websocket.h"

#define BESIDE 256 /* bytes of an event's frame beside its JSON, as a rule */

struct rb_bytes *rb_bytes_new(struct rb_text text) {
    if (text.len > UINT32_MAX - sizeof(struct rb_bytes))
        return NULL;
    struct rb_bytes *bytes = malloc(sizeof *bytes + text.len);
    if (!bytes)
        return NULL;
    bytes->receipt = NULL;
    bytes->refs = 1;
    bytes->len = (uint32_t)text.len;
    if (text.len > 0)
        memcpy(bytes->at, text.at, text.len);
    return bytes;
}

struct rb_bytes *rb_bytes_ref(struct rb_bytes *bytes) {
    bytes->refs++;
    return bytes;
}

void rb_bytes_unref(struct rb_bytes *bytes) {
    if (!bytes || --bytes->refs > 0)
        return;
    rb_receipt_unref(bytes->receipt);
    free(bytes);
}

static enum rb_ws_opcode opcode_of(struct rb_text payload) {
    return rb_text_utf8(payload) ? RB_WS_TEXT : RB_WS_BINARY;
}

void rb_encode_websocket(struct rb_buffer *out, const struct rb_event_frame *frame) {
    rb_ws_frame(out, opcode_of(frame->json), frame->json);
}

void rb_encode_websocket_packed(struct rb_buffer *out,
                                const struct rb_event_frame *frame) {
    rb_deflate_frame(frame->deflate, out, opcode_of(frame->json), frame->json);
}

static size_t length_to(struct rb_text text, char c) {
    const char *at = text.len > 0 ? memchr(text.at, c, text.len) : NULL;
    return at ? (size_t)(at - text.at) : text.len;
}

/* Payloads without a carriage return, almost all, are looked through by memchr(3). */
static size_t line_length(struct rb_text text, bool returns) {
    size_t len = 0;
    if (!returns)
        return length_to(text, '\n');
    while (len < text.len && text.at[len] != '\r' && text.at[len] != '\n')
        len++;
    return len;
}

static bool has_returns(struct rb_text text) { return length_to(text, '\r') < text.len; }

void rb_encode_sse_plain(struct rb_buffer *out, const struct rb_event_frame *frame) {
    struct rb_text rest = frame->json;
    bool returns = has_returns(rest);
    if (frame->has_id) {
        rb_buffer_string(out, "id: ");
        rb_buffer_text(out, frame->cursor);
        rb_buffer_char(out, '\n');
    }
    /* A name of somebody else's making must not begin a line of its own. */
    rb_buffer_string(out, "event: ");
    rb_buffer_text(out,
                   rb_name_is_event(frame->event) ? frame->event : RB_TEXT("message"));
    for (;;) {
        size_t len = line_length(rest, returns);
        rb_buffer_string(out, "\ndata: ");
        rb_buffer_text(out, rb_text(rest.at, len));
        if (len == rest.len)
            break;
        bool pair =
            rest.at[len] == '\r' && len + 1 < rest.len && rest.at[len + 1] == '\n';
        len += pair ? 2 : 1;
        rest = rb_text(rest.at + len, rest.len - len);
    }
    rb_buffer_string(out, "\n\n");
}

void rb_encode_stream_plain(struct rb_buffer *out, const struct rb_event_frame *frame) {
    bool one_line =
        !has_returns(frame->json) && length_to(frame->json, '\n') == frame->json.len;
    /* Our own events are JSON already; what others published is looked at. */
    bool json = (frame->has_id && one_line) || rb_json_check(frame->json, NULL) == RB_OK;
    if (json && one_line)
        rb_buffer_text(out, frame->json);
    else if (json)
        rb_json_line(out, frame->json);
    else
        rb_buffer_json(out, frame->json);
    rb_buffer_char(out, '\n');
}

/* The length of a chunk stands before it: it is written aside first. */
static void as_chunk(struct rb_buffer *out, const struct rb_event_frame *frame,
                     void (*encode)(struct rb_buffer *, const struct rb_event_frame *)) {
    struct rb_buffer plain;
    rb_buffer_init(&plain, out->limit);
    /* In one piece, as a rule. */
    (void)rb_buffer_reserve(&plain, frame->json.len + BESIDE);
    encode(&plain, frame);
    if (plain.status == RB_OK)
        rb_http_chunk(out, rb_buffer_view(&plain));
    else if (out->status == RB_OK)
        out->status = plain.status;
    rb_buffer_fini(&plain);
}

void rb_encode_sse(struct rb_buffer *out, const struct rb_event_frame *frame) {
    as_chunk(out, frame, rb_encode_sse_plain);
}

void rb_encode_stream(struct rb_buffer *out, const struct rb_event_frame *frame) {
    as_chunk(out, frame, rb_encode_stream_plain);
}

/* JSON is not quite JavaScript: U+2028 and U+2029 end a line in scripts of before 2019.
 * They can only stand within strings, where their escapes mean the same. */
static void add_script_json(struct rb_buffer *out, struct rb_text json) {
    size_t from = 0;
    for (size_t i = 0; i + 2 < json.len; i++) {
        if (memcmp(json.at + i, "\xe2\x80\xa8", 3) != 0 &&
            memcmp(json.at + i, "\xe2\x80\xa9", 3) != 0)
            continue;
        rb_buffer_add(out, json.at + from, i - from);
        rb_buffer_string(out, json.at[i + 2] == '\xa8' ? "\\u2028" : "\\u2029");
        i += 2;
        from = i + 1;
    }
    if (from < json.len)
        rb_buffer_add(out, json.at + from, json.len - from);
}

void rb_encode_poll(struct rb_buffer *out, struct rb_text events_json,
                    struct rb_text cursor, const char *callback) {
    bool script = callback && callback[0] != '\0';
    if (script) {
        /* The comment keeps an answer from beginning with bytes of the asker's choice,
         * which a plugin could take for a file of its own format. */
        rb_buffer_string(out, "/**/");
        rb_buffer_string(out, callback);
        rb_buffer_char(out, '(');
    }
    rb_buffer_string(out, "{\"events\":[");
    if (script)
        add_script_json(out, events_json);
    else
        rb_buffer_text(out, events_json);
    rb_buffer_string(out, "],\"cursor\":\"");
    rb_buffer_text(out, cursor); /* ids: nothing that JSON escapes */
    rb_buffer_string(out, script ? "\"});" : "\"}");
}

void rb_encode_raw_json(struct rb_buffer *out, struct rb_text payload) {
    if (rb_json_check(payload, NULL) == RB_OK)
        rb_buffer_text(out, payload);
    else
        rb_buffer_json(out, payload);
}

void rb_encode_poll_event(struct rb_buffer *out, const struct rb_event_frame *frame) {
    if (frame->has_id)
        rb_buffer_text(out, frame->json);
    else
        rb_encode_raw_json(out, frame->json);
}
