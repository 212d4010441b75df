/* Compressed WebSocket messages, permessage-deflate (RFC 7692). Every message is
 * compressed by itself, in both directions: no connection keeps a window, one deflater
 * and one inflater serve the whole process, and a message compressed once is right for
 * every client. A client that takes a small window only gets what fits into it: no
 * distance is longer than the message. */
#ifndef RB_NOTIFIER_DEFLATE_H
#define RB_NOTIFIER_DEFLATE_H

#include <stdbool.h>

#include "config/buffer.h"
#include "config/status.h"
#include "notifier/http_request.h"
#include "notifier/websocket.h"

/* --- the offer (deflate_offer.c) --- */

/* What was agreed on. A plain value. */
struct rb_deflate_terms {
    unsigned window; /* bits of the window that the client takes, 8 to 15; 0: declined */
    bool named;      /* it asked for that window, and is told */
};

/* Reads Sec-WebSocket-Extensions and takes the first offer that can be met. An offer with
 * a parameter that is unknown, stands twice, or has a value that it may not have is
 * declined (RFC 7692 §7). */
struct rb_deflate_terms rb_deflate_choose(const struct rb_http_request *request);
/* The same for one list; so that it can be tested alone. */
struct rb_deflate_terms rb_deflate_choose_of(struct rb_text offers);
/* "Sec-WebSocket-Extensions: …" with its CRLF; nothing when declined. */
void rb_deflate_answer(struct rb_deflate_terms terms, struct rb_buffer *fields);

/* --- messages --- */

#define RB_DEFLATE_MIN 256 /* bytes: below, little is won */

struct rb_deflate;
struct rb_deflate *rb_deflate_new(void);          /* NULL when out of memory */
void rb_deflate_free(struct rb_deflate *deflate); /* NULL is legal */

/* Is this message worth compressing for a client with this window (0: none)? */
bool rb_deflate_suits(unsigned window, size_t len);

/* Appends the message as one frame: compressed, or as it is where that is not longer or
 * no memory is to be had. Failures of `out` stick in it. */
void rb_deflate_frame(struct rb_deflate *deflate, struct rb_buffer *out,
                      enum rb_ws_opcode opcode, struct rb_text message);

/* What a compressed message says; borrowed until the next call. Never grows beyond
 * max_message. RB_INVALID: not DEFLATE, or cut off; RB_TOO_LARGE; RB_NOMEM. */
RB_MUST_CHECK enum rb_status rb_deflate_restore(struct rb_deflate *deflate,
                                                struct rb_text packed, size_t max_message,
                                                struct rb_text *message);

#endif
