/* Asking Redis how it all stands. */
#include "jobs/overview.h"

#include <stdio.h>
#include <stdlib.h>

#include "jobs/envelope.h"
#include "jobs/job.h"
#include "jobs/pause.h"

struct asking {
    struct rb_overview *overview;
    struct rb_link *link;
    struct rb_keys keys;
    rb_overview_fn *fn;
    void *ctx;
    size_t open; /* questions without an answer, and whoever is still asking */
    bool workers_asked;
};

/* One question. index: of the queue or worker that it is about. */
struct question {
    struct asking *asking;
    void (*take)(struct rb_overview *o, size_t index, const struct redisReply *reply);
    const char *what; /* NULL: what is not answered is left out */
    size_t index;
    int type; /* REDIS_REPLY_… */
};

static void fail(struct rb_overview *o, enum rb_status status, const char *what,
                 const char *why) {
    if (o->status != RB_OK)
        return; /* the first says it best */
    o->status = status;
    snprintf(o->error, sizeof o->error, "%s: %s", what, why);
}

/* ---- what is answered ---- */

static void take_waiting(struct rb_overview *o, size_t index,
                         const struct redisReply *reply) {
    o->queues[index].waiting = reply->integer;
}

static void take_retry(struct rb_overview *o, size_t index,
                       const struct redisReply *reply) {
    o->queues[index].retry = reply->integer;
}

static void take_due(struct rb_overview *o, size_t index,
                     const struct redisReply *reply) {
    (void)index;
    o->due = reply->integer;
}

static void take_dead(struct rb_overview *o, size_t index,
                      const struct redisReply *reply) {
    (void)index;
    o->dead = reply->integer;
}

static void take_held(struct rb_overview *o, size_t index,
                      const struct redisReply *reply) {
    o->workers[index].held = reply->integer;
}

static void take_told(struct rb_overview *o, size_t index,
                      const struct redisReply *reply) {
    (void)index;
    rb_figures_add(rb_text(reply->str, reply->len), &o->figures);
}

/* The first of a list, a job or an envelope: that it is the oldest is as good as sure. */
static void take_head(struct rb_overview *o, size_t index,
                      const struct redisReply *reply) {
    struct rb_overview_queue *queue = &o->queues[index];
    struct rb_text text = rb_text(reply->str, reply->len);
    struct rb_envelope envelope;
    struct rb_job job;
    double at;
    if (rb_envelope_parse(text, &envelope) == RB_OK) {
        at = (double)envelope.at;
    } else {
        at = rb_job_parse(text, &job, NULL) == RB_OK ? (double)job.at : 0;
        rb_job_fini(&job);
    }
    if (at > 0 && (queue->oldest_ms == 0 || at < queue->oldest_ms)) /* 0: not told */
        queue->oldest_ms = at;
}

static void take_time(struct rb_overview *o, size_t index,
                      const struct redisReply *reply) {
    (void)index;
    if (reply->elements == 2)
        o->now_ms = strtod(reply->element[0]->str, NULL) * 1000 +
                    strtod(reply->element[1]->str, NULL) / 1000;
    else
        fail(o, RB_INVALID, "TIME", "Redis answered what was not expected");
}

static struct rb_text text_at(const struct redisReply *reply, size_t i) {
    const struct redisReply *element = reply->element[i];
    return element->type == REDIS_REPLY_STRING ? rb_text(element->str, element->len)
                                               : RB_TEXT("");
}

static void take_paused(struct rb_overview *o, size_t index,
                        const struct redisReply *reply) {
    struct rb_text prefix = RB_TEXT("service:");
    (void)index;
    for (size_t i = 0; i < o->queue_count; i++)
        o->queues[i].paused =
            rb_pause_has(reply, RB_PAUSE_QUEUE, rb_text_of(o->queues[i].name));
    o->paused_services = calloc(reply->elements + 1, sizeof *o->paused_services);
    for (size_t i = 0; o->paused_services && i < reply->elements; i++) {
        struct rb_text name = text_at(reply, i);
        if (!rb_text_starts(name, prefix))
            continue;
        name = rb_text(name.at + prefix.len, name.len - prefix.len);
        if (rb_name_is_service(name))
            memcpy(o->paused_services[o->paused_service_count++], name.at, name.len);
    }
    if (!o->paused_services)
        fail(o, RB_NOMEM, "paused", rb_status_text(RB_NOMEM));
}

static void take_workers(struct rb_overview *o, size_t index,
                         const struct redisReply *reply) {
    (void)index;
    o->workers = calloc(reply->elements / 2 + 1, sizeof *o->workers);
    for (size_t i = 0; o->workers && i + 1 < reply->elements; i += 2) {
        struct rb_overview_worker *w = &o->workers[o->worker_count];
        struct rb_text id = text_at(reply, i);
        if (!rb_name_is_job_id(id))
            continue; /* whoever wrote that, it is no worker of ours */
        memcpy(w->id, id.at, id.len);
        w->lease_end_ms = strtod(reply->element[i + 1]->str, NULL);
        o->worker_count++;
    }
    if (!o->workers)
        fail(o, RB_NOMEM, "workers", rb_status_text(RB_NOMEM));
}

/* ---- asking ---- */

static void close_question(struct asking *a);

static void on_reply(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct question *q = ctx;
    struct asking *a = q->asking;
    bool good = status == RB_OK && reply->type == q->type;
    if (good)
        q->take(a->overview, q->index, reply);
    else if (q->what)
        fail(a->overview, status == RB_OK ? RB_INVALID : status, q->what,
             status == RB_REFUSED ? reply->str
             : status == RB_OK    ? "Redis answered what was not expected"
                                  : rb_status_text(status));
    free(q);
    close_question(a);
}

static void ask(struct asking *a, const struct question *question, size_t argc,
                const struct rb_text *argv) {
    struct question *q = malloc(sizeof *q);
    if (!q) {
        fail(a->overview, RB_NOMEM, "status", rb_status_text(RB_NOMEM));
        return;
    }
    *q = *question;
    q->asking = a;
    a->open++;
    rb_link_call(a->link, 0, on_reply, q, argc, argv);
}

static void ask_queue(struct asking *a, size_t index) {
    const struct question waiting = {.take = take_waiting,
                                     .what = "LLEN",
                                     .index = index,
                                     .type = REDIS_REPLY_INTEGER};
    const struct question retry = {
        .take = take_retry, .what = "LLEN", .index = index, .type = REDIS_REPLY_INTEGER};
    const struct question head = {
        .take = take_head, .index = index, .type = REDIS_REPLY_STRING};
    struct rb_text name = rb_text_of(a->overview->queues[index].name);
    struct rb_key key;
    for (int i = 0; i < 2; i++) {
        if (i == 0)
            rb_key_queue(&a->keys, name, &key);
        else
            rb_key_retry(&a->keys, name, &key);
        const struct rb_text count[] = {RB_TEXT("LLEN"), rb_key_text(&key)};
        const struct rb_text first[] = {RB_TEXT("LINDEX"), rb_key_text(&key),
                                        RB_TEXT("0")};
        ask(a, i == 0 ? &waiting : &retry, 2, count);
        ask(a, &head, 3, first);
    }
}

static void ask_counts(struct asking *a) {
    const struct question due = {
        .take = take_due, .what = "due", .type = REDIS_REPLY_INTEGER};
    const struct question dead = {
        .take = take_dead, .what = "dead", .type = REDIS_REPLY_INTEGER};
    struct rb_key key;
    rb_key_due(&a->keys, &key);
    const struct rb_text waits[] = {RB_TEXT("ZCARD"), rb_key_text(&key)};
    ask(a, &due, 2, waits);
    rb_key_dead(&a->keys, &key);
    const struct rb_text given_up[] = {RB_TEXT("ZCARD"), rb_key_text(&key)};
    ask(a, &dead, 2, given_up);
}

static void ask_lists(struct asking *a) {
    const struct question now = {
        .take = take_time, .what = "TIME", .type = REDIS_REPLY_ARRAY};
    const struct question rest = {
        .take = take_paused, .what = "paused", .type = REDIS_REPLY_ARRAY};
    const struct question live = {
        .take = take_workers, .what = "workers", .type = REDIS_REPLY_ARRAY};
    char last[16];
    struct rb_key key;
    const struct rb_text time[] = {RB_TEXT("TIME")};
    ask(a, &now, 1, time);
    rb_key_paused(&a->keys, &key);
    const struct rb_text paused[] = {RB_TEXT("SMEMBERS"), rb_key_text(&key)};
    ask(a, &rest, 2, paused);
    snprintf(last, sizeof last, "%d", RB_OVERVIEW_WORKERS - 1);
    rb_key_workers(&a->keys, &key);
    const struct rb_text workers[] = {RB_TEXT("ZRANGE"), rb_key_text(&key), RB_TEXT("0"),
                                      rb_text_of(last), RB_TEXT("WITHSCORES")};
    ask(a, &live, 5, workers);
}

/* What a dead worker told stays for a while: it is not shown. */
static void ask_worker(struct asking *a, size_t index) {
    const struct question held = {
        .take = take_held, .what = "held", .index = index, .type = REDIS_REPLY_INTEGER};
    const struct question told = {
        .take = take_told, .index = index, .type = REDIS_REPLY_STRING};
    const struct rb_overview_worker *w = &a->overview->workers[index];
    struct rb_key key;
    rb_key_held(&a->keys, rb_text_of(w->id), &key);
    const struct rb_text count[] = {RB_TEXT("HLEN"), rb_key_text(&key)};
    ask(a, &held, 2, count);
    if (w->lease_end_ms <= a->overview->now_ms)
        return;
    rb_key_stats(&a->keys, rb_text_of(w->id), &key);
    const struct rb_text text[] = {RB_TEXT("GET"), rb_key_text(&key)};
    ask(a, &told, 2, text);
}

static void finish(struct asking *a) {
    struct rb_overview *o = a->overview;
    rb_figures_finish(&o->figures);
    if (o->figures.at_ms == 0)
        o->figures.at_ms = o->now_ms;
    a->fn(a->ctx, o);
    free(a);
}

static void close_question(struct asking *a) {
    if (--a->open > 0)
        return;
    if (a->workers_asked || a->overview->status != RB_OK) {
        finish(a);
        return;
    }
    a->workers_asked = true;
    a->open++;
    for (size_t i = 0; i < a->overview->worker_count; i++)
        ask_worker(a, i);
    close_question(a);
}

static struct rb_overview *overview_new(const struct rb_list *queues) {
    struct rb_overview *o = calloc(1, sizeof *o);
    if (!o)
        return NULL;
    o->queues = calloc(queues->count + 1, sizeof *o->queues);
    if (!o->queues) {
        free(o);
        return NULL;
    }
    for (size_t i = 0; i < queues->count; i++)
        snprintf(o->queues[o->queue_count++].name, sizeof o->queues->name, "%s",
                 queues->items[i]);
    return o;
}

void rb_overview_ask(struct rb_link *link, const struct rb_keys *keys,
                     const struct rb_list *queues, rb_overview_fn *fn, void *ctx) {
    struct asking *a = calloc(1, sizeof *a);
    struct rb_overview *o = overview_new(queues);
    if (!a || !o) {
        free(a);
        rb_overview_free(o);
        fn(ctx, NULL);
        return;
    }
    *a = (struct asking){o, link, *keys, fn, ctx, 1, false};
    for (size_t i = 0; i < o->queue_count; i++)
        ask_queue(a, i);
    ask_counts(a);
    ask_lists(a);
    close_question(a);
}

void rb_overview_free(struct rb_overview *o) {
    if (!o)
        return;
    rb_figures_fini(&o->figures);
    free(o->paused_services);
    free(o->workers);
    free(o->queues);
    free(o);
}

double rb_overview_age_s(const struct rb_overview *o,
                         const struct rb_overview_queue *queue) {
    double age_ms = o->now_ms - queue->oldest_ms;
    return queue->oldest_ms == 0 ? -1 : age_ms > 0 ? age_ms / 1000 : 0;
}
