/* Asking whether anybody waits. */
#include "worker/alone.h"

#include <stdlib.h>

#include "jobs/name.h"
#include "worker/cancel.h"
#include "worker/stats.h"
#include "worker/worker.h"

#define TICK_MS 1000
#define PAUSE_MAX_MS                                                                     \
    4000          /* a notifier stays 5 s longer than its last waiter: each is seen */
#define NAMES 512 /* channels in one command */

TAILQ_HEAD(watched, rb_flight);

struct rb_alones {
    struct rb_worker *worker;
    ev_timer timer;
    struct watched watched;
};

/* One command on its way. A flight that leaves meanwhile takes itself out of its seat. */
struct look {
    struct rb_worker *worker;
    int64_t asked_ms;
    size_t count;
    struct rb_flight *seats[NAMES];
};

/* ---- the rule ---- */

int64_t rb_alone_pause_ms(int64_t grace_ms) {
    int64_t pause_ms = grace_ms / 4;
    return pause_ms < TICK_MS        ? TICK_MS
           : pause_ms > PAUSE_MAX_MS ? PAUSE_MAX_MS
                                     : pause_ms;
}

bool rb_alone_judge(int64_t *since_ms, int64_t grace_ms, int64_t asked_ms,
                    int64_t subscribers) {
    if (subscribers != 0)
        *since_ms = RB_ALONE_NOT;
    else if (*since_ms == RB_ALONE_NOT)
        *since_ms = asked_ms;
    return *since_ms != RB_ALONE_NOT && asked_ms - *since_ms >= grace_ms;
}

/* ---- answers ---- */

static void end(struct rb_flight *f) {
    struct rb_worker *w = f->worker;
    rb_log(RB_LOG_DEBUG, "job.alone", RB_S("job", f->id), RB_S("service", f->job.service),
           RB_T("channel", rb_name_shown(rb_text_of(f->channel))),
           RB_I("ms", w->now_ms - f->claimed_ms));
    rb_stats_add(w->stats, RB_STAT_ALONE, 1);
    f->alone.over = f->cancelled = true;
    if (!f->asked) /* else when that is answered */
        rb_cancels_end(f);
}

/* {name, number, name, number, …} in the order of the question. */
static bool parse_subscribers(const struct redisReply *reply, size_t i, int64_t *number) {
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements <= 2 * i + 1 ||
        reply->element[2 * i + 1]->type != REDIS_REPLY_INTEGER)
        return false;
    *number = reply->element[2 * i + 1]->integer;
    return true;
}

static void on_looked(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct look *look = ctx;
    if (status == RB_REFUSED)
        rb_worker_refused(look->worker, "numsub", reply->str);
    for (size_t i = 0; i < look->count; i++) {
        struct rb_flight *f = look->seats[i];
        int64_t subscribers;
        if (!f)
            continue;
        f->alone.seat = NULL;
        if (status != RB_OK || !parse_subscribers(reply, i, &subscribers))
            f->alone.since_ms = RB_ALONE_NOT;
        else if (rb_alone_judge(&f->alone.since_ms,
                                f->definition->cancel_when_alone.grace_ms, look->asked_ms,
                                subscribers) &&
                 !f->cancelled)
            end(f);
    }
    free(look);
}

/* ---- questions ---- */

static void ask(struct look *look) {
    struct rb_worker *w = look->worker;
    struct rb_text argv[2 + NAMES] = {RB_TEXT("PUBSUB"), RB_TEXT("NUMSUB")};
    struct rb_key *keys = calloc(look->count, sizeof *keys);
    if (!keys) {
        on_looked(look, RB_NOMEM, NULL);
        return;
    }
    for (size_t i = 0; i < look->count; i++) {
        rb_key_channel(&w->keys, rb_text_of(look->seats[i]->channel), &keys[i]);
        argv[2 + i] = rb_key_text(&keys[i]);
    }
    rb_link_call(w->link, 0, on_looked, look, 2 + look->count, argv);
    free(keys);
}

static struct look *look_new(struct rb_worker *w) {
    struct look *look = calloc(1, sizeof *look);
    if (!look)
        return NULL;
    look->worker = w;
    look->asked_ms = w->now_ms;
    return look;
}

static void take_seat(struct look *look, struct rb_flight *f) {
    f->alone.seat = &look->seats[look->count++];
    *f->alone.seat = f;
    f->alone.look_ms =
        look->asked_ms + rb_alone_pause_ms(f->definition->cancel_when_alone.grace_ms);
}

/* All who are due, as many as there are. Nobody ends in here: answers come later. */
static void look_at_due(struct rb_alones *alones) {
    struct rb_worker *w = alones->worker;
    struct look *look = NULL;
    struct rb_flight *f;
    TAILQ_FOREACH (f, &alones->watched, alone.link) {
        if (f->alone.seat || f->alone.look_ms > w->now_ms + TICK_MS / 2)
            continue;
        if (!look)
            look = look_new(w);
        if (!look)
            return;
        take_seat(look, f);
        if (look->count == NAMES) {
            ask(look);
            look = NULL;
        }
    }
    if (look)
        ask(look);
}

void rb_alones_forget(struct rb_worker *w) {
    struct rb_flight *f;
    TAILQ_FOREACH (f, &w->alones->watched, alone.link)
        f->alone.since_ms = RB_ALONE_NOT;
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int revents) {
    struct rb_alones *alones = timer->data;
    (void)revents;
    if (TAILQ_EMPTY(&alones->watched))
        ev_timer_stop(loop, timer);
    else if (rb_link_up(alones->worker->link))
        look_at_due(alones);
}

/* ---- who is watched ---- */

void rb_alone_join(struct rb_flight *f) {
    struct rb_worker *w = f->worker;
    if (!f->channel || f->definition->cancel_when_alone.grace_ms == 0)
        return;
    f->alone = (struct rb_alone){
        .watched = true, .since_ms = RB_ALONE_NOT, .look_ms = w->now_ms};
    TAILQ_INSERT_TAIL(&w->alones->watched, f, alone.link);
    if (!ev_is_active(&w->alones->timer))
        ev_timer_again(w->loop, &w->alones->timer);
}

void rb_alone_leave(struct rb_flight *f) {
    if (!f->alone.watched)
        return;
    f->alone.watched = false;
    TAILQ_REMOVE(&f->worker->alones->watched, f, alone.link);
    if (f->alone.seat)
        *f->alone.seat = NULL;
    f->alone.seat = NULL;
}

struct rb_alones *rb_alones_new(struct rb_worker *w) {
    struct rb_alones *alones = calloc(1, sizeof *alones);
    if (!alones)
        return NULL;
    alones->worker = w;
    TAILQ_INIT(&alones->watched);
    ev_timer_init(&alones->timer, on_tick, 0.0, TICK_MS / 1e3);
    alones->timer.data = alones;
    return alones;
}

void rb_alones_free(struct rb_alones *alones) {
    if (!alones)
        return;
    ev_timer_stop(alones->worker->loop, &alones->timer);
    free(alones);
}
