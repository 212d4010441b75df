/* The timer of what is due. */
#include "worker/due.h"

#include <stdlib.h>

#include "worker/claim.h"
#include "worker/stats.h"
#include "worker/worker.h"

#define SOON_MS 15000     /* longer than a full service puts a job aside */
#define WAIT_MAX_MS 60000 /* clocks drift: look again at least so often */

struct rb_due {
    struct rb_worker *worker;
    ev_timer timer;
    int64_t next_ms; /* -1: none known */
};

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents) {
    struct rb_due *due = timer->data;
    (void)loop, (void)revents;
    due->next_ms = -1;
    if (due->worker->ready)
        due->worker->mode->promote(due->worker);
}

struct rb_due *rb_due_new(struct rb_worker *w) {
    struct rb_due *due = calloc(1, sizeof *due);
    if (!due)
        return NULL;
    due->worker = w;
    due->next_ms = -1;
    ev_timer_init(&due->timer, on_timer, 0.0, 0.0);
    due->timer.data = due;
    return due;
}

void rb_due_free(struct rb_due *due) {
    if (!due)
        return;
    ev_timer_stop(due->worker->loop, &due->timer);
    free(due);
}

/* What is heard is the earliest of all, so it replaces what was known. */
void rb_due_heard(struct rb_worker *w, int64_t next_ms) {
    struct rb_due *due = w->due;
    if (next_ms == due->next_ms && (next_ms < 0 || ev_is_active(&due->timer)))
        return;
    ev_timer_stop(w->loop, &due->timer);
    due->next_ms = next_ms;
    if (next_ms < 0)
        return;
    int64_t wait_ms = next_ms - rb_worker_unix_ms(w);
    if (wait_ms < 1)
        wait_ms = 1;
    if (wait_ms > WAIT_MAX_MS)
        wait_ms = WAIT_MAX_MS;
    ev_timer_set(&due->timer, (double)wait_ms / 1000.0, 0.0);
    ev_timer_start(w->loop, &due->timer);
}

bool rb_due_is_soon(const struct rb_worker *w) {
    return w->due->next_ms >= 0 && w->due->next_ms <= rb_worker_unix_ms(w) + SOON_MS;
}

void rb_due_promoted(struct rb_worker *w, int64_t jobs, int64_t next_ms) {
    rb_stats_add(w->stats, RB_STAT_PROMOTED, jobs);
    if (jobs > 0)
        rb_claims_poke(w);
    rb_due_heard(w, next_ms);
}
