/* Which terminal events are on their way to clients, and which were written. */
#include "notifier/receipt.h"

#include <stdlib.h>
#include <string.h>

#include "jobs/json_scan.h"
#include "jobs/name.h"
#include "notifier/channel.h"
#include "notifier/hash.h"

/* Of one event; or a pair, which stands for both and has no event of its own. */
struct rb_receipt {
    struct rb_receipts *receipts;
    struct rb_receipt *one, *rest; /* a pair: the first is of an event */
    uint64_t key;
    uint32_t refs;
    bool written;
    uint8_t channel_len, job_len;
    char names[];
};

struct rb_receipts {
    rb_receipt_record_fn *record;
    void *ctx;
    uint64_t seed[2];
    bool on;
    size_t out;
    struct rb_receipts_stats stats;
    uint64_t known[RB_RECEIPTS_KNOWN]; /* by key; 0: none */
};

struct rb_receipts *rb_receipts_new(rb_receipt_record_fn *record, void *ctx,
                                    const uint64_t seed[2]) {
    struct rb_receipts *receipts = calloc(1, sizeof *receipts);
    if (!receipts)
        return NULL;
    receipts->record = record;
    receipts->ctx = ctx;
    memcpy(receipts->seed, seed, sizeof receipts->seed);
    return receipts;
}

void rb_receipts_free(struct rb_receipts *receipts) { free(receipts); }

void rb_receipts_set(struct rb_receipts *receipts, bool on) { receipts->on = on; }

/* ---- what is recorded already ---- */

static uint64_t *place_of(struct rb_receipts *receipts, uint64_t key) {
    return &receipts->known[key % RB_RECEIPTS_KNOWN];
}

static bool is_known(struct rb_receipts *receipts, uint64_t key) {
    return *place_of(receipts, key) == key;
}

void rb_receipt_recorded(struct rb_receipt *receipt, bool good) {
    struct rb_receipts *receipts = receipt->receipts;
    receipts->out--;
    if (!good) {
        receipts->stats.lost++;
        if (is_known(receipts, receipt->key))
            *place_of(receipts, receipt->key) = 0;
    }
    rb_receipt_unref(receipt);
}

bool rb_receipts_idle(const struct rb_receipts *receipts) { return receipts->out == 0; }

const struct rb_receipts_stats *rb_receipts_stats(const struct rb_receipts *receipts) {
    return &receipts->stats;
}

/* ---- a receipt's life ---- */

/* Of the events of workers, the job stands near the front. */
static bool find_job(struct rb_text json, struct rb_text *job) {
    struct rb_json_walk walk;
    struct rb_text key, value;
    if (rb_json_walk(json, &walk) != RB_OK)
        return false;
    while (rb_json_next(&walk, &key, &value) == RB_OK)
        if (rb_json_string_is(key, RB_TEXT("job")))
            return rb_json_plain_string(value, job) && rb_name_is_job_id(*job);
    return false;
}

static struct rb_receipt *begin(struct rb_receipts *receipts,
                                const struct rb_delivery *delivery) {
    struct rb_text channel = delivery->channel, job;
    if (channel.len > UINT8_MAX || !find_job(delivery->json, &job) || job.len > UINT8_MAX)
        return NULL;
    struct rb_receipt *receipt = calloc(1, sizeof *receipt + channel.len + 1 + job.len);
    if (!receipt)
        return NULL;
    memcpy(receipt->names, channel.at, channel.len);
    memcpy(receipt->names + channel.len + 1, job.at, job.len);
    receipt->key =
        rb_hash(receipts->seed, rb_text(receipt->names, channel.len + 1 + job.len));
    if (is_known(receipts, receipt->key)) {
        free(receipt);
        return NULL;
    }
    receipt->receipts = receipts;
    receipt->channel_len = (uint8_t)channel.len;
    receipt->job_len = (uint8_t)job.len;
    receipt->refs = 1;
    return receipt;
}

struct rb_receipt *rb_receipt_of(struct rb_receipts *receipts,
                                 struct rb_delivery *delivery) {
    if (!delivery->terminal || delivery->kind != RB_DELIVERY_EVENT)
        return NULL;
    if (!delivery->receipted) {
        delivery->receipted = true;
        delivery->receipt = begin(receipts, delivery);
    }
    return delivery->receipt;
}

struct rb_receipt *rb_receipt_ref(struct rb_receipt *receipt) {
    if (receipt)
        receipt->refs++;
    return receipt;
}

void rb_receipt_unref(struct rb_receipt *receipt) {
    while (receipt && --receipt->refs == 0) {
        struct rb_receipt *rest = receipt->rest;
        if (receipt->one)
            rb_receipt_unref(receipt->one);
        else if (!receipt->written)
            receipt->receipts->stats.unwritten++;
        free(receipt);
        receipt = rest;
    }
}

struct rb_receipt *rb_receipt_join(struct rb_receipt *one, struct rb_receipt *more) {
    if (!one || !more)
        return one ? one : rb_receipt_ref(more);
    struct rb_receipt *pair = calloc(1, sizeof *pair);
    if (!pair)
        return one;
    pair->refs = 1;
    pair->one = rb_receipt_ref(more);
    pair->rest = one;
    return pair;
}

static void record(struct rb_receipt *receipt) {
    struct rb_receipts *receipts = receipt->receipts;
    const char *job = receipt->names + receipt->channel_len + 1;
    if (receipt->written)
        return;
    receipt->written = true;
    if (is_known(receipts, receipt->key))
        return; /* as an entry of history, a moment ago */
    receipts->stats.written++;
    if (receipts->on && receipts->out == RB_RECEIPTS_OUT) {
        receipts->stats.lost++;
        return;
    }
    *place_of(receipts, receipt->key) = receipt->key;
    if (!receipts->on)
        return;
    receipts->out++;
    receipts->record(receipts->ctx, rb_receipt_ref(receipt),
                     rb_text(receipt->names, receipt->channel_len),
                     rb_text(job, receipt->job_len));
}

void rb_receipt_written(struct rb_receipt *receipt) {
    for (; receipt; receipt = receipt->rest)
        record(receipt->one ? receipt->one : receipt);
}
