/* What Redis says on a connection that is subscribed (RESP2): flat arrays, a PONG, an
 * error. Bytes in, texts out that point into them; nothing is copied or allocated, which
 * is what hiredis's reader would do four times a message.
 *
 * https://redis.io/docs/latest/develop/reference/protocol-spec/ */
#ifndef RB_JOBS_REDIS_PUSH_H
#define RB_JOBS_REDIS_PUSH_H

#include <stddef.h>

#include "config/text.h"

#define RB_REDIS_PUSH_PARTS 3
/* A longer bulk string, or a line, is not the protocol (proto-max-bulk-len is 512 MiB by
 * default; nothing that long is ours). */
#define RB_REDIS_PUSH_BULK_MAX ((size_t)512 * 1024 * 1024)
#define RB_REDIS_PUSH_LINE_MAX ((size_t)16 * 1024)

enum rb_redis_push_kind {
    RB_REDIS_PUSH_ARRAY,  /* parts[0 … count-1] */
    RB_REDIS_PUSH_STATUS, /* parts[0] is the line */
    RB_REDIS_PUSH_ERROR   /* likewise */
};

struct rb_redis_push {
    enum rb_redis_push_kind kind;
    size_t count;
    struct rb_text parts[RB_REDIS_PUSH_PARTS]; /* at NULL: nil or a number */
};

enum rb_redis_push_step {
    RB_REDIS_PUSH_MORE, /* it is not whole yet: come again with more behind it */
    RB_REDIS_PUSH_WHOLE,
    RB_REDIS_PUSH_BAD
};

/* The first one of the bytes; *taken: how long it is, when it is whole. */
enum rb_redis_push_step rb_redis_push_read(struct rb_text bytes,
                                           struct rb_redis_push *push, size_t *taken);

#endif
