/* What Redis says on a subscribed connection: hiredis's reader is the oracle. What we
 * take it takes too, as long and with the same texts; and what is whole is not whole
 * before. */
#include <hiredis/hiredis.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "jobs/redis_push.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise) {
    if (!promise)
        abort();
}

static bool same_text(const redisReply *reply, struct rb_text text) {
    return reply->len == text.len && memcmp(reply->str, text.at, text.len) == 0;
}

static void compare_part(const redisReply *reply, struct rb_text part) {
    if (part.at)
        require(reply->type == REDIS_REPLY_STRING && same_text(reply, part));
    else
        require(reply->type == REDIS_REPLY_NIL || reply->type == REDIS_REPLY_INTEGER);
}

static void compare(const redisReply *reply, const struct rb_redis_push *push) {
    if (push->kind == RB_REDIS_PUSH_ARRAY) {
        require(reply->type == REDIS_REPLY_ARRAY && reply->elements == push->count);
        for (size_t i = 0; i < push->count; i++)
            compare_part(reply->element[i], push->parts[i]);
    } else {
        require(reply->type == (push->kind == RB_REDIS_PUSH_ERROR ? REDIS_REPLY_ERROR
                                                                  : REDIS_REPLY_STATUS));
        require(same_text(reply, push->parts[0]));
    }
}

/* An integer of more digits than 64 bits hold is no reply to newer versions of hiredis.
 */
static void ask_hiredis(struct rb_text whole, const struct rb_redis_push *push) {
    redisReader *reader = redisReaderCreate();
    void *reply = NULL;
    require(reader && redisReaderFeed(reader, whole.at, whole.len) == REDIS_OK);
    if (redisReaderGetReply(reader, &reply) == REDIS_OK) {
        require(reply != NULL);
        compare(reply, push);
        freeReplyObject(reply);
    }
    redisReaderFree(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct rb_text rest = rb_text((const char *)data, size);
    struct rb_redis_push push, part;
    size_t taken, less;
    while (rest.len > 0 &&
           rb_redis_push_read(rest, &push, &taken) == RB_REDIS_PUSH_WHOLE) {
        require(taken > 0 && taken <= rest.len);
        for (size_t len = 0; len < taken; len++)
            require(rb_redis_push_read(rb_text(rest.at, len), &part, &less) ==
                    RB_REDIS_PUSH_MORE);
        ask_hiredis(rb_text(rest.at, taken), &push);
        rest = rb_text(rest.at + taken, rest.len - taken);
    }
    return 0;
}
