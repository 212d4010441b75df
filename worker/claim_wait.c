/* Waiting for jobs: one link for each list blocks in BLMOVE of that list onto itself,
 * which is answered as soon as something is pushed, removes nothing and keeps the order.
 *
 * Behind the BLMOVE of a queue a claim of one job stands ready. Redis reads on when the
 * BLMOVE is answered, so it gives the job away in the same turn in which it was pushed,
 * instead of waking us first to be asked for it. It is a claim like any other: written
 * down as held, refused when the lease lapsed, and nothing at all when the connection is
 * gone before. What comes for a worker that has no room any more goes back. */
#include <stdio.h>
#include <stdlib.h>

#include "worker/claim.h"
#include "worker/claim_lease.h"
#include "worker/held.h"
#include "worker/lease.h"
#include "worker/worker.h"

#define BLOCK_MAX_MS 5000
#define BLOCK_MARGIN_MS 2000 /* Redis answers a blocking command a little late */

struct waiter {
    struct rb_worker *worker;
    struct rb_link *link;
    struct rb_key list;
    struct rb_claim claim;
    bool claims;  /* has a claim behind its BLMOVE */
    bool asked;   /* which is not answered yet */
    bool blocked; /* BLMOVE is not answered yet */
    bool failed;  /* or its queue is paused: not again before the next heartbeat */
    bool unclear; /* the link broke with a claim on it: compare what is held */
};

struct rb_waits {
    size_t count;
    size_t resting; /* neither blocked nor asked: a turn need not look at all of them */
    struct waiter at[];
};

static bool is_resting(const struct waiter *waiter) {
    return !waiter->blocked && !waiter->asked;
}

static void answered(struct waiter *waiter, bool *which) {
    *which = false;
    if (is_resting(waiter))
        waiter->worker->waits->resting++;
}

static void on_blocked(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct waiter *waiter = ctx;
    struct rb_worker *w = waiter->worker;
    answered(waiter, &waiter->blocked);
    if (status == RB_REFUSED) {
        rb_worker_refused(w, "wait", reply->str);
        waiter->failed = true; /* or it would be refused in every turn */
    } else if (status == RB_OK && reply->type == REDIS_REPLY_STRING && !waiter->asked) {
        rb_claims_poke(w);
    }
}

static void on_claimed(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct waiter *waiter = ctx;
    struct rb_worker *w = waiter->worker;
    size_t claimed = 0;
    bool more = false;
    answered(waiter, &waiter->asked);
    switch (rb_claim_answered(w, &waiter->claim, status, reply, &claimed, &more)) {
    case RB_CLAIM_JOBS:
        if (more)
            rb_claims_poke(w);
        break;
    case RB_CLAIM_REFUSED:
        waiter->failed = true;
        rb_claims_poke(w); /* asked in the plain way */
        break;
    case RB_CLAIM_LOST:
        waiter->unclear = true;
        break;
    case RB_CLAIM_VOID:
        break;
    }
}

static void block(struct waiter *waiter) {
    struct rb_worker *w = waiter->worker;
    int64_t ms = w->settings->worker.lease / 2;
    char seconds[32];
    if (ms > BLOCK_MAX_MS)
        ms = BLOCK_MAX_MS;
    snprintf(seconds, sizeof seconds, "%.3f", (double)ms / 1000.0);
    struct rb_text list = rb_key_text(&waiter->list);
    const struct rb_text argv[] = {
        RB_TEXT("BLMOVE"),  list, list, RB_TEXT("LEFT"), RB_TEXT("LEFT"),
        rb_text_of(seconds)};
    w->waits->resting--;
    waiter->blocked = true;
    waiter->asked = waiter->claims;
    rb_link_call(waiter->link, ms + BLOCK_MARGIN_MS, on_blocked, waiter, 6, argv);
    if (!waiter->claims)
        return;
    rb_claims_count(w);
    rb_claim_ask(w, waiter->link, ms + BLOCK_MARGIN_MS, &waiter->claim, 1, on_claimed,
                 waiter);
}

void rb_waits_begin(struct rb_worker *w) {
    struct rb_waits *waits = w->waits;
    for (size_t i = 0; waits->resting > 0 && i < waits->count; i++) {
        struct waiter *waiter = &waits->at[i];
        if (is_resting(waiter) && !waiter->failed && rb_link_up(waiter->link))
            block(waiter);
    }
}

/* A link that was down may have missed what came; and a claim on it may have been made,
 * or, if the connection broke sooner, never will be. */
static void on_state(void *ctx, bool up) {
    struct waiter *waiter = ctx;
    waiter->failed = false;
    if (!up)
        return;
    if (waiter->unclear && waiter->worker->ready)
        rb_held_compare(waiter->worker);
    waiter->unclear = false;
    rb_claims_poke(waiter->worker);
}

void rb_waits_end(struct rb_worker *w) {
    struct rb_waits *waits = w->waits;
    bool unclear = false;
    for (size_t i = 0; i < waits->count; i++) {
        struct waiter *waiter = &waits->at[i];
        unclear |= waiter->asked;
        rb_link_free(waiter->link);
        waiter->link = NULL;
    }
    waits->count = waits->resting = 0;
    if (unclear && w->ready)
        rb_held_compare(w);
}

void rb_waits_rest(struct rb_worker *w, size_t queue) {
    if (2 * queue + 1 < w->waits->count)
        w->waits->at[2 * queue].failed = w->waits->at[2 * queue + 1].failed = true;
}

void rb_claim_lease_beat(struct rb_worker *w) {
    for (size_t i = 0; i < w->waits->count; i++)
        w->waits->at[i].failed = false;
    rb_claims_poke(w);
}

size_t rb_waits_numbers(const struct rb_worker *w, uint64_t *numbers) {
    const struct rb_waits *waits = w->waits;
    size_t count = 0;
    for (size_t i = 0; i < waits->count; i++) {
        const struct waiter *waiter = &waits->at[i];
        if (waiter->asked && waiter->claim.generation == rb_lease_generation(w->lease))
            numbers[count++] = waiter->claim.first;
    }
    return count;
}

struct rb_text rb_waits_retry(const struct rb_waits *waits, size_t i) {
    return rb_key_text(&waits->at[2 * i].list);
}

struct rb_text rb_waits_queue(const struct rb_waits *waits, size_t i) {
    return rb_key_text(&waits->at[2 * i + 1].list);
}

static bool start(struct rb_worker *w, struct waiter *waiter) {
    const struct rb_link_options options = {
        .address = &w->address,
        .name = "ringback-worker-wait",
        .connect_timeout_ms = w->settings->redis.connect_timeout,
        .command_timeout_ms = w->settings->redis.command_timeout,
        .on_state = on_state,
        .ctx = waiter,
    };
    waiter->worker = w;
    waiter->link = rb_link_new(w->loop, &options);
    return waiter->link != NULL;
}

struct rb_waits *rb_waits_new(struct rb_worker *w) {
    const struct rb_list *queues = &w->settings->worker.queues;
    struct rb_waits *waits =
        calloc(1, sizeof *waits + 2 * queues->count * sizeof waits->at[0]);
    if (!waits)
        return NULL;
    for (size_t i = 0; i < queues->count; i++) {
        struct waiter *retry = &waits->at[2 * i], *queue = retry + 1;
        rb_key_retry(&w->keys, rb_text_of(queues->items[i]), &retry->list);
        rb_key_queue(&w->keys, rb_text_of(queues->items[i]), &queue->list);
        queue->claims = true;
        waits->count = waits->resting = 2 * (i + 1);
        if (!start(w, retry) || !start(w, queue)) {
            rb_waits_free(waits);
            return NULL;
        }
    }
    return waits;
}

void rb_waits_free(struct rb_waits *waits) {
    for (size_t i = 0; waits && i < waits->count; i++)
        rb_link_free(waits->at[i].link);
    free(waits);
}
