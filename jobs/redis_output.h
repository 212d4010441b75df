/* Bytes on their way to Redis: added at the end, written from the front. */
#ifndef RB_JOBS_REDIS_OUTPUT_H
#define RB_JOBS_REDIS_OUTPUT_H

#include <stddef.h>

#include "config/buffer.h"

struct rb_redis_output {
    struct rb_buffer bytes; /* to add to; nothing else may be done to it */
    size_t written;         /* of them */
};

/* More than max bytes are never held. */
void rb_redis_output_init(struct rb_redis_output *out, size_t max);
/* Drops what is not written; it may be added to again. */
void rb_redis_output_fini(struct rb_redis_output *out);

static inline size_t rb_redis_output_left(const struct rb_redis_output *out) {
    return out->bytes.len - out->written;
}

/* Drops so many of the bytes that are left, from the front. */
void rb_redis_output_drop(struct rb_redis_output *out, size_t len);

/* Writes what the socket takes. 0 when that was all, else errno: EAGAIN when it takes no
 * more for now. */
int rb_redis_output_write(struct rb_redis_output *out, int fd);

#endif
