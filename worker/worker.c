/* Brings the parts of the worker to life in their order, drives the turn of the loop, and
 * takes them down again. */
#include "worker/worker.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "config/clock.h"
#include "config/process.h"
#include "config/supervisor.h"
#include "worker/alone.h"
#include "worker/backend.h"
#include "worker/blocks.h"
#include "worker/call.h"
#include "worker/cancel.h"
#include "worker/claim.h"
#include "worker/coalesce.h"
#include "worker/drain.h"
#include "worker/due.h"
#include "worker/kept.h"
#include "worker/reload.h"
#include "worker/scrape.h"
#include "worker/stats.h"
#include "worker/tallies.h"
#include "worker/ticks.h"

#define RESERVED_DESCRIPTORS 64 /* log, loop, listener, name lookups, two a connect */
#define MIN_CONNECTIONS 8
#define SCRATCH_MAX_BYTES (64u * 1024 * 1024)

struct running {
    struct rb_worker worker;
    const struct rb_worker_options *options;
    struct rb_signals signals;
    ev_check begin;
    ev_prepare end;
    ev_timer watchdog;
    bool signals_on;
};

/* ---- the turn of the loop ---- */

static void on_turn_begins(struct ev_loop *loop, ev_check *check, int revents) {
    struct rb_worker *w = check->data;
    (void)loop, (void)revents;
    w->now_ms = rb_clock_ms();
}

/* The order matters: what ended makes room, room makes claims, and the links, whose turn
 * comes after this one, send all of it in one write. */
static void on_turn_ends(struct ev_loop *loop, ev_prepare *prepare, int revents) {
    struct rb_worker *w = prepare->data;
    (void)loop, (void)revents;
    rb_caller_turn(w->caller, w->now_ms);
    rb_drain_turn(w);
    rb_claims_turn(w);
    w->mode->turn(w);
    rb_stats_set(w->stats, RB_STAT_WAITING, w->flights.waiting);
    rb_flights_reap(&w->flights);
}

/* ---- Redis ---- */

static void on_link(void *ctx, bool up) {
    struct rb_worker *w = ctx;
    if (up) {
        w->mode->link_up(w);
        return;
    }
    rb_stats_add(w->stats, RB_STAT_LINK_LOSSES, 1);
    w->ready = false;
    rb_alones_forget(w);
    w->mode->link_down(w);
    rb_drain_link(w, false);
}

/* What is settled, and the claim of what that makes room for, before the events of the
 * calls that end in this turn: Redis works on them while they are made. */
static void on_replies(void *ctx) {
    struct rb_worker *w = ctx;
    if (!rb_claims_empty(w)) /* else it is the turn's end that waits, or drains */
        rb_claims_turn(w);
    w->mode->turn(w);
}

void rb_worker_set_ready(struct rb_worker *w) {
    w->ready = true;
    rb_drain_link(w, true);
    rb_kept_resume(w);
    rb_cancels_resume(w);
    rb_claims_resume(w);
    rb_ticks_run(w);
    if (w->announced)
        return;
    w->announced = true;
    rb_log(RB_LOG_INFO, "worker.ready", RB_S("claim", w->mode->name),
           RB_I("max_in_flight", w->limit),
           RB_I("services", rb_services_count(w->services)));
    rb_supervisor_ready();
}

bool rb_worker_refused(struct rb_worker *w, const char *what, const char *error) {
    static const char *const passing[] = {
        "OOM",       "READONLY", "LOADING",    "BUSY",        "MISCONF",    "MASTERDOWN",
        "UNBLOCKED", "TRYAGAIN", "NOREPLICAS", "CLUSTERDOWN", "UNKILLABLE",
    };
    struct rb_text code = rb_link_error_code(error);
    bool passes = false;
    unsigned held;
    if (rb_log_allow(&w->redis_log, w->now_ms, &held))
        rb_log(RB_LOG_WARN, "redis.refused", RB_S("what", what), RB_S("error", error),
               RB_I("suppressed", held));
    for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++)
        passes |= rb_text_is(code, passing[i]);
    if (rb_text_is(code, "UNBLOCKED"))
        rb_link_reset(w->link, "the server is no master any more");
    return passes;
}

/* ---- signals ---- */

static void on_stop(void *ctx) { rb_drain_begin(&((struct running *)ctx)->worker); }

static void on_reload(void *ctx) {
    struct running *r = ctx;
    rb_reload(&r->worker, r->options);
}

static void on_watchdog(struct ev_loop *loop, ev_timer *timer, int revents) {
    (void)loop, (void)timer, (void)revents;
    rb_process_notify("WATCHDOG=1");
}

static bool is_ready(void *ctx) { return ((struct rb_worker *)ctx)->ready; }

/* ---- birth ---- */

static void start_loop(struct running *r) {
    struct rb_worker *w = &r->worker;
    ev_check_init(&r->begin, on_turn_begins);
    ev_prepare_init(&r->end, on_turn_ends);
    ev_set_priority(&r->begin, EV_MAXPRI);
    r->begin.data = r->end.data = w;
    ev_check_start(w->loop, &r->begin);
    ev_prepare_start(w->loop, &r->end);
    double every_s = (double)rb_process_watchdog_ms() / 1000.0;
    ev_timer_init(&r->watchdog, on_watchdog, every_s, every_s);
    if (every_s > 0)
        ev_timer_start(w->loop, &r->watchdog);
    rb_signals_start(&r->signals, w->loop, on_stop, on_reload, r);
    r->signals_on = true;
}

/* A worker without metrics works all the same. */
static void start_scrape(struct running *r) {
    struct rb_worker *w = &r->worker;
    const struct rb_scrape_options options = {
        .address = rb_text_of(w->settings->worker.metrics),
        .metrics = r->options->metrics,
        .is_ready = is_ready,
        .ctx = w,
    };
    if (options.address.len == 0 || r->options->until_empty)
        return;
    w->scrape = rb_scrape_new(w->loop, &options);
    if (!w->scrape)
        rb_log(RB_LOG_ERROR, "worker.metrics_unavailable",
               RB_T("address", options.address), RB_S("error", strerror(errno)));
}

static void configure(struct running *r) {
    struct rb_worker *w = &r->worker;
    const struct rb_settings *s = w->live = w->settings = r->options->settings;
    int64_t links = 2 + 2 * (int64_t)s->worker.queues.count;
    w->services = r->options->services;
    w->keys.jobs = rb_text_of(s->redis.job_prefix);
    w->keys.channels = rb_text_of(s->redis.channel_prefix);
    w->mode = s->worker.claim == RB_CLAIM_BLPOP ? &rb_claim_by_blpop : &rb_claim_by_lease;
    w->policy.keys = w->keys;
    w->policy.scripts = w->mode->scripts;
    w->connections_max = r->options->descriptors - RESERVED_DESCRIPTORS - links;
    if (w->connections_max < MIN_CONNECTIONS)
        w->connections_max = MIN_CONNECTIONS;
    w->now_ms = rb_clock_ms();
    w->ahead_ms = rb_clock_unix_ms() - w->now_ms;
    rb_buffer_init(&w->scratch, SCRATCH_MAX_BYTES);
    rb_flights_init(&w->flights);
}

static bool make_parts(struct running *r) {
    struct rb_worker *w = &r->worker;
    const struct rb_settings *s = w->settings;
    const struct rb_caller_options caller = {
        .max_in_flight = s->worker.max_in_flight < w->connections_max
                             ? s->worker.max_in_flight
                             : w->connections_max,
        .descriptors = w->connections_max,
        .stats = NULL,
    };
    struct rb_caller_options with_stats = caller;
    const struct rb_link_options link = {
        .address = &w->address,
        .name = "ringback-worker",
        .connect_timeout_ms = s->redis.connect_timeout,
        .command_timeout_ms = s->redis.command_timeout,
        .on_state = on_link,
        .on_replies = on_replies,
        .ctx = w,
        .urgent = true, /* an event before the wait for the next job */
    };
    w->stats = rb_stats_new(r->options->metrics);
    if (!w->stats)
        return false;
    with_stats.stats = w->stats;
    w->tallies = rb_tallies_new();
    w->backends = rb_backends_new(w);
    w->caller = rb_caller_new(w->loop, &with_stats);
    w->claims = rb_claims_new(w);
    w->coalesce = rb_coalesce_new(w);
    w->kept = rb_kept_new(w);
    w->due = rb_due_new(w);
    w->cancels = rb_cancels_new(w);
    w->alones = rb_alones_new(w);
    w->ticks = rb_ticks_new(w);
    w->drain = rb_drain_new(w, r->options->until_empty);
    w->link = rb_link_new(w->loop, &link);
    return w->tallies && w->backends && w->caller && w->claims && w->coalesce &&
           w->kept && w->due && w->cancels && w->alones && w->ticks && w->drain &&
           w->link && w->mode->start(w) == RB_OK && rb_reload_apply(w) == RB_OK;
}

/* ---- the end ---- */

/* Links first, so that nothing calls back any more. */
static void take_down(struct running *r) {
    struct rb_worker *w = &r->worker;
    rb_link_free(w->link);
    rb_cancels_free(w->cancels);
    w->link = NULL;
    if (w->claims)
        w->mode->stop(w);
    if (w->claims)
        rb_flights_fini(&w->flights);
    rb_scrape_free(w->scrape);
    rb_drain_free(w->drain);
    rb_alones_free(w->alones);
    rb_ticks_free(w->ticks);
    rb_due_free(w->due);
    rb_kept_free(w->kept);
    rb_claims_free(w->claims);
    rb_coalesce_free(w->coalesce);
    rb_caller_free(w->caller);
    rb_backends_free(w->backends);
    rb_tallies_free(w->tallies);
    rb_stats_free(w->stats);
    rb_network_free(w->allow);
    rb_network_free(w->deny);
    if (w->live != w->settings)
        rb_settings_free(w->live);
    rb_settings_free(w->settings);
    rb_services_unref(w->services);
    rb_redis_address_fini(&w->address);
    rb_buffer_fini(&w->scratch);
    if (r->signals_on) {
        rb_signals_stop(&r->signals, w->loop);
        ev_timer_stop(w->loop, &r->watchdog);
        ev_check_stop(w->loop, &r->begin);
        ev_prepare_stop(w->loop, &r->end);
    }
    if (w->loop)
        ev_loop_destroy(w->loop);
}

int rb_worker_run(const struct rb_worker_options *options) {
    struct running r = {.options = options};
    struct rb_worker *w = &r.worker;
    struct rb_error error = {0};
    int code = RB_EXIT_FAILURE;

    configure(&r);
    if (rb_blocks_start() != RB_OK) {
        rb_log(RB_LOG_ERROR, "worker.not_started",
               RB_S("error", "libcurl did not start"));
        goto out;
    }
    if (rb_redis_address_of_settings(w->settings, &w->address, &error) != RB_OK) {
        rb_error_print(&error);
        code = RB_EXIT_CONFIG;
        goto out;
    }
    w->loop = ev_loop_new(EVFLAG_AUTO);
    if (!w->loop || !make_parts(&r)) {
        rb_log(RB_LOG_ERROR, "worker.not_started", RB_S("error", "out of memory"));
        goto out;
    }
    start_loop(&r);
    start_scrape(&r);
    rb_log(RB_LOG_INFO, "worker.started", RB_S("version", RINGBACK_VERSION),
           RB_S("claim", w->mode->name), RB_S("config", w->settings->file),
           RB_I("processes", w->settings->worker.processes));
    rb_reload_warn(w->services, time(NULL));
    rb_drain_link(w, false);
    ev_run(w->loop, 0);
    code = rb_drain_exit_code(w);
    rb_log(RB_LOG_INFO, "worker.stopped", RB_I("exit_code", code));
out:
    take_down(&r);
    curl_global_cleanup();
    rb_blocks_trim();
    return code;
}
