/* Commands as Redis reads them. */
#include "jobs/redis_command.h"

/* Most counts have one digit or two. */
static char *put_digits(char *to, size_t count) {
    char digits[RB_REDIS_DIGITS];
    size_t at = sizeof digits;
    for (; count >= 100; count /= 10)
        digits[--at] = (char)('0' + count % 10);
    if (count >= 10)
        *to++ = (char)('0' + count / 10);
    *to++ = (char)('0' + count % 10);
    while (at < sizeof digits)
        *to++ = digits[at++];
    return to;
}

static char *put_end(char *to) {
    to[0] = '\r';
    to[1] = '\n';
    return to + 2;
}

static char *put_count(char *to, char mark, size_t count) {
    *to++ = mark;
    return put_end(put_digits(to, count));
}

char *rb_redis_put_array(char *to, size_t count) { return put_count(to, '*', count); }

char *rb_redis_put_bulk(char *to, struct rb_text text) {
    to = put_count(to, '$', text.len);
    if (text.len > 0)
        memcpy(to, text.at, text.len);
    return put_end(to + text.len);
}

char *rb_redis_put_number(char *to, size_t number) {
    char digits[RB_REDIS_DIGITS];
    return rb_redis_put_bulk(
        to, rb_text(digits, (size_t)(put_digits(digits, number) - digits)));
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
