/* ringback status: what waits, what is held, and by whom. */
#include <stdio.h>
#include <stdlib.h>

#include "jobs/cli/cli.h"
#include "jobs/name.h"

struct queue {
    const char *name;
    long long waiting, retry;
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

static void ask(struct status *s) {
    const struct rb_keys *keys = &s->cli->keys;
    struct rb_key key;
    const struct rb_text time[] = {RB_TEXT("TIME")};
    for (size_t i = 0; i < s->queue_count; i++) {
        struct rb_text name = rb_text_of(s->queues[i].name);
        rb_key_queue(keys, name, &key);
        ask_count(s, &s->queues[i].waiting, "LLEN", &key);
        rb_key_retry(keys, name, &key);
        ask_count(s, &s->queues[i].retry, "LLEN", &key);
    }
    rb_key_due(keys, &key);
    ask_count(s, &s->due, "ZCARD", &key);
    rb_key_dead(keys, &key);
    ask_count(s, &s->dead, "ZCARD", &key);
    rb_cli_ask(s->cli, on_time, s, 1, time);
    rb_key_workers(keys, &key);
    const struct rb_text workers[] = {RB_TEXT("ZRANGE"), rb_key_text(&key), RB_TEXT("0"),
                                      RB_TEXT("-1"), RB_TEXT("WITHSCORES")};
    rb_cli_ask(s->cli, on_workers, s, 5, workers);
    rb_cli_settle(s->cli);
    for (size_t i = 0; i < s->worker_count; i++) {
        rb_key_held(keys, rb_text_of(s->workers[i].id), &key);
        ask_count(s, &s->workers[i].held, "HLEN", &key);
    }
    rb_cli_settle(s->cli);
}

static void print_text(const struct status *s) {
    printf("%-24s %10s %10s\n", "QUEUE", "WAITING", "RETRY");
    for (size_t i = 0; i < s->queue_count; i++)
        printf("%-24s %10lld %10lld\n", s->queues[i].name, s->queues[i].waiting,
               s->queues[i].retry);
    printf("\ndue %lld, dead %lld\n\n", s->due, s->dead);
    if (s->worker_count == 0)
        puts("no workers");
    else
        printf("%-40s %10s %10s\n", "WORKER", "LEASE", "HOLDS");
    for (size_t i = 0; i < s->worker_count; i++) {
        double left = (s->workers[i].lease_end_ms - s->now_ms) / 1000;
        if (left > 0)
            printf("%-40s %9.1fs %10lld\n", s->workers[i].id, left, s->workers[i].held);
        else
            printf("%-40s %10s %10lld\n", s->workers[i].id, "lapsed", s->workers[i].held);
    }
}

/* Names of queues and workers hold no character that JSON escapes. */
static void print_json(const struct status *s) {
    printf("{\"queues\":{");
    for (size_t i = 0; i < s->queue_count; i++)
        printf("%s\"%s\":{\"waiting\":%lld,\"retry\":%lld}", i > 0 ? "," : "",
               s->queues[i].name, s->queues[i].waiting, s->queues[i].retry);
    printf("},\"due\":%lld,\"dead\":%lld,\"workers\":[", s->due, s->dead);
    for (size_t i = 0; i < s->worker_count; i++)
        printf("%s{\"id\":\"%s\",\"lease_ms\":%.0f,\"held\":%lld}", i > 0 ? "," : "",
               s->workers[i].id, s->workers[i].lease_end_ms - s->now_ms,
               s->workers[i].held);
    puts("]}");
}

static int run(struct rb_cli *cli, char **argv) {
    bool json = false;
    const struct rb_cli_option options[] = {{"--json", NULL, &json}, {NULL, NULL, NULL}};
    if (rb_cli_read(cli, options, argv) != 0)
        rb_cli_misuse(cli, "expected no words");
    int code = rb_cli_connect(cli);
    if (code != 0)
        return code;
    const struct rb_list *names = &cli->settings->worker.queues;
    struct status s = {.cli = cli, .queue_count = names->count};
    s.queues = calloc(names->count + 1, sizeof *s.queues);
    if (!s.queues) {
        rb_cli_say("out of memory");
        return RB_EXIT_FAILURE;
    }
    for (size_t i = 0; i < names->count; i++)
        s.queues[i].name = names->items[i];
    ask(&s);
    if (!s.failed && json)
        print_json(&s);
    else if (!s.failed)
        print_text(&s);
    for (size_t i = 0; i < s.worker_count; i++)
        free(s.workers[i].id);
    free(s.workers);
    free(s.queues);
    return s.failed ? RB_EXIT_FAILURE : RB_EXIT_OK;
}

const struct rb_verb rb_verb_status = {
    .name = "status",
    .usage = "[--json]",
    .summary = "Shows queues, workers, and what they hold.",
    .help =
        "For the queues of worker.queues: how many jobs wait, and how many were given\n"
        "back and come first. `due` wait for a time, `dead` were given up. LEASE is how\n"
        "long a worker counts as alive unless it renews.\n"
        "\n"
        "  --json   the same as JSON\n",
    .run = run,
};
