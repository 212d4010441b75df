/* The WebSocket codec: the same bytes must mean the same, however they are cut. */
#include <stdint.h>
#include <stdlib.h>

#include "config/buffer.h"
#include "notifier/websocket.h"

#define MAX_MESSAGE 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct heard {
    struct rb_buffer log;
    bool closed;
};

static bool note(struct heard *h, char what, struct rb_text data) {
    rb_buffer_printf(&h->log, "%c%zu:", what, data.len);
    rb_buffer_text(&h->log, data);
    return true;
}

static bool on_message(void *ctx, enum rb_ws_opcode opcode, struct rb_text data) {
    if (data.len > MAX_MESSAGE || (opcode == RB_WS_TEXT && !rb_text_utf8(data)))
        abort();
    return note(ctx, opcode == RB_WS_TEXT ? 't' : 'b', data);
}

static bool on_ping(void *ctx, struct rb_text data) { return note(ctx, 'i', data); }

static bool on_pong(void *ctx, struct rb_text data) { return note(ctx, 'o', data); }

static bool on_close(void *ctx, uint16_t code, struct rb_text reason) {
    struct heard *h = ctx;
    if (code < 1000 || code > 4999 || !rb_text_utf8(reason))
        abort();
    h->closed = true;
    rb_buffer_printf(&h->log, "%u", code);
    return note(h, 'c', reason);
}

/* cuts: sizes of the pieces, used around and around. */
static uint16_t hear(struct heard *h, const uint8_t *data, size_t size,
                     const uint8_t *cuts, size_t cut_count) {
    static const struct rb_ws_events events = {.on_message = on_message,
                                               .on_ping = on_ping,
                                               .on_pong = on_pong,
                                               .on_close = on_close};
    struct rb_ws_state *state = NULL;
    enum rb_status status = RB_OK;
    uint16_t code = 0;
    rb_buffer_init(&h->log, (size_t)1 << 24);
    h->closed = false;
    for (size_t at = 0, i = 0; at < size && status == RB_OK && !h->closed; i++) {
        size_t n = cut_count > 0 ? (size_t)cuts[i % cut_count] + 1 : size;
        n = n < size - at ? n : size - at;
        char *bytes = malloc(n);
        if (!bytes)
            abort();
        memcpy(bytes, data + at, n);
        status = rb_ws_feed(&state, bytes, n, MAX_MESSAGE, &events, h, &code);
        free(bytes);
        at += n;
    }
    rb_ws_state_free(state);
    return status == RB_OK ? 0 : code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct heard whole, pieces;
    size_t cuts = size > 0 ? data[0] % 8u : 0;
    if (size < 1 + cuts)
        return 0;
    const uint8_t *wire = data + 1 + cuts;
    size_t len = size - 1 - cuts;
    uint16_t code = hear(&whole, wire, len, NULL, 0);
    if (hear(&pieces, wire, len, data + 1, cuts) != code ||
        !rb_text_equal(rb_buffer_view(&whole.log), rb_buffer_view(&pieces.log)))
        abort();
    rb_buffer_fini(&whole.log);
    rb_buffer_fini(&pieces.log);
    return 0;
}
