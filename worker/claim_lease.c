/* Claiming under a lease: a script takes jobs and writes down who holds them. */
#include "worker/claim_lease.h"

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

#define MAX_QUEUES 64
#define PROMOTE_BATCH 256
#define FIRST_JOB 4 /* where jobs begin in the answer to a claim */

/* ---- answers ---- */

static bool take(struct rb_worker *w, const struct redisReply *number,
                 const struct redisReply *envelope) {
    if (number->type != REDIS_REPLY_INTEGER || envelope->type != REDIS_REPLY_STRING)
        return false;
    if (rb_claims_room(w) <= 0) {
        rb_held_decline(w, (uint64_t)number->integer);
        return true;
    }
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
            rb_waits_rest(w, i);
}

enum rb_claim_answer rb_claim_answered(struct rb_worker *w, const struct rb_claim *claim,
                                       enum rb_status status,
                                       const struct redisReply *reply, size_t *claimed,
                                       bool *more) {
    if (status == RB_REFUSED && rb_lease_is_fenced(w, claim->generation, reply))
        return RB_CLAIM_VOID;
    if (status == RB_REFUSED) {
        rb_worker_refused(w, "claim", reply->str);
        return RB_CLAIM_REFUSED;
    }
    if (status != RB_OK || !is_claim(reply))
        return RB_CLAIM_LOST;
    rb_worker_heard_time(w, reply->element[0]->integer);
    if (!w->ready || claim->generation != rb_lease_generation(w->lease))
        return RB_CLAIM_VOID;
    bool lost = false;
    rb_cancels_claimed(w, claim->order, reply->element[2], reply->element[3]);
    for (size_t i = FIRST_JOB; i + 1 < reply->elements; i += 2)
        lost |= !take(w, reply->element[i], reply->element[i + 1]);
    rb_cancels_claimed(w, claim->order, NULL, NULL);
    rest_paused(w, reply->element[3]);
    *claimed = (reply->elements - FIRST_JOB) / 2;
    *more = reply->element[1]->integer > 0;
    rb_lease_numbers_used(w->lease, claim->first, claim->want, *claimed);
    if (lost)
        rb_held_compare(w);
    return RB_CLAIM_JOBS;
}

/* ---- questions ---- */

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

void rb_claim_ask(struct rb_worker *w, struct rb_link *link, int64_t timeout_ms,
                  struct rb_claim *claim, size_t want, rb_link_reply_fn *fn, void *ctx) {
    struct rb_text keys[4 + 2 * MAX_QUEUES], args[4 + MAX_QUEUES];
    struct rb_key workers, held, cancelled, paused;
    const struct rb_list *queues = &w->settings->worker.queues;
    size_t order[MAX_QUEUES];
    char first[24], most[24];
    struct rb_text id = rb_lease_id(w->lease);

    *claim = (struct rb_claim){
        .generation = rb_lease_generation(w->lease),
        .first = rb_lease_numbers(w->lease, want),
        .want = want,
        .order = rb_claims_counted(w),
    };
    rb_key_workers(&w->keys, &workers);
    rb_key_held(&w->keys, id, &held);
    rb_key_cancelled(&w->keys, &cancelled);
    rb_key_paused(&w->keys, &paused);
    snprintf(first, sizeof first, "%llu", (unsigned long long)claim->first);
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
        keys[4 + 2 * i] = rb_waits_retry(w->waits, order[i]);
        keys[5 + 2 * i] = rb_waits_queue(w->waits, order[i]);
        args[4 + i] = rb_text_of(queues->items[order[i]]);
    }
    rb_link_script_within(link, timeout_ms, &rb_script_claim, 4 + 2 * queues->count, keys,
                          4 + queues->count, args, fn, ctx);
}

static void on_claimed(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct rb_worker *w = ctx;
    size_t claimed = 0;
    bool more = false;
    switch (rb_claim_answered(w, w->claim, status, reply, &claimed, &more)) {
    case RB_CLAIM_JOBS:
        rb_claims_answered(w, claimed, more);
        break;
    case RB_CLAIM_VOID:
        rb_claims_answered(w, 0, true);
        break;
    case RB_CLAIM_REFUSED:
    case RB_CLAIM_LOST:
        rb_claims_failed(w);
        break;
    }
}

static void ask(struct rb_worker *w, size_t want) {
    rb_claim_ask(w, w->link, 0, w->claim, want, on_claimed, w);
}

/* Claims that stand ready in Redis are withdrawn first. */
static bool cease(struct rb_worker *w) {
    rb_waits_end(w);
    return !rb_claims_asking(w);
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

static enum rb_status start(struct rb_worker *w) {
    w->lease = rb_lease_new(w);
    w->held = rb_held_new(w);
    w->claim = calloc(1, sizeof *w->claim);
    w->waits = rb_waits_new(w);
    return w->lease && w->held && w->claim && w->waits ? RB_OK : RB_NOMEM;
}

static void stop(struct rb_worker *w) {
    rb_waits_free(w->waits);
    rb_held_free(w->held);
    rb_lease_free(w->lease);
    free(w->claim);
    w->waits = NULL;
    w->claim = NULL;
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
    .await = rb_waits_begin,
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
