/* hiredis's reader with a bound on the size of arrays. */
#include "jobs/redis_reader.h"

#if HIREDIS_MAJOR < 1

static void *create_array(const redisReadTask *task, int elements) {
    const struct rb_redis_reader *r = task->privdata;
    if (elements > RB_REDIS_MAX_ELEMENTS)
        return NULL;
    return r->original.createArray(task, elements);
}

static void bound(struct rb_redis_reader *r) {
    r->original = r->functions = *r->reader->fn;
    r->functions.createArray = create_array;
    r->reader->fn = &r->functions;
    r->reader->privdata = r;
}

#else

static void bound(struct rb_redis_reader *r) {
    r->reader->maxelements = RB_REDIS_MAX_ELEMENTS;
}

#endif

bool rb_redis_reader_init(struct rb_redis_reader *r, size_t kept_bytes) {
    r->reader = redisReaderCreate();
    if (!r->reader)
        return false;
    r->reader->maxbuf = kept_bytes;
    bound(r);
    return true;
}

void rb_redis_reader_fini(struct rb_redis_reader *r) {
    if (r->reader)
        redisReaderFree(r->reader);
    r->reader = NULL;
}
