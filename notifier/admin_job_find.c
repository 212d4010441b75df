/* Looking for one job in all places, a page at a time. */
#include "notifier/admin_job_find.h"

#include <stdio.h>
#include <stdlib.h>

#include "jobs/dead.h"
#include "jobs/envelope.h"
#include "jobs/overview.h"
#include "notifier/server.h"

#define PAGE_FIRST 16
#define PAGE_MOST 256
#define PAGE_BYTES                                                                       \
    ((size_t)256 * 1024) /* a page that brings more is followed by less                  \
                          */
#define PLACE_MOST 4096  /* jobs of one place */
#define BYTES_MOST ((size_t)64 * 1024 * 1024)
#define PAGES_MOST 4096

struct search {
    struct rb_exchange *exchange;
    struct rb_job_found found;
    struct rb_overview *overview; /* which queues and workers there are */
    char id[RB_JOB_ID_MAX + 1];
    rb_job_find_fn *fn;
    void *ctx;
    size_t index; /* of the queue or worker in this place */
    size_t from;  /* of the page */
    char cursor[24];
    size_t page, pages, bytes;
};

static void ask_page(struct search *s);

static void finish(struct search *s) {
    s->fn(s->ctx, &s->found);
    rb_buffer_fini(&s->found.dead);
    rb_overview_free(s->overview);
    free(s);
}

static void copy(char *to, size_t room, struct rb_text text) {
    size_t len = text.len < room - 1 ? text.len : room - 1;
    if (len > 0)
        memcpy(to, text.at, len);
    to[len] = '\0';
}

/* ---- is it this one? ---- */

static bool contains(struct rb_text text, struct rb_text part) {
    for (size_t i = 0; i + part.len <= text.len; i++) {
        const char *at = memchr(text.at + i, part.at[0], text.len - part.len - i + 1);
        if (!at)
            return false;
        i = (size_t)(at - text.at);
        if (memcmp(at, part.at, part.len) == 0)
            return true;
    }
    return false;
}

/* Its own id, or the one that was made at its claim. */
static bool take(struct search *s, struct rb_text text) {
    struct rb_job_found *f = &s->found;
    struct rb_text id = rb_text_of(s->id);
    struct rb_envelope envelope;
    struct rb_job job;
    if (!contains(text, id))
        return false;
    if (rb_envelope_parse(text, &envelope) != RB_OK)
        envelope = (struct rb_envelope){.job = text};
    (void)!rb_job_parse(envelope.job, &job, NULL);
    bool is = rb_text_equal(envelope.id, id) || (job.id && rb_text_is(id, job.id));
    if (is) {
        copy(f->service, sizeof f->service, rb_text_of(job.service));
        copy(f->channel, sizeof f->channel, rb_text_of(job.channel));
        if (envelope.queue.len > 0)
            copy(f->queue, sizeof f->queue, envelope.queue);
        f->deliveries = envelope.deliveries;
        f->attempts = envelope.attempts;
        f->claimed_at = envelope.at;
        f->asked_at = job.at;
        f->run_at = job.run_at;
        f->expires_at = job.expires;
    }
    rb_job_fini(&job);
    return is;
}

/* ---- the places ---- */

static size_t count_of(const struct search *s, enum rb_job_place place) {
    if (place == RB_PLACE_QUEUE || place == RB_PLACE_RETRY)
        return s->overview->queue_count;
    return place == RB_PLACE_HELD ? s->overview->worker_count : 1;
}

static void begin_part(struct search *s) {
    s->from = 0;
    s->page = PAGE_FIRST;
    memcpy(s->cursor, "0", 2);
}

/* The next queue, worker or place; at the end of all, RB_PLACE_NOWHERE. */
static void next_part(struct search *s) {
    s->index++;
    while (s->found.place != RB_PLACE_NOWHERE &&
           s->index >= count_of(s, s->found.place)) {
        s->found.place++;
        s->index = 0;
    }
    begin_part(s);
}

static void found(struct search *s, struct rb_text member, double score, size_t i) {
    struct rb_job_found *f = &s->found;
    f->complete = true;
    f->position = f->place <= RB_PLACE_RETRY ? (int64_t)(s->from + i) : -1;
    if (f->place <= RB_PLACE_RETRY)
        copy(f->queue, sizeof f->queue, rb_text_of(s->overview->queues[s->index].name));
    if (f->place == RB_PLACE_DUE)
        f->due_at = (int64_t)score;
    if (f->place == RB_PLACE_DEAD)
        rb_dead_write(&f->dead, member, score, RB_DEAD_PLAIN);
    if (f->place != RB_PLACE_HELD)
        return;
    const struct rb_overview_worker *w = &s->overview->workers[s->index];
    copy(f->worker, sizeof f->worker, rb_text_of(w->id));
    f->lease_ms = (int64_t)(w->lease_end_ms - s->overview->now_ms);
}

/* Of a hash or a sorted set every other element is a job: `step` is 2, and `first` says
 * whether the job stands before or behind the other. */
static bool look_through(struct search *s, const struct redisReply *list, size_t step,
                         size_t first, size_t *bytes) {
    for (size_t i = 0; i + step <= list->elements; i += step) {
        const struct redisReply *text = list->element[i + first];
        const struct redisReply *other = list->element[i + step - 1];
        struct rb_text member = rb_text(text->str, text->len);
        if (text->type != REDIS_REPLY_STRING)
            continue;
        *bytes += member.len;
        if (take(s, member)) {
            found(s, member,
                  other->type == REDIS_REPLY_STRING ? strtod(other->str, NULL) : 0,
                  i / step);
            return true;
        }
    }
    return false;
}

/* The list of jobs in an answer; NULL when it is none. */
static const struct redisReply *list_of(struct search *s, const struct redisReply *reply,
                                        bool *last) {
    const struct redisReply *list = reply;
    if (s->found.place == RB_PLACE_HELD) { /* HSCAN: {cursor, list} */
        if (reply->elements != 2 || reply->element[0]->type != REDIS_REPLY_STRING)
            return NULL;
        copy(s->cursor, sizeof s->cursor,
             rb_text(reply->element[0]->str, reply->element[0]->len));
        list = reply->element[1];
        *last = strcmp(s->cursor, "0") == 0;
    } else {
        size_t step = s->found.place <= RB_PLACE_RETRY ? 1 : 2;
        *last = reply->elements < step * s->page;
    }
    return list->type == REDIS_REPLY_ARRAY ? list : NULL;
}

static void on_page(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct search *s = ctx;
    enum rb_job_place place = s->found.place;
    size_t bytes = 0;
    bool last = true;
    const struct redisReply *list = status == RB_OK && reply->type == REDIS_REPLY_ARRAY
                                        ? list_of(s, reply, &last)
                                        : NULL;
    if (status != RB_OK && status != RB_REFUSED) {
        s->found.status = status;
        finish(s);
        return;
    }
    if (list && look_through(s, list, place <= RB_PLACE_RETRY ? 1 : 2,
                             place == RB_PLACE_HELD ? 1 : 0, &bytes)) {
        finish(s);
        return;
    }
    s->from += s->page;
    s->pages++;
    s->bytes += bytes;
    if (bytes > PAGE_BYTES)
        s->page = s->page > 1 ? s->page / 2 : 1;
    else if (s->page < PAGE_MOST)
        s->page *= 2;
    if (last || !list || s->from >= PLACE_MOST) {
        s->found.complete = s->found.complete && last && list;
        next_part(s);
    }
    ask_page(s);
}

static void ask_range(struct search *s, const char *verb, const struct rb_key *key,
                      bool scores) {
    char first[24], end[24];
    snprintf(first, sizeof first, "%zu", s->from);
    snprintf(end, sizeof end, "%zu", s->from + s->page - 1);
    const struct rb_text argv[] = {rb_text_of(verb), rb_key_text(key), rb_text_of(first),
                                   rb_text_of(end), RB_TEXT("WITHSCORES")};
    rb_link_call(rb_feed_link(rb_exchange_server(s->exchange)->feed), 0, on_page, s,
                 scores ? 5 : 4, argv);
}

static void ask_scan(struct search *s, const struct rb_key *key) {
    char count[24];
    snprintf(count, sizeof count, "%zu", s->page);
    const struct rb_text argv[] = {RB_TEXT("HSCAN"), rb_key_text(key),
                                   rb_text_of(s->cursor), RB_TEXT("COUNT"),
                                   rb_text_of(count)};
    rb_link_call(rb_feed_link(rb_exchange_server(s->exchange)->feed), 0, on_page, s, 5,
                 argv);
}

static void ask_page(struct search *s) {
    const struct rb_keys *keys = rb_feed_keys(rb_exchange_server(s->exchange)->feed);
    struct rb_key key;
    if (s->pages >= PAGES_MOST || s->bytes >= BYTES_MOST) {
        s->found.complete = false;
        s->found.place = RB_PLACE_NOWHERE;
    }
    if (rb_exchange_gone(s->exchange))
        s->found.place = RB_PLACE_NOWHERE;
    switch (s->found.place) {
    case RB_PLACE_QUEUE:
        rb_key_queue(keys, rb_text_of(s->overview->queues[s->index].name), &key);
        ask_range(s, "LRANGE", &key, false);
        break;
    case RB_PLACE_RETRY:
        rb_key_retry(keys, rb_text_of(s->overview->queues[s->index].name), &key);
        ask_range(s, "LRANGE", &key, false);
        break;
    case RB_PLACE_DUE:
        rb_key_due(keys, &key);
        ask_range(s, "ZRANGE", &key, true);
        break;
    case RB_PLACE_HELD:
        rb_key_held(keys, rb_text_of(s->overview->workers[s->index].id), &key);
        ask_scan(s, &key);
        break;
    case RB_PLACE_DEAD:
        rb_key_dead(keys, &key);
        ask_range(s, "ZREVRANGE", &key, true);
        break;
    case RB_PLACE_NOWHERE:
        finish(s);
        break;
    }
}

/* ---- the beginning ---- */

static void on_overview(void *ctx, struct rb_overview *overview) {
    struct search *s = ctx;
    s->overview = overview;
    if (!overview || overview->status != RB_OK) {
        s->found.status = overview ? overview->status : RB_NOMEM;
        if (overview)
            memcpy(s->found.error, overview->error, sizeof s->found.error);
        finish(s);
        return;
    }
    s->found.now_ms = (int64_t)overview->now_ms;
    begin_part(s);
    if (overview->queue_count == 0)
        s->found.place = RB_PLACE_DUE;
    ask_page(s);
}

void rb_job_find(struct rb_exchange *x, struct rb_text id, rb_job_find_fn *fn,
                 void *ctx) {
    struct rb_server *server = rb_exchange_server(x);
    struct search *s = calloc(1, sizeof *s);
    if (!s) {
        const struct rb_job_found none = {.status = RB_NOMEM, .place = RB_PLACE_NOWHERE};
        fn(ctx, &none);
        return;
    }
    s->exchange = x;
    s->fn = fn;
    s->ctx = ctx;
    s->found.complete = true;
    s->found.position = -1;
    copy(s->id, sizeof s->id, id);
    rb_buffer_init(&s->found.dead, RB_DEAD_JSON_BYTES);
    rb_overview_ask(rb_feed_link(server->feed), rb_feed_keys(server->feed),
                    &server->settings->worker.queues, on_overview, s);
}
