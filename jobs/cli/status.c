/* ringback status: what waits, what is held, and by whom. */
#include <stdio.h>
#include <stdlib.h>

#include "jobs/cli/cli.h"
#include "jobs/cli/figures.h"
#include "jobs/envelope.h"
#include "jobs/job.h"
#include "jobs/name.h"
#include "jobs/pause.h"

#define EVERY_MS 2000
#define EVERY_LEAST_MS 100

struct queue {
    const char *name;
    long long waiting, retry;
    double oldest_ms; /* unix ms, when the job that comes next was asked; 0: unknown */
    bool paused;
};

struct worker {
    char *id;
    double lease_end_ms;
    long long held;
};

struct status {
    struct rb_cli *cli;
    struct queue *queues;
    size_t queue_count;
    struct worker *workers;
    size_t worker_count;
    long long due, dead;
    double now_ms;
    char **paused_services;
    size_t paused_service_count;
    struct rb_figures figures;
    bool failed;
};

/* A count that an answer goes to. */
struct target {
    struct status *status;
    long long *count;
};

static void on_count(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct target *target = ctx;
    if (rb_cli_understood("status", status, reply, REDIS_REPLY_INTEGER))
        *target->count = reply->integer;
    else
        target->status->failed = true;
    free(target);
}

static void ask_count(struct status *s, long long *count, const char *verb,
                      const struct rb_key *key) {
    struct target *target = malloc(sizeof *target);
    const struct rb_text argv[] = {rb_text_of(verb), rb_key_text(key)};
    if (!target) {
        s->failed = true;
        return;
    }
    *target = (struct target){s, count};
    rb_cli_ask(s->cli, on_count, target, 2, argv);
}

/* The first of a list, a job or an envelope: that it is the oldest is as good as sure. */
static void on_head(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct queue *queue = ctx;
    struct rb_envelope envelope;
    struct rb_job job;
    double at;
    if (status != RB_OK || reply->type != REDIS_REPLY_STRING)
        return;
    struct rb_text text = rb_text(reply->str, reply->len);
    if (rb_envelope_parse(text, &envelope) == RB_OK) {
        at = (double)envelope.at;
    } else {
        at = rb_job_parse(text, &job, NULL) == RB_OK ? (double)job.at : 0;
        rb_job_fini(&job);
    }
    if (at > 0 && (queue->oldest_ms == 0 || at < queue->oldest_ms)) /* 0: not told */
        queue->oldest_ms = at;
}

static void ask_head(struct status *s, struct queue *queue, const struct rb_key *key) {
    const struct rb_text argv[] = {RB_TEXT("LINDEX"), rb_key_text(key), RB_TEXT("0")};
    rb_cli_ask(s->cli, on_head, queue, 3, argv);
}

static void on_paused(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct status *s = ctx;
    struct rb_text prefix = RB_TEXT("service:");
    if (!rb_cli_understood("paused", status, reply, REDIS_REPLY_ARRAY)) {
        s->failed = true;
        return;
    }
    for (size_t i = 0; i < s->queue_count; i++)
        s->queues[i].paused =
            rb_pause_has(reply, RB_PAUSE_QUEUE, rb_text_of(s->queues[i].name));
    s->paused_services = calloc(reply->elements + 1, sizeof *s->paused_services);
    for (size_t i = 0; s->paused_services && i < reply->elements; i++) {
        struct rb_text name = rb_text(reply->element[i]->str, reply->element[i]->len);
        if (!rb_text_starts(name, prefix))
            continue;
        name = rb_text(name.at + prefix.len, name.len - prefix.len);
        char *copy = rb_name_is_service(name) ? rb_text_copy(name) : NULL;
        if (copy)
            s->paused_services[s->paused_service_count++] = copy;
    }
}

static void on_time(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct status *s = ctx;
    if (rb_cli_understood("TIME", status, reply, REDIS_REPLY_ARRAY) &&
        reply->elements == 2)
        s->now_ms = strtod(reply->element[0]->str, NULL) * 1000 +
                    strtod(reply->element[1]->str, NULL) / 1000;
    else
        s->failed = true;
}

static void on_workers(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct status *s = ctx;
    if (!rb_cli_understood("workers", status, reply, REDIS_REPLY_ARRAY)) {
        s->failed = true;
        return;
    }
    s->workers = calloc(reply->elements / 2 + 1, sizeof *s->workers);
    for (size_t i = 0; s->workers && i + 1 < reply->elements; i += 2) {
        struct worker *w = &s->workers[s->worker_count];
        struct rb_text id = rb_text(reply->element[i]->str, reply->element[i]->len);
        if (!rb_name_is_job_id(id))
            continue; /* whoever wrote that, it is no worker of ours */
        w->id = rb_text_copy(id);
        w->lease_end_ms = strtod(reply->element[i + 1]->str, NULL);
        if (w->id)
            s->worker_count++;
    }
}

static void on_told(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct status *s = ctx;
    if (status == RB_OK && reply->type == REDIS_REPLY_STRING)
        rb_figures_add(rb_text(reply->str, reply->len), &s->figures);
}

/* What a dead worker told stays for a while: it is not shown. */
static void ask_worker(struct status *s, struct worker *w) {
    const struct rb_keys *keys = &s->cli->keys;
    struct rb_key key;
    rb_key_held(keys, rb_text_of(w->id), &key);
    ask_count(s, &w->held, "HLEN", &key);
    if (w->lease_end_ms <= s->now_ms)
        return;
    rb_key_stats(keys, rb_text_of(w->id), &key);
    const struct rb_text argv[] = {RB_TEXT("GET"), rb_key_text(&key)};
    rb_cli_ask(s->cli, on_told, s, 2, argv);
}

static void ask(struct status *s) {
    const struct rb_keys *keys = &s->cli->keys;
    struct rb_key key;
    const struct rb_text time[] = {RB_TEXT("TIME")};
    for (size_t i = 0; i < s->queue_count; i++) {
        struct rb_text name = rb_text_of(s->queues[i].name);
        rb_key_queue(keys, name, &key);
        ask_count(s, &s->queues[i].waiting, "LLEN", &key);
        ask_head(s, &s->queues[i], &key);
        rb_key_retry(keys, name, &key);
        ask_count(s, &s->queues[i].retry, "LLEN", &key);
        ask_head(s, &s->queues[i], &key);
    }
    rb_key_due(keys, &key);
    ask_count(s, &s->due, "ZCARD", &key);
    rb_key_dead(keys, &key);
    ask_count(s, &s->dead, "ZCARD", &key);
    rb_cli_ask(s->cli, on_time, s, 1, time);
    rb_key_paused(keys, &key);
    const struct rb_text paused[] = {RB_TEXT("SMEMBERS"), rb_key_text(&key)};
    rb_cli_ask(s->cli, on_paused, s, 2, paused);
    rb_key_workers(keys, &key);
    const struct rb_text workers[] = {RB_TEXT("ZRANGE"), rb_key_text(&key), RB_TEXT("0"),
                                      RB_TEXT("-1"), RB_TEXT("WITHSCORES")};
    rb_cli_ask(s->cli, on_workers, s, 5, workers);
    rb_cli_settle(s->cli);
    for (size_t i = 0; i < s->worker_count; i++)
        ask_worker(s, &s->workers[i]);
    rb_cli_settle(s->cli);
    rb_figures_finish(&s->figures);
    if (!s->figures.told)
        rb_figures_fetch(s->cli->settings->worker.metrics, &s->figures);
    if (s->figures.at_ms == 0)
        s->figures.at_ms = s->now_ms;
}

/* ---- telling ---- */

/* "-" for what is not known. */
static const char *seconds(char room[32], double value) {
    if (value < 0)
        return "-";
    snprintf(room, 32, value < 10 ? "%.3fs" : "%.0fs", value);
    return room;
}

static double age_s(const struct status *s, const struct queue *queue) {
    double age_ms = s->now_ms - queue->oldest_ms;
    return queue->oldest_ms == 0 ? -1 : age_ms > 0 ? age_ms / 1000 : 0;
}

static void print_queues(const struct status *s) {
    char age[32];
    printf("%-24s %10s %10s %10s\n", "QUEUE", "WAITING", "RETRY", "OLDEST");
    for (size_t i = 0; i < s->queue_count; i++) {
        const struct queue *q = &s->queues[i];
        printf("%-24s %10lld %10lld %10s%s\n", q->name, q->waiting, q->retry,
               seconds(age, age_s(s, q)), q->paused ? "  paused" : "");
    }
    printf("\ndue %lld, dead %lld\n", s->due, s->dead);
    for (size_t i = 0; i < s->paused_service_count; i++)
        printf("%s%s", i > 0 ? ", " : "paused services: ", s->paused_services[i]);
    if (s->paused_service_count > 0)
        puts("");
}

static void print_workers(const struct status *s) {
    if (s->worker_count == 0)
        puts("\nno workers");
    else
        printf("\n%-40s %10s %10s\n", "WORKER", "LEASE", "HOLDS");
    for (size_t i = 0; i < s->worker_count; i++) {
        double left = (s->workers[i].lease_end_ms - s->now_ms) / 1000;
        if (left > 0)
            printf("%-40s %9.1fs %10lld\n", s->workers[i].id, left, s->workers[i].held);
        else
            printf("%-40s %10s %10lld\n", s->workers[i].id, "lapsed", s->workers[i].held);
    }
}

static const char *breaker(const struct rb_figure *f) {
    return f->open > 0 ? "open" : f->half_open > 0 ? "half-open" : "closed";
}

static const struct rb_figure *figure_of(const struct rb_figures *figures,
                                         const char *service) {
    for (size_t i = 0; i < figures->count; i++)
        if (strcmp(figures->at[i].service, service) == 0)
            return &figures->at[i];
    return NULL;
}

/* Calls a second since the figures before; negative without these. A service that was
 * not among them had no calls then. */
static double rate(const struct rb_figure *f, const struct status *before, double at_ms) {
    if (!before || !before->figures.told || at_ms <= before->figures.at_ms)
        return -1;
    const struct rb_figure *then = figure_of(&before->figures, f->service);
    double calls = f->calls - (then ? then->calls : 0);
    return calls < 0 ? -1 : calls * 1000 / (at_ms - before->figures.at_ms);
}

static void print_services(const struct status *s, const struct status *before) {
    char p50[32], p95[32], hits[16], speed[32];
    if (s->figures.count > 0)
        printf("\n%-24s %8s %9s %9s %8s %8s %8s %6s %s\n", "SERVICE", "FLIGHT", "DONE",
               "FAILED", "CALLS/s", "P50", "P95", "CACHE", "BREAKER");
    for (size_t i = 0; i < s->figures.count; i++) {
        const struct rb_figure *f = &s->figures.at[i];
        double per_s = rate(f, before, s->figures.at_ms);
        snprintf(speed, sizeof speed, "%.1f", per_s);
        snprintf(hits, sizeof hits, "%.0f%%", 100 * f->cache_hits / f->cache_lookups);
        printf("%-24s %8.0f %9.0f %9.0f %8s %8s %8s %6s %s\n", f->service, f->in_flight,
               f->done, f->failed, per_s < 0 ? "-" : speed, seconds(p50, f->p50_s),
               seconds(p95, f->p95_s), f->cache_lookups > 0 ? hits : "-", breaker(f));
    }
}

static void print_number(const char *name, double value) {
    if (value < 0)
        printf(",\"%s\":null", name);
    else
        printf(",\"%s\":%.3f", name, value);
}

/* Names of queues, services and workers hold no character that JSON escapes. */
static void print_json(const struct status *s, const struct status *before) {
    printf("{\"queues\":{");
    for (size_t i = 0; i < s->queue_count; i++) {
        const struct queue *q = &s->queues[i];
        printf("%s\"%s\":{\"waiting\":%lld,\"retry\":%lld", i > 0 ? "," : "", q->name,
               q->waiting, q->retry);
        print_number("oldest_s", age_s(s, q));
        printf(",\"paused\":%s}", q->paused ? "true" : "false");
    }
    printf("},\"due\":%lld,\"dead\":%lld,\"paused_services\":[", s->due, s->dead);
    for (size_t i = 0; i < s->paused_service_count; i++)
        printf("%s\"%s\"", i > 0 ? "," : "", s->paused_services[i]);
    printf("],\"workers\":[");
    for (size_t i = 0; i < s->worker_count; i++)
        printf("%s{\"id\":\"%s\",\"lease_ms\":%.0f,\"held\":%lld}", i > 0 ? "," : "",
               s->workers[i].id, s->workers[i].lease_end_ms - s->now_ms,
               s->workers[i].held);
    printf("],\"services\":{");
    for (size_t i = 0; i < s->figures.count; i++) {
        const struct rb_figure *f = &s->figures.at[i];
        printf(
            "%s\"%s\":{\"in_flight\":%.0f,\"done\":%.0f,\"failed\":%.0f,\"calls\":%.0f,"
            "\"cache_hits\":%.0f,\"cache_lookups\":%.0f,\"breaker\":\"%s\"",
            i > 0 ? "," : "", f->service, f->in_flight, f->done, f->failed, f->calls,
            f->cache_hits, f->cache_lookups, breaker(f));
        print_number("calls_per_s", rate(f, before, s->figures.at_ms));
        print_number("p50_s", f->p50_s);
        print_number("p95_s", f->p95_s);
        putchar('}');
    }
    puts("}}");
}

/* ---- the verb ---- */

static void status_fini(struct status *s) {
    for (size_t i = 0; i < s->worker_count; i++)
        free(s->workers[i].id);
    for (size_t i = 0; i < s->paused_service_count; i++)
        free(s->paused_services[i]);
    free(s->paused_services);
    free(s->workers);
    free(s->queues);
    rb_figures_fini(&s->figures);
}

/* False when out of memory, or Redis did not tell all. */
static bool look(struct rb_cli *cli, struct status *s) {
    const struct rb_list *names = &cli->settings->worker.queues;
    *s = (struct status){.cli = cli, .queue_count = names->count};
    s->queues = calloc(names->count + 1, sizeof *s->queues);
    if (!s->queues) {
        s->queue_count = 0;
        rb_cli_say("out of memory");
        return false;
    }
    for (size_t i = 0; i < names->count; i++)
        s->queues[i].name = names->items[i];
    ask(s);
    return !s->failed;
}

static void tell(const struct status *s, const struct status *before, bool json,
                 bool watch) {
    if (json) {
        print_json(s, before);
        return;
    }
    if (watch)
        fputs("\033[H\033[2J", stdout); /* the top of an empty screen */
    print_queues(s);
    print_workers(s);
    print_services(s, before);
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
    struct status before, now;
    bool any = look(cli, &before);
    for (;;) {
        if (any)
            tell(&before, NULL, json, true);
        while (any) {
            rest(cli, every_ms);
            any = look(cli, &now);
            if (any)
                tell(&now, &before, json, true);
            status_fini(&before);
            before = now;
            if (ferror(stdout)) {
                status_fini(&before);
                return RB_EXIT_FAILURE;
            }
        }
        rest(cli, every_ms);
        status_fini(&before);
        any = look(cli, &before);
    }
}

static int run(struct rb_cli *cli, char **argv) {
    bool json = false, watching = false;
    const char *every_text = NULL;
    const struct rb_cli_option options[] = {{"--json", NULL, &json},
                                            {"--watch", NULL, &watching},
                                            {"--every", &every_text, NULL},
                                            {NULL, NULL, NULL}};
    struct status s;
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
    bool told = look(cli, &s);
    if (told)
        tell(&s, NULL, json, false);
    status_fini(&s);
    return told ? RB_EXIT_OK : RB_EXIT_FAILURE;
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
