/* Writing JSON values so that numbers come out as people write them: jansson's own writer
 * makes 0.1 into 0.10000000000000001. */
#ifndef RB_JOBS_JSON_WRITE_H
#define RB_JOBS_JSON_WRITE_H

#include <jansson.h>

#include "config/buffer.h"

/* Compact, members in their order. Recursive: the value must be at most as deep as
 * jansson reads (2048). */
void rb_json_write(struct rb_buffer *out, const json_t *value);

/* An integer, or a real with the fewest digits that read back as the same value, and
 * always with a point or an exponent, so that it stays a real. */
void rb_json_write_number(struct rb_buffer *out, const json_t *number);

#endif
