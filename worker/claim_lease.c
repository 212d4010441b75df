/* Claiming under a lease: a script takes jobs and writes down who holds them. When there
 * are none, one link for each list blocks in BLMOVE of that list onto itself, which wakes
 * as soon as something is pushed, removes nothing and keeps the order; so nothing is lost
 * whoever dies while it waits. */
#include <stdio.h>
#include <stdlib.h>

#include "config/process.h"
#include "jobs/pause.h"
#include "worker/begin.h"
#include "worker/cancel.h"
#include "worker/claim.h"
#include "worker/due.h"
#include "worker/held.h"
#include "worker/lease.h"
#include "worker/stats.h"
#include "worker/worker.h"

#define BLOCK_MAX_MS 5000
#define BLOCK_MARGIN_MS 2000 /* Redis answers a blocking command a little late */
#define MAX_QUEUES 64
#define PROMOTE_BATCH 256
#define FIRST_JOB 4 /* where jobs begin in the answer to a claim */

struct waiter {
    struct rb_worker *worker;
    struct rb_link *link;
    struct rb_key list;
    bool blocked; /* a BLMOVE is not answered yet */
    bool failed;  /* or its queue is paused: not again before the next heartbeat */
};

struct rb_waiters {
    size_t count;
    size_t resting;      /* not blocked: so a turn need not look at all of them */
    unsigned generation; /* of the lease under which the last claim was sent */
    uint64_t first;      /* number of that claim, and */
    size_t want;         /* how many it asked for */
    struct waiter at[];
};

/* ---- asking ---- */

static bool take(struct rb_worker *w, const struct redisReply *number,
                 const struct redisReply *envelope) {
    if (number->type != REDIS_REPLY_INTEGER || envelope->type != REDIS_REPLY_STRING)
        return false;
    return rb_begin(w, (uint64_t)number->integer, rb_text(envelope->str, envelope->len));
}

static bool is_claim(const struct redisReply *reply) {
    return reply->type == REDIS_REPLY_ARRAY && reply->elements >= FIRST_JOB &&
           reply->element[2]->type == REDIS_REPLY_ARRAY &&
           reply->element[3]->type == REDIS_REPLY_ARRAY;
}

/* To block on a list from which nothing may be taken would return at once, again and
 * again. */
static void rest_paused(struct rb_worker *w, const struct redisReply *paused) {
    const struct rb_list *queues = &w->settings->worker.queues;
    for (size_t i = 0; paused->elements > 0 && i < queues->count; i++)
        if (rb_pause_has(paused, RB_PAUSE_QUEUE, rb_text_of(queues->items[i])))
            w->waiters->at[2 * i].failed = w->waiters->at[2 * i + 1].failed = true;
}

static void on_claimed(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct rb_worker *w = ctx;
    if (status == RB_REFUSED && rb_lease_is_fenced(w, w->waiters->generation, reply)) {
        rb_claims_answered(w, 0, true);
        return;
    }
    if (status == RB_REFUSED)
        rb_worker_refused(w, "claim", reply->str);
    if (status != RB_OK || !is_claim(reply)) {
        rb_claims_failed(w);
        return;
    }
    rb_worker_heard_time(w, reply->element[0]->integer);
    bool lost = false;
    rb_cancels_claimed(w, reply->element[2], reply->element[3]);
    for (size_t i = FIRST_JOB; i + 1 < reply->elements; i += 2)
        lost |= !take(w, reply->element[i], reply->element[i + 1]);
    rb_cancels_claimed(w, NULL, NULL);
    rest_paused(w, reply->element[3]);
    size_t claimed = (reply->elements - FIRST_JOB) / 2;
    rb_lease_numbers_used(w->lease, w->waiters->first, w->waiters->want, claimed);
    rb_claims_answered(w, claimed, reply->element[1]->integer > 0);
    if (lost)
        rb_held_compare(w);
}

static int64_t weight_of(const struct rb_worker *w, size_t queue) {
    const struct rb_list *weights = &w->settings->worker.weights;
    int64_t weight = 1;
    if (queue < weights->count)
        (void)!rb_text_int64(rb_text_of(weights->items[queue]), &weight);
    return weight;
}

/* The order in which the queues are looked at: that of the settings, or, with weights,
 * drawn anew for each claim, as often the first as its weight says. */
static void draw_order(const struct rb_worker *w, size_t order[MAX_QUEUES]) {
    size_t count = w->settings->worker.queues.count;
    int64_t left = 0;
    for (size_t i = 0; i < count; i++) {
        order[i] = i;
        left += weight_of(w, i);
    }
    if (w->settings->worker.weights.count == 0)
        return;
    for (size_t i = 0; i + 1 < count; i++) {
        int64_t draw = (int64_t)(rb_process_random() % (uint64_t)left);
        size_t at = i;
        while (draw >= weight_of(w, order[at]))
            draw -= weight_of(w, order[at++]);
        size_t drawn = order[at];
        order[at] = order[i];
        order[i] = drawn;
        left -= weight_of(w, drawn);
    }
}

static void ask(struct rb_worker *w, size_t want) {
    struct rb_text keys[4 + 2 * MAX_QUEUES], args[4 + MAX_QUEUES];
    struct rb_key workers, held, cancelled, paused;
    struct rb_waiters *waiters = w->waiters;
    const struct rb_list *queues = &w->settings->worker.queues;
    size_t order[MAX_QUEUES];
    char first[24], most[24];
    struct rb_text id = rb_lease_id(w->lease);

    waiters->generation = rb_lease_generation(w->lease);
    rb_key_workers(&w->keys, &workers);
    rb_key_held(&w->keys, id, &held);
    rb_key_cancelled(&w->keys, &cancelled);
    rb_key_paused(&w->keys, &paused);
    waiters->want = want;
    waiters->first = rb_lease_numbers(w->lease, want);
    snprintf(first, sizeof first, "%llu", (unsigned long long)waiters->first);
    snprintf(most, sizeof most, "%zu", want);
    keys[0] = rb_key_text(&workers);
    keys[1] = rb_key_text(&held);
    keys[2] = rb_key_text(&cancelled);
    keys[3] = rb_key_text(&paused);
    args[0] = id;
    args[1] = rb_lease_job_prefix(w->lease);
    args[2] = rb_text_of(first);
    args[3] = rb_text_of(most);
    draw_order(w, order);
    for (size_t i = 0; i < queues->count; i++) {
        keys[4 + 2 * i] = rb_key_text(&waiters->at[2 * order[i]].list);
        keys[5 + 2 * i] = rb_key_text(&waiters->at[2 * order[i] + 1].list);
        args[4 + i] = rb_text_of(queues->items[order[i]]);
    }
    rb_link_script(w->link, &rb_script_claim, 4 + waiters->count, keys, 4 + queues->count,
                   args, on_claimed, w);
}

/* ---- waiting ---- */

static void on_blocked(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct waiter *waiter = ctx;
    struct rb_worker *w = waiter->worker;
    waiter->blocked = false;
    w->waiters->resting++;
    if (status == RB_REFUSED) {
        rb_worker_refused(w, "wait", reply->str);
        waiter->failed = true; /* or it would be refused in every turn */
    } else if (status == RB_OK && reply->type == REDIS_REPLY_STRING) {
        rb_claims_poke(w);
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
    waiter->blocked = true;
    w->waiters->resting--;
    rb_link_call(waiter->link, ms + BLOCK_MARGIN_MS, on_blocked, waiter, 6, argv);
}

static void await(struct rb_worker *w) {
    struct rb_waiters *waiters = w->waiters;
    for (size_t i = 0; waiters->resting > 0 && i < waiters->count; i++) {
        struct waiter *waiter = &waiters->at[i];
        if (!waiter->blocked && !waiter->failed && rb_link_up(waiter->link))
            block(waiter);
    }
}

/* A link that was down may have missed what came. */
static void on_waiter_state(void *ctx, bool up) {
    struct waiter *waiter = ctx;
    waiter->failed = false;
    if (up)
        rb_claims_poke(waiter->worker);
}

/* BLMOVE removes nothing, so there is nothing to wait for. */
static bool cease(struct rb_worker *w) { return !rb_claims_asking(w); }

void rb_claim_lease_beat(struct rb_worker *w) {
    for (size_t i = 0; i < w->waiters->count; i++)
        w->waiters->at[i].failed = false;
    rb_claims_poke(w);
}

/* ---- what is due ---- */

static void on_promoted(void *ctx, enum rb_status status,
                        const struct redisReply *reply) {
    struct rb_worker *w = ctx;
    if (status == RB_REFUSED)
        rb_worker_refused(w, "promote", reply->str);
    if (status != RB_OK || reply->type != REDIS_REPLY_ARRAY || reply->elements != 3)
        return; /* the next heartbeat tells when to try again */
    rb_worker_heard_time(w, reply->element[0]->integer);
    rb_due_promoted(w, reply->element[1]->integer, reply->element[2]->integer);
}

static void promote(struct rb_worker *w) {
    struct rb_key due, retry;
    char most[24];
    rb_key_due(&w->keys, &due);
    rb_key_retry(&w->keys, rb_text(NULL, 0), &retry);
    snprintf(most, sizeof most, "%d", PROMOTE_BATCH);
    const struct rb_text keys[] = {rb_key_text(&due)};
    const struct rb_text args[] = {rb_key_text(&retry), rb_text_of(most)};
    rb_link_script(w->link, &rb_script_promote, 1, keys, 2, args, on_promoted, w);
}

/* ---- birth and end ---- */

static bool start_waiter(struct rb_worker *w, struct waiter *waiter) {
    const struct rb_link_options options = {
        .address = &w->address,
        .name = "ringback-worker-wait",
        .connect_timeout_ms = w->settings->redis.connect_timeout,
        .command_timeout_ms = w->settings->redis.command_timeout,
        .on_state = on_waiter_state,
        .ctx = waiter,
    };
    waiter->worker = w;
    waiter->link = rb_link_new(w->loop, &options);
    return waiter->link != NULL;
}

static enum rb_status start(struct rb_worker *w) {
    const struct rb_list *queues = &w->settings->worker.queues;
    w->waiters =
        calloc(1, sizeof *w->waiters + 2 * queues->count * sizeof(struct waiter));
    w->lease = rb_lease_new(w);
    w->held = rb_held_new(w);
    if (!w->waiters || !w->lease || !w->held)
        return RB_NOMEM;
    for (size_t i = 0; i < queues->count; i++) {
        struct waiter *retry = &w->waiters->at[2 * i], *queue = retry + 1;
        rb_key_retry(&w->keys, rb_text_of(queues->items[i]), &retry->list);
        rb_key_queue(&w->keys, rb_text_of(queues->items[i]), &queue->list);
        if (!start_waiter(w, retry) || !start_waiter(w, queue))
            return RB_NOMEM;
        w->waiters->count = w->waiters->resting = 2 * (i + 1);
    }
    return RB_OK;
}

static void stop(struct rb_worker *w) {
    for (size_t i = 0; w->waiters && i < 2 * w->settings->worker.queues.count; i++)
        rb_link_free(w->waiters->at[i].link);
    free(w->waiters);
    rb_held_free(w->held);
    rb_lease_free(w->lease);
    w->waiters = NULL;
    w->held = NULL;
    w->lease = NULL;
}

const struct rb_claiming rb_claim_by_lease = {
    .name = "lease",
    .scripts = true,
    .start = start,
    .stop = stop,
    .link_up = rb_lease_renew,
    .link_down = rb_held_link_down,
    .ask = ask,
    .await = await,
    .cease = cease,
    .turn = rb_held_turn,
    .settle = rb_held_settle,
    .park = rb_held_park,
    .note = rb_held_note,
    .bury = rb_held_bury,
    .give_back = rb_held_give_back,
    .leave = rb_held_leave,
    .promote = promote,
};
