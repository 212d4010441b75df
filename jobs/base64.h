/* Base 64 (RFC 4648 §4), with padding. */
#ifndef RB_JOBS_BASE64_H
#define RB_JOBS_BASE64_H

#include "config/buffer.h"

void rb_base64(struct rb_buffer *out, struct rb_text bytes);

#endif
