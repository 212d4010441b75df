/* A heartbeat five times in the length of a lease; after each one, what lapsed elsewhere
 * is reaped. */
#include "worker/lease.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "config/process.h"
#include "jobs/name.h"
#include "worker/begin.h"
#include "worker/claim.h"
#include "worker/due.h"
#include "worker/held.h"
#include "worker/stats.h"
#include "worker/tallies.h"
#include "worker/worker.h"

#define BEATS 5
#define HOST_MAX 24
#define RANDOM_BYTES 8
#define REAP_BATCH 256
#define REAP_LATE_MS 5 /* behind the end of another's lease */

struct rb_lease {
    struct rb_worker *worker;
    ev_timer beat;
    ev_timer lapse; /* of another worker, when that comes before our next beat */
    char id[RB_CLAIM_ID_MAX];
    const char *random; /* the last part of id */
    unsigned generation;
    unsigned beat_generation, reap_generation; /* when they were sent */
    uint64_t reap_first;
    uint64_t next_claim;
    bool granted; /* Redis knows this lease */
    bool beating; /* a heartbeat is not answered yet */
    bool reaping;
    bool compare; /* the link was lost: see what Redis holds for us */
    bool ended;
};

static void on_beat(struct ev_loop *loop, ev_timer *timer, int revents) {
    struct rb_lease *lease = timer->data;
    (void)loop, (void)revents;
    if (rb_link_up(lease->worker->link))
        rb_lease_renew(lease->worker);
}

static void reap(struct rb_worker *w);

static void on_lapse(struct ev_loop *loop, ev_timer *timer, int revents) {
    struct rb_lease *lease = timer->data;
    (void)loop, (void)revents;
    if (lease->worker->ready)
        reap(lease->worker);
}

struct rb_lease *rb_lease_new(struct rb_worker *w) {
    struct rb_lease *lease = calloc(1, sizeof *lease);
    if (!lease)
        return NULL;
    double every_s = (double)w->settings->worker.lease / 1000.0 / BEATS;
    lease->worker = w;
    ev_timer_init(&lease->beat, on_beat, every_s, every_s);
    ev_timer_init(&lease->lapse, on_lapse, 0.0, 0.0);
    lease->beat.data = lease->lapse.data = lease;
    return lease;
}

void rb_lease_free(struct rb_lease *lease) {
    if (!lease)
        return;
    ev_timer_stop(lease->worker->loop, &lease->beat);
    ev_timer_stop(lease->worker->loop, &lease->lapse);
    free(lease);
}

struct rb_text rb_lease_id(const struct rb_lease *lease) {
    return rb_text_of(lease->id);
}

struct rb_text rb_lease_job_prefix(const struct rb_lease *lease) {
    return rb_text_of(lease->random);
}

unsigned rb_lease_generation(const struct rb_lease *lease) { return lease->generation; }

uint64_t rb_lease_numbers(struct rb_lease *lease, size_t count) {
    uint64_t first = lease->next_claim;
    lease->next_claim += count;
    return first;
}

void rb_lease_numbers_used(struct rb_lease *lease, uint64_t first, size_t count,
                           size_t used) {
    if (lease->next_claim == first + count)
        lease->next_claim = first + used;
}

static void new_id(struct rb_lease *lease) {
    char host[HOST_MAX + 1] = "", random[2 * RANDOM_BYTES + 1];
    if (gethostname(host, sizeof host) != 0)
        host[0] = '\0';
    host[HOST_MAX] = '\0';
    for (char *c = host; *c; c++)
        if (!rb_name_byte(*c) || *c == ':')
            *c = '-';
    rb_process_random_hex(random, RANDOM_BYTES);
    int len = snprintf(lease->id, sizeof lease->id, "%s.%ld.%s",
                       host[0] ? host : "worker", (long)getpid(), random);
    lease->random = lease->id + len - 2 * RANDOM_BYTES;
    lease->generation++;
    lease->next_claim = 1;
    lease->granted = false;
    lease->compare = false;
}

/* ---- fencing ---- */

bool rb_lease_is_fenced(struct rb_worker *w, unsigned generation,
                        const struct redisReply *reply) {
    struct rb_lease *lease = w->lease;
    if (!rb_text_starts(rb_text(reply->str, reply->len), RB_TEXT("FENCED")))
        return false;
    if (generation != lease->generation)
        return true; /* an echo of a lease that is over already */
    int64_t lost = 0;
    for (int state = 0; state < RB_FLIGHT_LANDED; state++)
        for (; !TAILQ_EMPTY(&w->flights.in[state]); lost++)
            rb_flight_drop(TAILQ_FIRST(&w->flights.in[state]));
    rb_held_forget(w);
    rb_stats_add(w->stats, RB_STAT_FENCED, 1);
    rb_stats_add(w->stats, RB_STAT_THROWN_AWAY, lost);
    rb_log(RB_LOG_WARN, "worker.fenced", RB_S("worker", lease->id),
           RB_I("thrown_away", lost));
    w->ready = false;
    new_id(lease);
    if (!lease->ended)
        rb_lease_renew(w);
    return true;
}

/* ---- reaping ---- */

static void on_reaped(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct rb_worker *w = ctx;
    w->lease->reaping = false;
    if (status == RB_REFUSED && !rb_lease_is_fenced(w, w->lease->reap_generation, reply))
        rb_worker_refused(w, "reap", reply->str);
    if (status != RB_OK || reply->type != REDIS_REPLY_ARRAY || reply->elements < 3)
        return;
    rb_worker_heard_time(w, reply->element[0]->integer);
    if (w->lease->reap_generation != w->lease->generation)
        return; /* for a lease that is over: what it got belongs to others now */
    int64_t jobs = reply->element[1]->integer;
    int64_t poisoned = ((int64_t)reply->elements - 3) / 2;
    rb_lease_numbers_used(w->lease, w->lease->reap_first, REAP_BATCH, (size_t)poisoned);
    for (size_t i = 3; i + 1 < reply->elements; i += 2)
        if (reply->element[i + 1]->type == REDIS_REPLY_STRING)
            rb_begin(w, (uint64_t)reply->element[i]->integer,
                     rb_text(reply->element[i + 1]->str, reply->element[i + 1]->len));
    if (jobs + poisoned > 0) {
        rb_stats_add(w->stats, RB_STAT_REAPED, jobs + poisoned);
        rb_log(RB_LOG_WARN, "worker.reaped", RB_I("jobs", jobs),
               RB_I("poisoned", poisoned));
        rb_claims_poke(w);
    }
    if (reply->element[2]->integer > 0)
        reap(w);
}

static void reap(struct rb_worker *w) {
    struct rb_lease *lease = w->lease;
    struct rb_key workers, own, held, retry;
    char most_deliveries[24], first[24], most[24];
    if (lease->reaping || rb_claims_stopped(w))
        return;
    lease->reaping = true;
    lease->reap_generation = lease->generation;
    rb_key_workers(&w->keys, &workers);
    rb_key_held(&w->keys, rb_lease_id(lease), &own);
    rb_key_held(&w->keys, rb_text(NULL, 0), &held);
    rb_key_retry(&w->keys, rb_text(NULL, 0), &retry);
    snprintf(most_deliveries, sizeof most_deliveries, "%lld",
             (long long)w->live->worker.max_deliveries);
    lease->reap_first = rb_lease_numbers(lease, REAP_BATCH);
    snprintf(first, sizeof first, "%llu", (unsigned long long)lease->reap_first);
    snprintf(most, sizeof most, "%d", REAP_BATCH);
    const struct rb_text keys[] = {rb_key_text(&workers), rb_key_text(&own)};
    const struct rb_text args[] = {rb_lease_id(lease),  rb_key_text(&held),
                                   rb_key_text(&retry), rb_text_of(most_deliveries),
                                   rb_text_of(first),   rb_text_of(most)};
    rb_link_script(w->link, &rb_script_reap, 2, keys, 6, args, on_reaped, w);
}

bool rb_lease_is_reaping(const struct rb_worker *w) {
    return w->lease && w->lease->reaping;
}

/* ---- the heartbeat ---- */

/* Who should have renewed by now and has not will lapse before our next beat: be there
 * when it does. */
static void watch_lapse(struct rb_worker *w, int64_t end_ms) {
    struct rb_lease *lease = w->lease;
    int64_t in_ms = end_ms - rb_worker_unix_ms(w) + REAP_LATE_MS;
    ev_timer_stop(w->loop, &lease->lapse);
    if (end_ms < 0 || in_ms > w->settings->worker.lease / BEATS)
        return;
    ev_timer_set(&lease->lapse, (double)(in_ms > 1 ? in_ms : 1) / 1000.0, 0.0);
    ev_timer_start(w->loop, &lease->lapse);
}

static void on_renewed(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct rb_worker *w = ctx;
    struct rb_lease *lease = w->lease;
    bool over = lease->beat_generation != lease->generation;
    lease->beating = false;
    if (over && status != RB_UNAVAILABLE)
        rb_lease_renew(w); /* about a lease that is over: ask for the new one */
    if (lease->ended || over)
        return;
    if (status == RB_REFUSED && !rb_lease_is_fenced(w, lease->generation, reply))
        rb_worker_refused(w, "heartbeat", reply->str);
    if (status != RB_OK || reply->type != REDIS_REPLY_ARRAY || reply->elements != 6)
        return; /* again at the next beat, or when the link is up */
    rb_worker_heard_time(w, reply->element[0]->integer);
    rb_due_heard(w, reply->element[1]->integer);
    if (reply->element[3]->integer > 0)
        reap(w);
    watch_lapse(w, reply->element[4]->integer);
    rb_claim_lease_beat(w);
    rb_tallies_beat(w);

    bool first = !lease->granted, compare = lease->compare;
    lease->granted = true;
    lease->compare = false;
    if (first)
        rb_log(RB_LOG_INFO, "worker.leased", RB_S("worker", lease->id));
    if (compare)
        rb_held_compare(w);
    else if (!w->ready)
        rb_worker_set_ready(w);
    else
        rb_held_beat(w, reply->element[5]->integer);
}

void rb_lease_renew(struct rb_worker *w) {
    struct rb_lease *lease = w->lease;
    struct rb_key workers, due, held;
    char length[24];
    if (lease->beating || lease->ended)
        return;
    if (!ev_is_active(&lease->beat))
        ev_timer_again(w->loop, &lease->beat);
    if (!lease->id[0])
        new_id(lease);
    else if (!w->ready)
        lease->compare = lease->granted;
    lease->beating = true;
    lease->beat_generation = lease->generation;
    rb_key_workers(&w->keys, &workers);
    rb_key_due(&w->keys, &due);
    rb_key_held(&w->keys, rb_lease_id(lease), &held);
    snprintf(length, sizeof length, "%lld", (long long)w->settings->worker.lease);
    const struct rb_text keys[] = {rb_key_text(&workers), rb_key_text(&due),
                                   rb_key_text(&held)};
    const struct rb_text args[] = {rb_lease_id(lease), rb_text_of(length),
                                   lease->granted ? RB_TEXT("0") : RB_TEXT("1")};
    rb_link_script(w->link, &rb_script_heartbeat, 3, keys, 3, args, on_renewed, w);
}

void rb_lease_end(struct rb_worker *w) {
    w->lease->ended = true;
    ev_timer_stop(w->loop, &w->lease->beat);
    ev_timer_stop(w->loop, &w->lease->lapse);
}
