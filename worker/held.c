/* Numbers of claims gather during a turn and leave in one command; one such command is on
 * its way at a time, so under load each takes what gathered while the last one was gone.
 */
#include "worker/held.h"

#include <stdio.h>
#include <stdlib.h>

#include "jobs/dead.h"
#include "worker/claim.h"
#include "worker/claim_lease.h"
#include "worker/due.h"
#include "worker/finish.h"
#include "worker/lease.h"
#include "worker/stats.h"
#include "worker/worker.h"

#define AT_ONCE 1000 /* numbers in one command */
#define NUMBER_MAX 21
#define RETRY_S 1.0    /* after Redis refused */
#define ENOUGH 32      /* settled jobs that need not wait for others */
#define GATHER_S 0.001 /* how long fewer wait, while others are in flight */
#define DEAD_KEPT "10000"
#define DEAD_KEPT_MS "2592000000" /* 30 days */

/* Numbers of claims: the first `sent` of them are in a command that is not answered. */
struct batch {
    uint64_t *at;
    size_t count, room;
    size_t sent;
    unsigned generation; /* of the lease when it was sent */
};

enum leaving { STAYING, ASKED_TO_LEAVE, LEAVE_AGAIN, HAS_LEFT };

struct rb_held {
    struct rb_worker *worker;
    struct batch settled, returned;
    ev_timer retry;
    ev_timer gather;
    bool gathered; /* long enough */
    bool comparing;
    unsigned compare_generation; /* of the lease that is compared */
    enum leaving leaving;
};

static void on_retry(struct ev_loop *loop, ev_timer *timer, int revents) {
    (void)loop, (void)timer, (void)revents; /* the turn's end sends */
}

static void on_gathered(struct ev_loop *loop, ev_timer *timer, int revents) {
    struct rb_held *held = timer->data;
    (void)loop, (void)revents;
    held->gathered = true;
}

struct rb_held *rb_held_new(struct rb_worker *w) {
    struct rb_held *held = calloc(1, sizeof *held);
    if (!held)
        return NULL;
    held->worker = w;
    ev_timer_init(&held->retry, on_retry, RETRY_S, 0.0);
    ev_timer_init(&held->gather, on_gathered, GATHER_S, 0.0);
    held->gather.data = held;
    return held;
}

void rb_held_free(struct rb_held *held) {
    if (!held)
        return;
    ev_timer_stop(held->worker->loop, &held->retry);
    ev_timer_stop(held->worker->loop, &held->gather);
    free(held->settled.at);
    free(held->returned.at);
    free(held);
}

/* ---- batches ---- */

/* Short of memory the number is lost: the job stays held until this lease ends, and is
 * then called once more. */
static void batch_add(struct batch *batch, uint64_t number) {
    if (batch->count == batch->room) {
        size_t room = batch->room ? batch->room * 2 : 256;
        uint64_t *grown = realloc(batch->at, room * sizeof *grown);
        if (!grown)
            return;
        batch->at = grown;
        batch->room = room;
    }
    batch->at[batch->count++] = number;
}

static void batch_answered(struct batch *batch) {
    batch->count -= batch->sent;
    memmove(batch->at, batch->at + batch->sent, batch->count * sizeof *batch->at);
    batch->sent = 0;
}

/* The answer to a batch. What Redis did not do stays gathered. */
static void on_batch(struct rb_worker *w, struct batch *batch, const char *what,
                     enum rb_status status, const struct redisReply *reply) {
    if (status == RB_REFUSED && rb_lease_is_fenced(w, batch->generation, reply))
        return; /* rb_held_forget was called */
    if (status == RB_OK) {
        batch_answered(batch);
        return;
    }
    batch->sent = 0;
    if (status == RB_REFUSED) {
        rb_worker_refused(w, what, reply->str);
        ev_timer_set(&w->held->retry, RETRY_S, 0.0);
        ev_timer_start(w->loop, &w->held->retry);
    }
}

static void on_settled(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct rb_worker *w = ctx;
    on_batch(w, &w->held->settled, "settle", status, reply);
}

static void on_returned(void *ctx, enum rb_status status,
                        const struct redisReply *reply) {
    struct rb_worker *w = ctx;
    on_batch(w, &w->held->returned, "give back", status, reply);
}

/* Writes the numbers behind `args` other arguments; returns how many arguments there are
 * then. */
static size_t add_numbers(struct batch *batch, struct rb_text *argv, size_t args,
                          char digits[AT_ONCE][NUMBER_MAX]) {
    batch->sent = batch->count < AT_ONCE ? batch->count : AT_ONCE;
    for (size_t i = 0; i < batch->sent; i++) {
        int len =
            snprintf(digits[i], NUMBER_MAX, "%llu", (unsigned long long)batch->at[i]);
        argv[args++] = rb_text(digits[i], (size_t)len);
    }
    return args;
}

static void send_batch(struct rb_worker *w, struct batch *batch,
                       const struct rb_script *script, rb_link_reply_fn *fn) {
    struct rb_key workers, held, retry;
    struct rb_text args[3 + AT_ONCE];
    char digits[AT_ONCE][NUMBER_MAX];
    size_t count = 0;

    if (batch->count == 0 || batch->sent > 0)
        return;
    batch->generation = rb_lease_generation(w->lease);
    rb_key_workers(&w->keys, &workers);
    rb_key_held(&w->keys, rb_lease_id(w->lease), &held);
    const struct rb_text keys[] = {rb_key_text(&workers), rb_key_text(&held)};
    args[count++] = rb_lease_id(w->lease);
    if (batch == &w->held->returned) {
        rb_key_retry(&w->keys, rb_text(NULL, 0), &retry);
        args[count++] = rb_key_text(&retry);
        args[count++] = RB_TEXT("stay");
    }
    count = add_numbers(batch, args, count, digits);
    rb_link_script(w->link, script, 2, keys, count, args, fn, w);
}

/* A dead worker's jobs that were not settled yet are called once more; so it is not long
 * that they wait to be settled together. */
static bool is_gathering(struct rb_worker *w) {
    struct rb_held *held = w->held;
    if (held->gathered || held->settled.count >= ENOUGH || w->flights.count == 0)
        return false;
    if (held->settled.count > 0 && !ev_is_active(&held->gather)) {
        ev_timer_set(&held->gather, GATHER_S, 0.0);
        ev_timer_start(w->loop, &held->gather);
    }
    return true;
}

void rb_held_turn(struct rb_worker *w) {
    struct rb_held *held = w->held;
    if (!w->ready || ev_is_active(&held->retry))
        return;
    if (!is_gathering(w)) {
        ev_timer_stop(w->loop, &held->gather);
        held->gathered = false;
        send_batch(w, &held->settled, &rb_script_settle, on_settled);
    }
    send_batch(w, &held->returned, &rb_script_giveback, on_returned);
}

void rb_held_settle(struct rb_flight *f) {
    batch_add(&f->worker->held->settled, f->claim);
}

void rb_held_give_back(struct rb_flight *f) {
    batch_add(&f->worker->held->returned, f->claim);
    rb_finish_confirmed(f, RB_OK, "");
}

void rb_held_decline(struct rb_worker *w, uint64_t number) {
    batch_add(&w->held->returned, number);
    rb_claims_poke(w); /* the queues are not empty */
}

static bool is_idle(const struct rb_worker *w) {
    return w->held->settled.count == 0 && w->held->returned.count == 0;
}

void rb_held_forget(struct rb_worker *w) {
    w->held->settled.count = w->held->settled.sent = 0;
    w->held->returned.count = w->held->returned.sent = 0;
}

void rb_held_link_down(struct rb_worker *w) {
    if (w->held->leaving == ASKED_TO_LEAVE)
        w->held->leaving = HAS_LEFT;
}

/* ---- comparing ---- */

static int compare_numbers(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* What we know of: flights, what is gathered, and what a claim that stands ready may have
 * taken meanwhile. NULL when out of memory. */
static uint64_t *known_numbers(struct rb_worker *w, size_t *count) {
    const struct batch *settled = &w->held->settled, *returned = &w->held->returned;
    size_t room = (size_t)w->flights.count + settled->count + returned->count +
                  w->settings->worker.queues.count + 1;
    uint64_t *known = malloc(room * sizeof *known);
    struct rb_flight *f;
    size_t n = 0;
    if (!known)
        return NULL;
    for (int state = 0; state < RB_FLIGHT_LANDED; state++)
        TAILQ_FOREACH (f, &w->flights.in[state], link)
            known[n++] = f->claim;
    for (size_t i = 0; i < settled->count; i++)
        known[n++] = settled->at[i];
    for (size_t i = 0; i < returned->count; i++)
        known[n++] = returned->at[i];
    n += rb_waits_numbers(w, known + n);
    qsort(known, n, sizeof *known, compare_numbers);
    *count = n;
    return known;
}

static void give_back_unknown(struct rb_worker *w, const struct redisReply *held) {
    size_t count, unknown = 0;
    uint64_t *known = known_numbers(w, &count);
    for (size_t i = 0; known && i < held->elements; i++) {
        const struct redisReply *field = held->element[i];
        uint64_t number;
        if (field->type != REDIS_REPLY_STRING ||
            rb_text_uint64(rb_text(field->str, field->len), &number) != RB_OK ||
            bsearch(&number, known, count, sizeof *known, compare_numbers))
            continue;
        batch_add(&w->held->returned, number);
        unknown++;
    }
    free(known);
    if (unknown == 0)
        return;
    rb_stats_add(w->stats, RB_STAT_GIVEN_BACK, (int64_t)unknown);
    rb_log(RB_LOG_INFO, "worker.gave_back_unknown", RB_I("jobs", unknown));
    rb_claims_poke(w);
}

static void on_compared(void *ctx, enum rb_status status,
                        const struct redisReply *reply) {
    struct rb_worker *w = ctx;
    w->held->comparing = false;
    if (w->held->compare_generation != rb_lease_generation(w->lease))
        return; /* over, as a claim on another link heard: its numbers are given anew */
    if (status == RB_REFUSED)
        rb_worker_refused(w, "compare", reply->str);
    if (status == RB_OK && reply->type == REDIS_REPLY_ARRAY)
        give_back_unknown(w, reply);
    if (!w->ready && (status == RB_OK || status == RB_REFUSED))
        rb_worker_set_ready(w);
}

/* Answers come in the order of commands: when this one comes, the answers to all claims
 * that were asked on this link before it have come, or never will. */
void rb_held_compare(struct rb_worker *w) {
    struct rb_key held;
    if (w->held->comparing)
        return;
    w->held->comparing = true;
    w->held->compare_generation = rb_lease_generation(w->lease);
    rb_key_held(&w->keys, rb_lease_id(w->lease), &held);
    const struct rb_text argv[] = {RB_TEXT("HKEYS"), rb_key_text(&held)};
    rb_link_call(w->link, 0, on_compared, w, 2, argv);
}

void rb_held_beat(struct rb_worker *w, int64_t count) {
    size_t known =
        (size_t)w->flights.count + w->held->settled.count + w->held->returned.count;
    if (count > (int64_t)known)
        rb_held_compare(w);
}

/* ---- parking and burying ---- */

static const char *words(enum rb_status status, const struct redisReply *reply) {
    return status == RB_REFUSED ? reply->str : "";
}

static void on_parked(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct rb_flight *f = ctx;
    struct rb_worker *w = f->worker;
    if (status == RB_OK && reply->type == REDIS_REPLY_ARRAY && reply->elements == 3) {
        rb_worker_heard_time(w, reply->element[0]->integer);
        rb_stats_add(w->stats, RB_STAT_PARKED, 1);
        rb_due_heard(w, reply->element[2]->integer);
    }
    rb_finish_confirmed(f, status, words(status, reply));
}

void rb_held_park(struct rb_flight *f) {
    struct rb_worker *w = f->worker;
    struct rb_key held, due, cancelled, retry;
    char number[NUMBER_MAX], until[NUMBER_MAX], attempts[NUMBER_MAX], last[NUMBER_MAX];
    rb_key_held(&w->keys, rb_lease_id(w->lease), &held);
    rb_key_due(&w->keys, &due);
    snprintf(number, sizeof number, "%llu", (unsigned long long)f->claim);
    snprintf(until, sizeof until, "%lld", (long long)f->park_until);
    snprintf(attempts, sizeof attempts, "%lld", (long long)f->attempts);
    rb_key_cancelled(&w->keys, &cancelled);
    rb_key_retry(&w->keys, rb_text(NULL, 0), &retry);
    const struct rb_text keys[] = {rb_key_text(&held), rb_key_text(&due),
                                   rb_key_text(&cancelled)};
    snprintf(last, sizeof last, "%lld", (long long)rb_flight_until_ms(f));
    const struct rb_text args[] = {rb_text_of(number),   rb_text_of(until),
                                   rb_text_of(attempts), rb_text_of(last),
                                   rb_text_of(f->id),    rb_key_text(&retry)};
    rb_link_script(w->link, &rb_script_park, 3, keys, 6, args, on_parked, f);
}

static void on_noted(void *ctx, enum rb_status status, const struct redisReply *reply) {
    if (status == RB_REFUSED)
        rb_worker_refused(ctx, "note", reply->str);
}

void rb_held_note(struct rb_flight *f) {
    struct rb_worker *w = f->worker;
    struct rb_key held;
    char number[NUMBER_MAX], attempts[NUMBER_MAX], until[NUMBER_MAX];
    rb_key_held(&w->keys, rb_lease_id(w->lease), &held);
    snprintf(number, sizeof number, "%llu", (unsigned long long)f->claim);
    snprintf(attempts, sizeof attempts, "%lld", (long long)f->attempts);
    snprintf(until, sizeof until, "%lld", (long long)rb_flight_until_ms(f));
    const struct rb_text key = rb_key_text(&held);
    const struct rb_text args[] = {rb_text_of(number), rb_text_of(attempts),
                                   rb_text_of(until)};
    rb_link_script(w->link, &rb_script_note, 1, &key, 3, args, on_noted, w);
}

static void on_buried(void *ctx, enum rb_status status, const struct redisReply *reply) {
    rb_finish_confirmed(ctx, status, words(status, reply));
}

void rb_held_bury(struct rb_flight *f) {
    struct rb_worker *w = f->worker;
    struct rb_key held, dead;
    char number[NUMBER_MAX], name[RB_CLAIM_ID_MAX + NUMBER_MAX];
    rb_key_held(&w->keys, rb_lease_id(w->lease), &held);
    rb_key_dead(&w->keys, &dead);
    snprintf(number, sizeof number, "%llu", (unsigned long long)f->claim);
    snprintf(name, sizeof name, RB_TEXT_FMT "-%s",
             RB_TEXT_ARG(rb_lease_job_prefix(w->lease)), number);
    const struct rb_dead_fate fate = rb_finish_fate(f);
    rb_buffer_clear(&w->scratch);
    rb_dead_write_fate(&w->scratch, &fate);
    const struct rb_text keys[] = {rb_key_text(&held), rb_key_text(&dead)};
    const struct rb_text args[] = {
        rb_text_of(number), rb_buffer_view(&w->scratch),
        RB_TEXT(DEAD_KEPT), RB_TEXT(DEAD_KEPT_MS),
        rb_text_of(name),
    };
    rb_link_script(w->link, &rb_script_bury, 2, keys, 5, args, on_buried, f);
}

/* ---- leaving ---- */

static void on_left(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct rb_worker *w = ctx;
    if (status == RB_REFUSED)
        rb_worker_refused(w, "leave", reply->str);
    bool more = status == RB_OK && reply->type == REDIS_REPLY_ARRAY &&
                reply->elements == 2 && reply->element[1]->integer > 0;
    w->held->leaving = more ? LEAVE_AGAIN : HAS_LEFT;
}

bool rb_held_leave(struct rb_worker *w) {
    struct rb_key workers, held, retry;
    if (!w->ready || w->held->leaving == HAS_LEFT)
        return true;
    if (w->held->leaving == ASKED_TO_LEAVE || !is_idle(w))
        return false; /* what is settled must not be given back */
    w->held->leaving = ASKED_TO_LEAVE;
    rb_lease_end(w);
    rb_key_workers(&w->keys, &workers);
    rb_key_held(&w->keys, rb_lease_id(w->lease), &held);
    rb_key_retry(&w->keys, rb_text(NULL, 0), &retry);
    const struct rb_text keys[] = {rb_key_text(&workers), rb_key_text(&held)};
    const struct rb_text args[] = {rb_lease_id(w->lease), rb_key_text(&retry),
                                   RB_TEXT("leave")};
    rb_link_script(w->link, &rb_script_giveback, 2, keys, 3, args, on_left, w);
    return false;
}
