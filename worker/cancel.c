/* Hearing of cancelled jobs, and of queues that are paused or resumed. */
#include "worker/cancel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/process.h"
#include "jobs/name.h"
#include "jobs/pause.h"
#include "jobs/subscriber.h"
#include "worker/claim.h"
#include "worker/coalesce.h"
#include "worker/finish.h"
#include "worker/gate.h"
#include "worker/worker.h"

#define PROBE_MS 10000
#define PAUSED_MS 2000   /* so long at least a job of a paused service is put aside */
#define LOOKS_PER_S 1000 /* of such jobs */
#define MARGIN_MS 60000  /* by which clocks and answers may be late */
#define LATE_MAX 64

struct rb_cancels {
    struct rb_subscriber *subscriber;
    const struct redisReply *claimed, *paused;
    bool subscribed;
    bool asking;
    bool again;       /* what is asked now may not tell of all */
    int64_t asked_ms; /* unix ms of the last question, and of the last one answered: */
    int64_t heard_ms; /* what is older was heard of */
    int64_t paused_until_ms; /* when the last of those put aside looks again */
    /* The last ones heard of, a ring. The answer to a claim that was sent before comes
     * over another link, and may bring such a job, taken before it was cancelled. */
    struct late {
        char id[RB_JOB_ID_MAX + 1];
        uint64_t claim; /* the last one that was sent by then */
    } late[LATE_MAX];
    size_t lates;        /* ever */
    uint64_t lost_claim; /* of the last one that fell out of the ring */
    uint64_t claim;      /* the one whose jobs begin now */
};

void rb_cancels_end(struct rb_flight *f) {
    rb_flight_hang_up(f);
    rb_coalesce_leave(f);
    rb_gate_withdraw(f);
    rb_finish_failed(f, RB_FAIL_CANCELLED,
                     f->alone.over ? "nobody waited for the result any more"
                                   : "the job was cancelled",
                     0);
}

/* What is on its way out already takes its way; what goes back to Redis is found when it
 * is claimed again. */
static bool is_in_hand(enum rb_flight_state state) {
    return state == RB_FLIGHT_BOARDING || state == RB_FLIGHT_ASKING ||
           state == RB_FLIGHT_WAITING || state == RB_FLIGHT_CALLING;
}

static struct rb_flight *find(struct rb_worker *w, struct rb_text id) {
    struct rb_flight *f;
    for (int state = 0; state < RB_FLIGHT_LANDED; state++)
        if (is_in_hand((enum rb_flight_state)state))
            TAILQ_FOREACH (f, &w->flights.in[state], link)
                if (!f->cancelled && rb_text_is(id, f->id))
                    return f;
    return NULL;
}

/* More than one may have the id: that is up to those who make them. */
static void hear(struct rb_worker *w, struct rb_text id) {
    struct rb_flight *f;
    while ((f = find(w, id))) {
        f->cancelled = true;
        if (!f->asked) /* else when that is answered */
            rb_cancels_end(f);
    }
}

/* ---- what was missed ---- */

static void ask_missed(struct rb_worker *w);

static void on_missed(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct rb_worker *w = ctx;
    struct rb_cancels *cancels = w->cancels;
    cancels->asking = false;
    if (status == RB_REFUSED)
        rb_worker_refused(w, "cancelled", reply->str);
    if (status != RB_OK || reply->type != REDIS_REPLY_ARRAY)
        return; /* again when the link is up */
    cancels->heard_ms = cancels->asked_ms;
    for (size_t i = 0; i < reply->elements; i++)
        if (reply->element[i]->type == REDIS_REPLY_STRING)
            hear(w, rb_text(reply->element[i]->str, reply->element[i]->len));
    if (cancels->again)
        ask_missed(w);
}

static void ask_missed(struct rb_worker *w) {
    struct rb_cancels *cancels = w->cancels;
    struct rb_key key;
    char since[24];
    cancels->again = cancels->asking;
    if (!cancels->subscribed || cancels->asking || !rb_link_up(w->link))
        return;
    cancels->asked_ms = rb_worker_unix_ms(w);
    if (w->flights.count == 0) {
        cancels->heard_ms = cancels->asked_ms;
        return;
    }
    cancels->asking = true;
    rb_key_cancelled(&w->keys, &key);
    snprintf(since, sizeof since, "%lld", (long long)(cancels->heard_ms - MARGIN_MS));
    const struct rb_text argv[] = {RB_TEXT("ZRANGEBYSCORE"), rb_key_text(&key),
                                   rb_text_of(since), RB_TEXT("+inf")};
    rb_link_call(w->link, 0, on_missed, w, 4, argv);
}

void rb_cancels_resume(struct rb_worker *w) { ask_missed(w); }

/* ---- what is told ---- */

static void on_state(void *ctx, bool up) {
    struct rb_worker *w = ctx;
    struct rb_key cancelled, paused;
    w->cancels->subscribed = false;
    if (!up)
        return;
    rb_key_cancelled(&w->keys, &cancelled);
    rb_key_paused(&w->keys, &paused);
    rb_subscriber_subscribe(w->cancels->subscriber, rb_key_text(&cancelled));
    rb_subscriber_subscribe(w->cancels->subscriber, rb_key_text(&paused));
}

static bool is_cancelled(const struct rb_worker *w, struct rb_text name) {
    struct rb_key key;
    rb_key_cancelled(&w->keys, &key);
    return rb_text_equal(name, rb_key_text(&key));
}

static void on_subscribed(void *ctx, struct rb_text name) {
    struct rb_worker *w = ctx;
    if (!is_cancelled(w, name))
        return;
    w->cancels->subscribed = true;
    ask_missed(w);
}

static void keep_late(struct rb_worker *w, struct rb_text id) {
    struct rb_cancels *cancels = w->cancels;
    struct late *late = &cancels->late[cancels->lates % LATE_MAX];
    if (!w->waits || id.len > RB_JOB_ID_MAX)
        return;
    if (cancels->lates++ >= LATE_MAX)
        cancels->lost_claim = late->claim;
    late->claim = rb_claims_counted(w);
    snprintf(late->id, sizeof late->id, RB_TEXT_FMT, RB_TEXT_ARG(id));
}

/* Of what is paused or not any more the next claim tells: only that there is reason for
 * one must be heard. */
static void on_message(void *ctx, struct rb_text name, struct rb_text payload) {
    struct rb_worker *w = ctx;
    if (is_cancelled(w, name)) {
        hear(w, payload);
        keep_late(w, payload);
    } else if (w->waits) {
        rb_claim_lease_beat(w);
    }
}

/* Those that were too many to keep are among the latest notes. */
static void look_up_lost(struct rb_worker *w) {
    struct rb_cancels *cancels = w->cancels;
    if (cancels->subscribed && !cancels->asking)
        cancels->heard_ms = rb_worker_unix_ms(w);
    ask_missed(w);
}

void rb_cancels_claimed(struct rb_worker *w, uint64_t claim, const struct redisReply *ids,
                        const struct redisReply *paused) {
    w->cancels->claim = claim;
    w->cancels->claimed = ids;
    w->cancels->paused = paused;
    if (!ids && claim <= w->cancels->lost_claim)
        look_up_lost(w);
}

bool rb_cancels_pause(const struct rb_worker *w, const struct rb_flight *f) {
    return rb_pause_has(w->cancels->paused, RB_PAUSE_SERVICE, rb_text_of(f->job.service));
}

/* A few look again soon; of a long backlog a thousand a second, at a few percent of a
 * core, whatever its length. */
int64_t rb_cancels_pause_ms(struct rb_worker *w) {
    struct rb_cancels *cancels = w->cancels;
    if (cancels->paused_until_ms < w->now_ms + PAUSED_MS)
        cancels->paused_until_ms = w->now_ms + PAUSED_MS;
    cancels->paused_until_ms += 1000 / LOOKS_PER_S;
    return cancels->paused_until_ms - w->now_ms +
           (int64_t)(rb_process_random() % PAUSED_MS);
}

bool rb_cancels_has(const struct rb_worker *w, const struct rb_flight *f) {
    const struct redisReply *ids = w->cancels->claimed;
    for (size_t i = 0; ids && i < ids->elements; i++)
        if (ids->element[i]->type == REDIS_REPLY_STRING &&
            rb_text_is(rb_text(ids->element[i]->str, ids->element[i]->len), f->id))
            return true;
    for (size_t i = 0; i < w->cancels->lates && i < LATE_MAX; i++)
        if (w->cancels->claim <= w->cancels->late[i].claim &&
            strcmp(w->cancels->late[i].id, f->id) == 0)
            return true;
    return false;
}

/* ---- birth and end ---- */

struct rb_cancels *rb_cancels_new(struct rb_worker *w) {
    static const struct rb_subscriber_events events = {
        .on_state = on_state,
        .on_subscribed = on_subscribed,
        .on_message = on_message,
    };
    struct rb_cancels *cancels = calloc(1, sizeof *cancels);
    const struct rb_subscriber_options options = {
        .address = &w->address,
        .name = "ringback-worker-cancel",
        .connect_timeout_ms = w->settings->redis.connect_timeout,
        .probe_ms = PROBE_MS,
    };
    if (!cancels)
        return NULL;
    cancels->heard_ms = rb_worker_unix_ms(w);
    cancels->subscriber = rb_subscriber_new(w->loop, &options, &events, w);
    if (!cancels->subscriber) {
        free(cancels);
        return NULL;
    }
    return cancels;
}

void rb_cancels_free(struct rb_cancels *cancels) {
    if (!cancels)
        return;
    rb_subscriber_free(cancels->subscriber);
    free(cancels);
}
