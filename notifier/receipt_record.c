/* From a receipt to Redis. */
#include "notifier/receipt_record.h"

#include "config/process.h"
#include "jobs/scripts.h"

static void on_recorded(void *ctx, enum rb_status status,
                        const struct redisReply *reply) {
    (void)reply;
    rb_receipt_recorded(ctx, status == RB_OK);
}

static void record(void *ctx, struct rb_receipt *receipt, struct rb_text channel,
                   struct rb_text job) {
    struct rb_feed *feed = ctx;
    struct rb_key meta;
    rb_key_meta(rb_feed_keys(feed), channel, &meta);
    const struct rb_text keys[] = {rb_key_text(&meta)};
    rb_link_script(rb_feed_link(feed), &rb_script_receipt, 1, keys, 1, &job, on_recorded,
                   receipt);
}

struct rb_receipts *rb_receipts_to_redis(struct rb_feed *feed) {
    const uint64_t seed[2] = {rb_process_random(), rb_process_random()};
    return rb_receipts_new(record, feed, seed);
}
