/* One timer says again what was kept. */
#include "worker/kept.h"

#include <stdlib.h>

#include "worker/finish.h"
#include "worker/stats.h"
#include "worker/worker.h"

#define WAIT_FIRST_S 0.1
#define WAIT_MAX_S 5.0

struct rb_kept {
    struct rb_worker *worker;
    ev_timer timer;
    double wait_s;
    struct rb_log_limit dropped_log;
};

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents) {
    struct rb_kept *kept = timer->data;
    (void)loop, (void)revents;
    if (kept->worker->ready)
        rb_kept_resume(kept->worker);
}

struct rb_kept *rb_kept_new(struct rb_worker *w) {
    struct rb_kept *kept = calloc(1, sizeof *kept);
    if (!kept)
        return NULL;
    kept->worker = w;
    kept->wait_s = WAIT_FIRST_S;
    ev_timer_init(&kept->timer, on_timer, 0.0, 0.0);
    kept->timer.data = kept;
    return kept;
}

void rb_kept_free(struct rb_kept *kept) {
    if (!kept)
        return;
    ev_timer_stop(kept->worker->loop, &kept->timer);
    free(kept);
}

/* Better a repeated call than to run out of memory for all. */
static void drop_result(struct rb_flight *f) {
    struct rb_worker *w = f->worker;
    unsigned held;
    rb_stats_add(w->stats, RB_STAT_RESULTS_DROPPED, 1);
    rb_stats_add(w->stats, RB_STAT_GIVEN_BACK, 1);
    if (rb_log_allow(&w->kept->dropped_log, w->now_ms, &held))
        rb_log(RB_LOG_WARN, "worker.result_dropped", RB_S("job", f->id),
               RB_S("service", f->job.service), RB_I("bytes", f->event.len + f->data_len),
               RB_I("kept_bytes", w->flights.kept_bytes), RB_I("suppressed", held));
    rb_buffer_fini(&f->event);
    free(f->data);
    f->data = NULL;
    f->data_len = 0;
    f->resume = RB_FLIGHT_RETURNING;
}

void rb_kept_add(struct rb_flight *f) {
    struct rb_worker *w = f->worker;
    struct rb_kept *kept = w->kept;
    f->resume = f->state;
    if (f->resume == RB_FLIGHT_PUBLISHING &&
        w->flights.kept_bytes + f->event.room + f->data_len >
            (size_t)w->live->worker.max_kept_bytes)
        drop_result(f);
    rb_flight_move(f, RB_FLIGHT_KEPT);
    if (!w->ready || ev_is_active(&kept->timer))
        return; /* set_ready, or the timer, resumes */
    ev_timer_set(&kept->timer, kept->wait_s, 0.0);
    ev_timer_start(w->loop, &kept->timer);
    kept->wait_s *= 2;
    if (kept->wait_s > WAIT_MAX_S)
        kept->wait_s = WAIT_MAX_S;
}

/* Those kept now; what fails again at once comes behind them. */
void rb_kept_resume(struct rb_worker *w) {
    struct rb_flight_list *in = &w->flights.in[RB_FLIGHT_KEPT];
    struct rb_flight *last = TAILQ_LAST(in, rb_flight_list), *f;
    while (last && (f = TAILQ_FIRST(in))) {
        rb_finish_resume(f);
        if (f == last)
            return;
    }
}

void rb_kept_went_well(struct rb_worker *w) { w->kept->wait_s = WAIT_FIRST_S; }
