/* Bytes on their way to Redis. */
#include "jobs/redis_output.h"

#include <errno.h>
#include <sys/socket.h>

#define KEPT_BYTES (256 * 1024) /* a buffer that grew beyond is given back when empty */

void rb_redis_output_init(struct rb_redis_output *out, size_t max) {
    rb_buffer_init(&out->bytes, max);
    out->written = 0;
}

void rb_redis_output_fini(struct rb_redis_output *out) {
    rb_buffer_fini(&out->bytes);
    out->written = 0;
}

/* What is written stays at the front until that is worth moving the rest. */
void rb_redis_output_drop(struct rb_redis_output *out, size_t len) {
    out->written += len;
    size_t left = rb_redis_output_left(out);
    if (left > 0 && out->written <= out->bytes.len / 2)
        return;
    if (left > 0)
        rb_buffer_consume(&out->bytes, out->written);
    else if (out->bytes.room > KEPT_BYTES)
        rb_buffer_fini(&out->bytes);
    else
        rb_buffer_clear(&out->bytes);
    out->written = 0;
}

int rb_redis_output_write(struct rb_redis_output *out, int fd) {
    int error = 0;
    while (rb_redis_output_left(out) > 0 && error == 0) {
        ssize_t n = send(fd, out->bytes.at + out->written, rb_redis_output_left(out),
                         MSG_NOSIGNAL);
        if (n >= 0)
            out->written += (size_t)n;
        else if (errno != EINTR)
            error = errno;
    }
    rb_redis_output_drop(out, 0);
    return error;
}
