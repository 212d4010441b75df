/* WebSocket framing, server side (RFC 6455): bytes in, messages out, no socket inside.
 *
 * A connection that is not inside a frame or a message costs nothing here: the state is a
 * pointer that is NULL then. */
#ifndef RB_NOTIFIER_WEBSOCKET_H
#define RB_NOTIFIER_WEBSOCKET_H

#include <stdbool.h>
#include <stdint.h>

#include "config/buffer.h"
#include "config/status.h"
#include "config/text.h"

enum rb_ws_opcode {
    RB_WS_CONTINUATION = 0x0,
    RB_WS_TEXT = 0x1,
    RB_WS_BINARY = 0x2,
    RB_WS_CLOSE = 0x8,
    RB_WS_PING = 0x9,
    RB_WS_PONG = 0xa
};

/* Close codes that we send (RFC 6455 §7.4.1 and the IANA registry). */
enum rb_ws_close {
    RB_WS_NORMAL = 1000,
    RB_WS_GOING_AWAY = 1001,
    RB_WS_PROTOCOL_ERROR = 1002,
    RB_WS_UNSUPPORTED_DATA = 1003,
    RB_WS_NO_STATUS = 1005, /* in on_close: the frame had no code; never sent */
    RB_WS_INVALID_DATA = 1007,
    RB_WS_POLICY = 1008,
    RB_WS_TOO_BIG = 1009,
    RB_WS_INTERNAL = 1011,
    RB_WS_TRY_AGAIN = 1013
};

struct rb_ws_state; /* a partly received frame or message */

/* Borrowed bytes. A callback returns false to stop the feeding (the connection is
 * doomed). */
struct rb_ws_events {
    bool (*on_message)(void *ctx, enum rb_ws_opcode opcode, struct rb_text data);
    bool (*on_ping)(void *ctx, struct rb_text data);
    bool (*on_pong)(void *ctx, struct rb_text data);
    bool (*on_close)(void *ctx, uint16_t code, struct rb_text reason);
    /* What a compressed message says (RFC 7692), at most max_message bytes: borrowed
     * until the next call. RB_INVALID, RB_TOO_LARGE or RB_NOMEM. NULL: compression was
     * not agreed on, and such a message breaks the protocol. */
    enum rb_status (*restore)(void *ctx, struct rb_text packed, struct rb_text *data);
    /* A frame begins: its header is whole and legal. NULL: nobody counts them. */
    bool (*on_frame)(void *ctx, enum rb_ws_opcode opcode);
};

/* Feeds bytes (unmasked in place). RB_OK: all taken, or a callback stopped it, or a close
 * frame came (nothing after it is looked at). RB_INVALID, RB_TOO_LARGE or RB_NOMEM:
 * *close_code says with which code to fail the connection. max_message bounds a whole
 * message; memory held grows with what was received, never with what a header announces.
 */
RB_MUST_CHECK enum rb_status rb_ws_feed(struct rb_ws_state **state, char *bytes,
                                        size_t len, size_t max_message,
                                        const struct rb_ws_events *events, void *ctx,
                                        uint16_t *close_code);
void rb_ws_state_free(struct rb_ws_state *state);

/* The header of an unfragmented, unmasked frame; returns its length, 2, 4 or 10. */
#define RB_WS_HEADER_MAX 10
size_t rb_ws_header(char out[RB_WS_HEADER_MAX], enum rb_ws_opcode opcode, uint64_t len);

/* Appends a whole frame; the payload of control frames is cut at 125 bytes (a reason at a
 * character's end). */
void rb_ws_frame(struct rb_buffer *out, enum rb_ws_opcode opcode, struct rb_text payload);
/* The same for a compressed payload: RSV1 tells (RFC 7692 §6). */
void rb_ws_compressed_frame(struct rb_buffer *out, enum rb_ws_opcode opcode,
                            struct rb_text payload);
void rb_ws_close_frame(struct rb_buffer *out, uint16_t code, struct rb_text reason);

/* SHA-1, looked up in libcrypto once: that takes longer than the digest of a key. NULL
 * when out of memory. */
struct rb_ws_hash;
struct rb_ws_hash *rb_ws_hash_new(void);
void rb_ws_hash_free(struct rb_ws_hash *hash);

/* Sec-WebSocket-Accept for a Sec-WebSocket-Key (RFC 6455 §4.2.2). RB_INVALID when the key
 * is not 16 bytes in base64; RB_NOMEM. */
#define RB_WS_ACCEPT_LEN 28
RB_MUST_CHECK enum rb_status rb_ws_accept_key(struct rb_ws_hash *hash, struct rb_text key,
                                              char out[RB_WS_ACCEPT_LEN + 1]);

#endif
