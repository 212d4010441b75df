/* The clock of recurring jobs. */
#include "worker/ticks.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jobs/name.h"
#include "jobs/schedule.h"
#include "worker/claim.h"
#include "worker/stats.h"
#include "worker/worker.h"

#define MADE_UP_S 60
#define REMEMBERED_MS                                                                    \
    "3600000"             /* that a time was queued; workers' clocks agree better        \
                           */
#define WAIT_MAX_MS 60000 /* clocks drift: look again at least so often */
#define RETRY_MS 1000     /* after Redis refused */

struct rb_ticks {
    struct rb_worker *worker;
    ev_timer timer;
    int64_t until_s; /* unix: all times up to here are seen to */
};

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents) {
    struct rb_ticks *ticks = timer->data;
    (void)loop, (void)revents;
    rb_ticks_run(ticks->worker);
}

struct rb_ticks *rb_ticks_new(struct rb_worker *w) {
    struct rb_ticks *ticks = calloc(1, sizeof *ticks);
    if (!ticks)
        return NULL;
    ticks->worker = w;
    ev_timer_init(&ticks->timer, on_timer, 0.0, 0.0);
    ticks->timer.data = ticks;
    return ticks;
}

void rb_ticks_free(struct rb_ticks *ticks) {
    if (!ticks)
        return;
    ev_timer_stop(ticks->worker->loop, &ticks->timer);
    free(ticks);
}

/* One time of one schedule, on its way to Redis. */
struct tick {
    struct rb_worker *worker;
    int64_t at_s;
    char service[RB_NAME_MAX + 1];
    struct rb_key queue;
    size_t len;
    char job[];
};

static void told(const struct tick *t) {
    rb_stats_add(t->worker->stats, RB_STAT_TICKS, 1);
    rb_log(RB_LOG_INFO, "job.scheduled", RB_S("service", t->service));
}

static void look_in(struct rb_ticks *ticks, int64_t wait_ms) {
    struct ev_loop *loop = ticks->worker->loop;
    ev_timer_stop(loop, &ticks->timer);
    ev_timer_set(&ticks->timer, (double)wait_ms / 1000.0, 0.0);
    ev_timer_start(loop, &ticks->timer);
}

/* Nobody may have queued it: it is seen to again, soon or when Redis is back. Times
 * behind it are told to Redis twice, which remembers them. */
static void again(const struct tick *t) {
    struct rb_ticks *ticks = t->worker->ticks;
    if (ticks->until_s >= t->at_s)
        ticks->until_s = t->at_s - 1;
    look_in(ticks, RETRY_MS);
}

/* By script the job is queued already; without, whoever set the key queues it. */
static void on_ticked(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct tick *t = ctx;
    struct rb_worker *w = t->worker;
    if (status == RB_REFUSED)
        rb_worker_refused(w, "tick", reply->str);
    if (status != RB_OK && status != RB_CANCELLED) {
        again(t);
    } else if (status == RB_OK && reply->type == REDIS_REPLY_STATUS) {
        const struct rb_text argv[] = {RB_TEXT("RPUSH"), rb_key_text(&t->queue),
                                       rb_text(t->job, t->len)};
        rb_link_call(w->link, 0, NULL, NULL, 3, argv);
        told(t);
    } else if (status == RB_OK && reply->type == REDIS_REPLY_INTEGER &&
               reply->integer == 1) {
        told(t);
    }
    free(t);
}

static void send_tick(struct tick *t, int64_t at_s) {
    struct rb_worker *w = t->worker;
    struct rb_key once;
    rb_key_tick(&w->keys, rb_text_of(t->service), at_s, &once);
    const struct rb_text keys[] = {rb_key_text(&once), rb_key_text(&t->queue)};
    const struct rb_text args[] = {RB_TEXT(REMEMBERED_MS), rb_text(t->job, t->len)};
    const struct rb_text argv[] = {RB_TEXT("SET"), keys[0], RB_TEXT("1"),
                                   RB_TEXT("PX"),  args[0], RB_TEXT("NX")};
    if (w->mode->scripts)
        rb_link_script(w->link, &rb_script_tick, 2, keys, 2, args, on_ticked, t);
    else
        rb_link_call(w->link, 0, on_ticked, t, 6, argv);
}

static void queue_job(struct rb_worker *w, const struct rb_definition *d, int64_t at_s) {
    char id[RB_JOB_ID_MAX + 1];
    struct rb_job job = {
        .id = id,
        .service = d->service,
        .params = d->schedule->params,
        .at = at_s * 1000,
    };
    struct rb_buffer text;
    snprintf(id, sizeof id, "tick:%s:%" PRId64, d->service, at_s);
    rb_buffer_init(&text, RB_JOB_MAX_BYTES);
    rb_job_write(&job, &text);
    struct tick *t = text.status == RB_OK ? malloc(sizeof *t + text.len) : NULL;
    if (t) {
        t->worker = w;
        t->at_s = at_s;
        snprintf(t->service, sizeof t->service, "%s", d->service);
        rb_key_queue(&w->keys, rb_text_of(w->settings->worker.queues.items[0]),
                     &t->queue);
        t->len = text.len;
        memcpy(t->job, text.at, text.len);
        send_tick(t, at_s);
    } else {
        rb_log(RB_LOG_ERROR, "job.not_scheduled", RB_S("service", d->service),
               RB_S("error", "out of memory"));
    }
    rb_buffer_fini(&text);
}

/* All times behind after_s that have come; returns the next one. */
static int64_t catch_up(struct rb_worker *w, const struct rb_definition *d,
                        int64_t after_s, int64_t now_s) {
    int64_t next_s = rb_schedule_next(d->schedule, after_s);
    while (next_s <= now_s) {
        queue_job(w, d, next_s);
        next_s = rb_schedule_next(d->schedule, next_s);
    }
    return next_s;
}

void rb_ticks_run(struct rb_worker *w) {
    struct rb_ticks *ticks = w->ticks;
    int64_t unix_ms = rb_worker_unix_ms(w), now_s = unix_ms / 1000;
    int64_t next_s = RB_CRON_NEVER;
    ev_timer_stop(w->loop, &ticks->timer);
    if (!w->ready || rb_claims_stopped(w))
        return; /* set_ready runs it; and a worker that ends leaves it to others */
    if (ticks->until_s < now_s - MADE_UP_S)
        ticks->until_s = now_s - MADE_UP_S;
    for (size_t i = 0; i < rb_services_count(w->services); i++) {
        const struct rb_definition *d = rb_services_at(w->services, i);
        if (!d->schedule)
            continue;
        int64_t at_s = catch_up(w, d, ticks->until_s, now_s);
        rb_log(RB_LOG_DEBUG, "schedule.next", RB_S("service", d->service),
               RB_I("at", at_s));
        next_s = at_s < next_s ? at_s : next_s;
    }
    if (ticks->until_s < now_s)
        ticks->until_s = now_s;
    if (next_s == RB_CRON_NEVER)
        return;
    int64_t wait_ms = next_s * 1000 - unix_ms;
    look_in(ticks, wait_ms < WAIT_MAX_MS ? wait_ms : WAIT_MAX_MS);
}
