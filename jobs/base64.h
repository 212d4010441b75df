/* Base 64 (RFC 4648): with padding (§4), and the URL alphabet without it (§5) that JOSE
 * writes. */
#ifndef RB_JOBS_BASE64_H
#define RB_JOBS_BASE64_H

#include "config/buffer.h"

void rb_base64(struct rb_buffer *out, struct rb_text bytes);

void rb_base64url(struct rb_buffer *out, struct rb_text bytes);
/* Strict, so that one value has one spelling: no padding, no blanks, no bits behind the
 * last byte. RB_INVALID, or the buffer's RB_NOMEM or RB_TOO_LARGE; adds nothing then. */
RB_MUST_CHECK enum rb_status rb_base64url_read(struct rb_text text,
                                               struct rb_buffer *out);

#endif
