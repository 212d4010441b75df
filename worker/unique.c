/* The keys of unique jobs, in Redis. */
#include "worker/unique.h"

#include <inttypes.h>
#include <stdio.h>

#include "jobs/name.h"
#include "worker/cancel.h"
#include "worker/claim.h"
#include "worker/coalesce.h"
#include "worker/finish.h"
#include "worker/flight.h"
#include "worker/stats.h"
#include "worker/worker.h"

/* A key ends by itself when nobody has dropped it: its job is then long lost. */
#define KEEP_MS 600000
#define REFUSED_MS 1000

static void duplicate(struct rb_flight *f, struct rb_text owner, struct rb_text channel) {
    rb_log(RB_LOG_INFO, "job.not_unique", RB_S("job", f->id),
           RB_S("service", f->job.service),
           RB_T("channel", rb_name_shown(rb_text_of(f->channel))),
           RB_S("unique", f->job.unique), RB_T("holder", owner));
    rb_stats_add(f->worker->stats, RB_STAT_NOT_UNIQUE, 1);
    /* Who waits on the same channel hears of the first; a failure in front of its result
     * would mislead them. */
    if (f->channel && rb_text_is(channel, f->channel))
        rb_finish_dropped(f, RB_FAIL_CANCELLED);
    else
        rb_finish_failed(f, RB_FAIL_CANCELLED,
                         "another job with the same unique key is in flight", 0);
}

static struct rb_text text_at(const struct redisReply *reply, size_t i) {
    if (reply->elements <= i || reply->element[i]->type != REDIS_REPLY_STRING)
        return rb_text(NULL, 0);
    return rb_text(reply->element[i]->str, reply->element[i]->len);
}

static void on_taken(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct rb_flight *f = ctx;
    struct rb_worker *w = f->worker;
    f->asked = false;
    if (f->state == RB_FLIGHT_LANDED)
        return;
    if (status == RB_REFUSED) {
        rb_worker_refused(w, "once", reply->str);
        rb_finish_park(f, rb_worker_unix_ms(w) + REFUSED_MS);
    } else if (status != RB_OK) {
        rb_finish_give_back(f);
    } else if (reply->type == REDIS_REPLY_STATUS ||
               (reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
                reply->element[0]->integer == 1)) {
        f->unique = true;
        if (f->cancelled)
            rb_cancels_end(f);
        else
            rb_coalesce_enter(f);
    } else if (reply->type == REDIS_REPLY_ARRAY) {
        duplicate(f, text_at(reply, 1), text_at(reply, 2));
    } else {
        duplicate(f, rb_text(NULL, 0), rb_text(NULL, 0));
    }
}

static void take(struct rb_flight *f, int64_t keep_ms, rb_link_reply_fn *fn, void *ctx) {
    struct rb_worker *w = f->worker;
    struct rb_key key;
    char keep[24];
    rb_key_once(&w->keys, rb_text_of(f->job.unique), &key);
    snprintf(keep, sizeof keep, "%" PRId64, keep_ms);
    const struct rb_text keys[] = {rb_key_text(&key)};
    const struct rb_text args[] = {RB_TEXT("take"), rb_text_of(f->id),
                                   rb_text_of(f->channel), rb_text_of(keep)};
    const struct rb_text argv[] = {RB_TEXT("SET"), keys[0],          args[1],
                                   RB_TEXT("PX"),  rb_text_of(keep), RB_TEXT("NX")};
    if (w->mode->scripts)
        rb_link_script(w->link, &rb_script_once, 1, keys, 4, args, fn, ctx);
    else
        rb_link_call(w->link, 0, fn, ctx, 6, argv);
}

static int64_t keep_ms(const struct rb_flight *f) {
    return KEEP_MS + f->definition->timeout.total;
}

void rb_unique_take(struct rb_flight *f) {
    f->asked = true;
    take(f, keep_ms(f), on_taken, f);
}

void rb_unique_keep(struct rb_flight *f) {
    if (f->unique)
        take(f, keep_ms(f) + f->park_until - rb_worker_unix_ms(f->worker), NULL, NULL);
}

void rb_unique_drop(struct rb_flight *f) {
    struct rb_worker *w = f->worker;
    struct rb_key key;
    /* The script drops it for its owner alone; and a job that was put aside, or whose
     * worker died, owns it without having taken it again. */
    if (!f->job.unique || (!f->unique && !w->mode->scripts))
        return;
    f->unique = false;
    rb_key_once(&w->keys, rb_text_of(f->job.unique), &key);
    const struct rb_text keys[] = {rb_key_text(&key)};
    const struct rb_text args[] = {RB_TEXT("drop"), rb_text_of(f->id)};
    const struct rb_text argv[] = {RB_TEXT("DEL"), keys[0]};
    if (w->mode->scripts)
        rb_link_script(w->link, &rb_script_once, 1, keys, 2, args, NULL, NULL);
    else
        rb_link_call(w->link, 0, NULL, NULL, 2, argv);
}
