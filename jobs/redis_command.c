/* Commands as Redis reads them. */
#include "jobs/redis_command.h"

static char *put_count(char *to, char mark, size_t count) {
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + count % 10);
        count /= 10;
    } while (count > 0);
    *to++ = mark;
    memcpy(to, digits + at, sizeof digits - at);
    to += sizeof digits - at;
    *to++ = '\r';
    *to++ = '\n';
    return to;
}

char *rb_redis_put_array(char *to, size_t count) { return put_count(to, '*', count); }

char *rb_redis_put_bulk(char *to, struct rb_text text) {
    to = put_count(to, '$', text.len);
    if (text.len > 0)
        memcpy(to, text.at, text.len);
    to += text.len;
    *to++ = '\r';
    *to++ = '\n';
    return to;
}

char *rb_redis_reserve(struct rb_buffer *out, size_t len, enum rb_status *status) {
    char *to = rb_buffer_reserve(out, len);
    *status = out->status;
    out->status = RB_OK;
    return to;
}

enum rb_status rb_redis_command_add(struct rb_buffer *out, size_t argc,
                                    const struct rb_text *argv) {
    enum rb_status status;
    size_t bytes = RB_REDIS_FRAME;
    for (size_t i = 0; i < argc; i++)
        bytes += RB_REDIS_FRAME + argv[i].len;
    char *start = rb_redis_reserve(out, bytes, &status);
    if (!start)
        return status;
    char *to = rb_redis_put_array(start, argc);
    for (size_t i = 0; i < argc; i++)
        to = rb_redis_put_bulk(to, argv[i]);
    rb_buffer_commit(out, (size_t)(to - start));
    return RB_OK;
}
