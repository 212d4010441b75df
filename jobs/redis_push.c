/* What Redis says on a connection that is subscribed. */
#include "jobs/redis_push.h"

#include <stdbool.h>
#include <string.h>

/* A line without its CRLF; *rest goes on behind it. */
static enum rb_redis_push_step take_line(struct rb_text *rest, struct rb_text *line) {
    const char *end = rest->len > 0 ? memchr(rest->at, '\r', rest->len) : NULL;
    size_t len = end ? (size_t)(end - rest->at) : rest->len;
    if (len > RB_REDIS_PUSH_LINE_MAX)
        return RB_REDIS_PUSH_BAD;
    if (rest->len < len + 2)
        return RB_REDIS_PUSH_MORE;
    if (rest->at[len + 1] != '\n')
        return RB_REDIS_PUSH_BAD;
    *line = rb_text(rest->at, len);
    *rest = rb_text(rest->at + len + 2, rest->len - len - 2);
    return RB_REDIS_PUSH_WHOLE;
}

static bool read_length(struct rb_text digits, size_t most, size_t *length) {
    *length = 0;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.at[i] < '0' || digits.at[i] > '9')
            return false;
        *length = *length * 10 + (size_t)(digits.at[i] - '0');
        if (*length > most)
            return false;
    }
    return digits.len > 0;
}

static bool is_integer(struct rb_text line) {
    size_t sign = line.len > 0 && line.at[0] == '-';
    for (size_t i = sign; i < line.len; i++)
        if (line.at[i] < '0' || line.at[i] > '9')
            return false;
    return line.len > sign;
}

static enum rb_redis_push_step take_bulk(struct rb_text *rest, struct rb_text digits,
                                         struct rb_text *part) {
    size_t len;
    if (rb_text_is(digits, "-1"))
        return RB_REDIS_PUSH_WHOLE;
    if (!read_length(digits, RB_REDIS_PUSH_BULK_MAX, &len))
        return RB_REDIS_PUSH_BAD;
    if (rest->len < len + 2)
        return RB_REDIS_PUSH_MORE;
    if (rest->at[len] != '\r' || rest->at[len + 1] != '\n')
        return RB_REDIS_PUSH_BAD;
    *part = rb_text(rest->at, len);
    *rest = rb_text(rest->at + len + 2, rest->len - len - 2);
    return RB_REDIS_PUSH_WHOLE;
}

static enum rb_redis_push_step take_part(struct rb_text *rest, struct rb_text *part) {
    struct rb_text line;
    enum rb_redis_push_step step = take_line(rest, &line);
    if (step != RB_REDIS_PUSH_WHOLE)
        return step;
    if (line.len == 0)
        return RB_REDIS_PUSH_BAD;
    struct rb_text said = rb_text(line.at + 1, line.len - 1);
    *part = rb_text(NULL, 0);
    if (line.at[0] == '$')
        return take_bulk(rest, said, part);
    return line.at[0] == ':' && is_integer(said) ? RB_REDIS_PUSH_WHOLE
                                                 : RB_REDIS_PUSH_BAD;
}

static enum rb_redis_push_step take_array(struct rb_text *rest, struct rb_text digits,
                                          struct rb_redis_push *push) {
    enum rb_redis_push_step step = RB_REDIS_PUSH_WHOLE;
    push->kind = RB_REDIS_PUSH_ARRAY;
    if (!read_length(digits, RB_REDIS_PUSH_PARTS, &push->count))
        return RB_REDIS_PUSH_BAD;
    for (size_t i = 0; i < push->count && step == RB_REDIS_PUSH_WHOLE; i++)
        step = take_part(rest, &push->parts[i]);
    return step;
}

enum rb_redis_push_step rb_redis_push_read(struct rb_text bytes,
                                           struct rb_redis_push *push, size_t *taken) {
    struct rb_text rest = bytes, line;
    if (bytes.len > 0 && !memchr("*+-", bytes.at[0], 3))
        return RB_REDIS_PUSH_BAD;
    enum rb_redis_push_step step = take_line(&rest, &line);
    if (step != RB_REDIS_PUSH_WHOLE)
        return step;
    struct rb_text said = rb_text(line.at + 1, line.len - 1);
    if (line.at[0] == '*') {
        step = take_array(&rest, said, push);
    } else {
        push->kind = line.at[0] == '+' ? RB_REDIS_PUSH_STATUS : RB_REDIS_PUSH_ERROR;
        push->count = 1;
        push->parts[0] = said;
    }
    *taken = bytes.len - rest.len;
    return step;
}
