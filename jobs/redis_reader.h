/* hiredis's reader with a bound on the size of arrays: that of 0.14 allocates what a
 * reply announces, before anything of it has come. */
#ifndef RB_JOBS_REDIS_READER_H
#define RB_JOBS_REDIS_READER_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>

#define RB_REDIS_MAX_ELEMENTS (1024 * 1024)

/* In the caller's storage, where it must stay between _init and _fini. */
struct rb_redis_reader {
    redisReader *reader; /* NULL when not in use */
    redisReplyObjectFunctions functions;
    redisReplyObjectFunctions original;
};

/* False when out of memory. kept_bytes: a larger buffer is given back when empty. */
bool rb_redis_reader_init(struct rb_redis_reader *r, size_t kept_bytes);
void rb_redis_reader_fini(struct rb_redis_reader *r);

#endif
