/* ringback status: what waits, what is held, and by whom. */
#include <stdio.h>

#include "jobs/cli/cli.h"
#include "jobs/cli/figures.h"
#include "jobs/overview.h"

#define EVERY_MS 2000
#define EVERY_LEAST_MS 100
#define JSON_BYTES ((size_t)64 * 1024 * 1024)

/* ---- asking ---- */

static void on_overview(void *ctx, struct rb_overview *overview) {
    *(struct rb_overview **)ctx = overview;
}

/* NULL when out of memory, or Redis did not tell all: that is said. */
static struct rb_overview *look(struct rb_cli *cli) {
    struct rb_overview *o = NULL;
    rb_overview_ask(cli->link, &cli->keys, &cli->settings->worker.queues, on_overview,
                    &o);
    rb_cli_settle(cli);
    if (!o || o->status != RB_OK) {
        rb_cli_say("%s", o ? o->error : "out of memory");
        rb_overview_free(o);
        return NULL;
    }
    if (!o->figures.told) {
        rb_figures_fini(&o->figures);
        rb_figures_fetch(cli->settings->worker.metrics, &o->figures);
        o->figures.at_ms = o->now_ms;
    }
    return o;
}

/* ---- telling ---- */

/* "-" for what is not known. */
static const char *seconds(char room[32], double value) {
    if (value < 0)
        return "-";
    snprintf(room, 32, value < 10 ? "%.3fs" : "%.0fs", value);
    return room;
}

static void print_queues(const struct rb_overview *o) {
    char age[32];
    printf("%-24s %10s %10s %10s\n", "QUEUE", "WAITING", "RETRY", "OLDEST");
    for (size_t i = 0; i < o->queue_count; i++) {
        const struct rb_overview_queue *q = &o->queues[i];
        printf("%-24s %10lld %10lld %10s%s\n", q->name, q->waiting, q->retry,
               seconds(age, rb_overview_age_s(o, q)), q->paused ? "  paused" : "");
    }
    printf("\ndue %lld, dead %lld\n", o->due, o->dead);
    for (size_t i = 0; i < o->paused_service_count; i++)
        printf("%s%s", i > 0 ? ", " : "paused services: ", o->paused_services[i]);
    if (o->paused_service_count > 0)
        puts("");
}

static void print_workers(const struct rb_overview *o) {
    if (o->worker_count == 0)
        puts("\nno workers");
    else
        printf("\n%-40s %10s %10s\n", "WORKER", "LEASE", "HOLDS");
    for (size_t i = 0; i < o->worker_count; i++) {
        const struct rb_overview_worker *w = &o->workers[i];
        double left = (w->lease_end_ms - o->now_ms) / 1000;
        if (left > 0)
            printf("%-40s %9.1fs %10lld\n", w->id, left, w->held);
        else
            printf("%-40s %10s %10lld\n", w->id, "lapsed", w->held);
    }
}

static void print_services(const struct rb_overview *o,
                           const struct rb_overview *before) {
    char p50[32], p95[32], hits[16], speed[32];
    if (o->figures.count > 0)
        printf("\n%-24s %8s %9s %9s %8s %8s %8s %6s %s\n", "SERVICE", "FLIGHT", "DONE",
               "FAILED", "CALLS/s", "P50", "P95", "CACHE", "BREAKER");
    for (size_t i = 0; i < o->figures.count; i++) {
        const struct rb_figure *f = &o->figures.at[i];
        double per_s = rb_figure_rate(f, &o->figures, before ? &before->figures : NULL);
        snprintf(speed, sizeof speed, "%.1f", per_s);
        snprintf(hits, sizeof hits, "%.0f%%", 100 * f->cache_hits / f->cache_lookups);
        printf("%-24s %8.0f %9.0f %9.0f %8s %8s %8s %6s %s\n", f->service, f->in_flight,
               f->done, f->failed, per_s < 0 ? "-" : speed, seconds(p50, f->p50_s),
               seconds(p95, f->p95_s), f->cache_lookups > 0 ? hits : "-",
               rb_figure_breaker(f));
    }
}

static void print_json(const struct rb_overview *o, const struct rb_overview *before) {
    struct rb_buffer json;
    rb_buffer_init(&json, JSON_BYTES);
    rb_buffer_char(&json, '{');
    rb_overview_write(&json, o, before, false);
    rb_buffer_char(&json, '}');
    if (json.status == RB_OK)
        puts(json.at);
    else
        rb_cli_say("%s", rb_status_text(json.status));
    rb_buffer_fini(&json);
}

/* ---- the verb ---- */

static void tell(const struct rb_overview *o, const struct rb_overview *before, bool json,
                 bool watch) {
    if (json) {
        print_json(o, before);
        return;
    }
    if (watch)
        fputs("\033[H\033[2J", stdout); /* the top of an empty screen */
    print_queues(o);
    print_workers(o);
    print_services(o, before);
}

static void on_rest(struct ev_loop *loop, struct ev_timer *timer, int events) {
    (void)timer, (void)events;
    ev_break(loop, EVBREAK_ONE);
}

static void rest(struct rb_cli *cli, int64_t ms) {
    struct ev_timer timer;
    fflush(stdout);
    ev_now_update(cli->loop);
    ev_timer_init(&timer, on_rest, (double)ms / 1000, 0);
    ev_timer_start(cli->loop, &timer);
    ev_run(cli->loop, 0);
    ev_timer_stop(cli->loop, &timer);
}

/* Until somebody ends it; it outlives a Redis that restarts. */
static int watch(struct rb_cli *cli, int64_t every_ms, bool json) {
    struct rb_overview *before = NULL;
    for (;;) {
        struct rb_overview *now = look(cli);
        if (now)
            tell(now, before, json, true);
        rb_overview_free(before);
        before = now;
        if (ferror(stdout)) {
            rb_overview_free(before);
            return RB_EXIT_FAILURE;
        }
        rest(cli, every_ms);
    }
}

static int run(struct rb_cli *cli, char **argv) {
    bool json = false, watching = false;
    const char *every_text = NULL;
    const struct rb_cli_option options[] = {{"--json", NULL, &json},
                                            {"--watch", NULL, &watching},
                                            {"--every", &every_text, NULL},
                                            {NULL, NULL, NULL}};
    if (rb_cli_read(cli, options, argv) != 0)
        rb_cli_misuse(cli, "expected no words");
    int64_t every_ms = rb_cli_duration(cli, "--every", every_text, EVERY_MS);
    if (every_ms < EVERY_LEAST_MS)
        rb_cli_misuse(cli, "--every: expected at least 100ms");
    int code = rb_cli_connect(cli);
    if (code != 0)
        return code;
    if (watching || every_text)
        return watch(cli, every_ms, json);
    struct rb_overview *o = look(cli);
    if (!o)
        return RB_EXIT_FAILURE;
    tell(o, NULL, json, false);
    rb_overview_free(o);
    return RB_EXIT_OK;
}

const struct rb_verb rb_verb_status = {
    .name = "status",
    .usage = "[--watch] [--every TIME] [--json]",
    .summary = "Shows queues, workers, services, and how they do.",
    .help =
        "For the queues of worker.queues: how many jobs wait, and how many were given\n"
        "back and come first; OLDEST is how long the next one has waited, as far as it\n"
        "says when it was asked. `due` wait for a time, `dead` were given up. LEASE is\n"
        "how long a worker counts as alive unless it renews.\n"
        "Of services it shows what all workers tell, each since it started, as it was "
        "at\n"
        "most a fifth of worker.lease ago (with claim: blpop: what the one of this host\n"
        "tells on worker.metrics): jobs in flight, done and failed; how long calls took "
        "(half of "
        "them,\n"
        "95 of 100); how many answers came from the cache; the circuit breaker.\n"
        "\n"
        "  --watch        again and again, with calls a second\n"
        "  --every TIME   how often; 2s unless told\n"
        "  --json         the same as JSON, one line each time\n",
    .run = run,
};
