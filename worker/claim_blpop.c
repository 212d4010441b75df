/* Claiming by popping: LPOP while there is something, one BLPOP over all lists when there
 * is not. Plain commands only, for servers without scripts. Redis keeps nothing of a job
 * in hand, so it dies with its worker; but an orderly drain loses none. */
#include <stdio.h>
#include <stdlib.h>

#include "config/process.h"
#include "jobs/dead.h"
#include "jobs/envelope.h"
#include "worker/begin.h"
#include "worker/claim.h"
#include "worker/due.h"
#include "worker/finish.h"
#include "worker/stats.h"
#include "worker/worker.h"

#define BLOCK_S "5"
#define BLOCK_MS 5000
#define BLOCK_MARGIN_MS 2000
#define MAX_LISTS 128
#define LOOK_S 5.0 /* how often the clock and what is due are looked at */
#define PROMOTE_BATCH 64
#define RANDOM_BYTES 8
#define DEAD_KEPT 10000
#define DEAD_KEPT_MS 2592000000 /* 30 days */

struct rb_plain {
    struct rb_worker *worker;
    struct rb_link *wait; /* blocks in BLPOP */
    struct rb_key *lists; /* of each queue in order: retry, queue */
    size_t count;
    size_t next; /* the list that LPOP is about */
    size_t want, got;
    bool blocked;
    bool ceasing;    /* CLIENT UNBLOCK was sent */
    char client[24]; /* id of the blocking link, "" = not known */
    char prefix[2 * RANDOM_BYTES + 1];
    uint64_t next_claim;
    ev_timer look;
    struct rb_buffer envelope;
    size_t promoting; /* ZREMs that are not answered */
};

/* ---- jobs that came ---- */

static struct rb_text queue_of(const struct rb_plain *plain, size_t list) {
    return rb_text_of(plain->worker->settings->worker.queues.items[list / 2]);
}

/* What lies in `retry` is an envelope already, what lies in `queue` gets one. Of what is
 * too large for a job its beginning is enough to refuse it. */
static void take(struct rb_plain *plain, size_t list, struct rb_text text) {
    struct rb_worker *w = plain->worker;
    uint64_t number = plain->next_claim++;
    if (text.len > RB_DEAD_ENVELOPE_BYTES)
        text.len = RB_DEAD_ENVELOPE_BYTES;
    rb_buffer_clear(&plain->envelope);
    if (list % 2 == 1 || !rb_text_starts(text, RB_TEXT("rb1 "))) {
        char id[sizeof plain->prefix + 24];
        snprintf(id, sizeof id, "%s-%llu", plain->prefix, (unsigned long long)number);
        const struct rb_envelope envelope = {
            .id = rb_text_of(id),
            .queue = queue_of(plain, list),
            .at = rb_worker_unix_ms(w),
            .job = text,
        };
        rb_envelope_write(&plain->envelope, &envelope);
        text = rb_buffer_view(&plain->envelope);
    }
    if (plain->envelope.status != RB_OK || !rb_begin(w, number, text))
        rb_log(RB_LOG_ERROR, "job.lost", RB_S("error", "out of memory"));
}

/* ---- asking ---- */

static void pop(struct rb_plain *plain);

static void on_popped(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct rb_plain *plain = ctx;
    struct rb_worker *w = plain->worker;
    if (status == RB_REFUSED)
        rb_worker_refused(w, "claim", reply->str);
    if (status != RB_OK) {
        rb_claims_failed(w);
        return;
    }
    size_t count = reply->type == REDIS_REPLY_ARRAY ? reply->elements : 0;
    for (size_t i = 0; i < count; i++)
        if (reply->element[i]->type == REDIS_REPLY_STRING)
            take(plain, plain->next,
                 rb_text(reply->element[i]->str, reply->element[i]->len));
    plain->got += count;
    if (plain->got >= plain->want || ++plain->next == plain->count)
        rb_claims_answered(w, plain->got, plain->got >= plain->want);
    else
        pop(plain);
}

static void pop(struct rb_plain *plain) {
    char most[24];
    snprintf(most, sizeof most, "%zu", plain->want - plain->got);
    const struct rb_text argv[] = {
        RB_TEXT("LPOP"), rb_key_text(&plain->lists[plain->next]), rb_text_of(most)};
    rb_link_call(plain->worker->link, 0, on_popped, plain, 3, argv);
}

static void ask(struct rb_worker *w, size_t want) {
    w->plain->next = 0;
    w->plain->want = want;
    w->plain->got = 0;
    pop(w->plain);
}

/* ---- waiting ---- */

static void on_blocked(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct rb_plain *plain = ctx;
    struct rb_worker *w = plain->worker;
    plain->blocked = false;
    if (status == RB_REFUSED) {
        rb_worker_refused(w, "wait", reply->str);
        rb_claims_failed(w);
        return;
    }
    if (status != RB_OK || reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)
        return;
    struct rb_text list = rb_text(reply->element[0]->str, reply->element[0]->len);
    for (size_t i = 0; i < plain->count; i++)
        if (rb_text_equal(rb_key_text(&plain->lists[i]), list))
            take(plain, i, rb_text(reply->element[1]->str, reply->element[1]->len));
    rb_claims_poke(w);
}

static void await(struct rb_worker *w) {
    struct rb_plain *plain = w->plain;
    struct rb_text argv[MAX_LISTS + 2];
    size_t argc = 0;
    if (plain->blocked || !rb_link_up(plain->wait))
        return;
    argv[argc++] = RB_TEXT("BLPOP");
    for (size_t i = 0; i < plain->count; i++)
        argv[argc++] = rb_key_text(&plain->lists[i]);
    argv[argc++] = RB_TEXT(BLOCK_S);
    plain->blocked = true;
    rb_link_call(plain->wait, BLOCK_MS + BLOCK_MARGIN_MS, on_blocked, plain, argc, argv);
}

/* A BLPOP on its way may bring one more job: it is woken, or, where that is not allowed,
 * waited for. */
static bool cease(struct rb_worker *w) {
    struct rb_plain *plain = w->plain;
    if (plain->blocked && !plain->ceasing && plain->client[0]) {
        const struct rb_text argv[] = {RB_TEXT("CLIENT"), RB_TEXT("UNBLOCK"),
                                       rb_text_of(plain->client)};
        plain->ceasing = true;
        rb_link_call(w->link, 0, NULL, NULL, 3, argv);
    }
    return !plain->blocked && !rb_claims_asking(w);
}

static void on_client(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct rb_plain *plain = ctx;
    if (status == RB_OK && reply->type == REDIS_REPLY_INTEGER)
        snprintf(plain->client, sizeof plain->client, "%lld", reply->integer);
}

static void on_wait_state(void *ctx, bool up) {
    struct rb_plain *plain = ctx;
    const struct rb_text argv[] = {RB_TEXT("CLIENT"), RB_TEXT("ID")};
    plain->client[0] = '\0';
    plain->ceasing = false;
    if (!up)
        return;
    rb_link_call(plain->wait, 0, on_client, plain, 2, argv);
    rb_claims_poke(plain->worker);
}

/* ---- the clock, and what is due ---- */

static void on_time(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct rb_worker *w = ctx;
    int64_t s, us;
    if (status == RB_OK && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
        rb_text_int64(rb_text(reply->element[0]->str, reply->element[0]->len), &s) ==
            RB_OK &&
        rb_text_int64(rb_text(reply->element[1]->str, reply->element[1]->len), &us) ==
            RB_OK)
        rb_worker_heard_time(w, s * 1000 + us / 1000);
    if (!w->ready && rb_link_up(w->link))
        rb_worker_set_ready(w);
}

static void on_next(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct rb_worker *w = ctx;
    if (status != RB_OK || reply->type != REDIS_REPLY_ARRAY)
        return;
    double score = reply->elements == 2 ? strtod(reply->element[1]->str, NULL) : -1;
    rb_due_heard(w, score >= 0 && score < 1e15 ? (int64_t)score : -1);
}

static void look(struct rb_worker *w) {
    struct rb_key due;
    rb_key_due(&w->keys, &due);
    const struct rb_text time[] = {RB_TEXT("TIME")};
    const struct rb_text next[] = {RB_TEXT("ZRANGE"), rb_key_text(&due), RB_TEXT("0"),
                                   RB_TEXT("0"), RB_TEXT("WITHSCORES")};
    rb_link_call(w->link, 0, on_time, w, 1, time);
    rb_link_call(w->link, 0, on_next, w, 5, next);
}

static void on_look(struct ev_loop *loop, ev_timer *timer, int revents) {
    struct rb_worker *w = timer->data;
    (void)loop, (void)revents;
    if (rb_link_up(w->link))
        look(w);
}

struct promoted {
    struct rb_plain *plain;
    size_t len;
    char envelope[];
};

/* Whoever removes it from `due` has it; the others are told 0. */
static void on_removed(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct promoted *p = ctx;
    struct rb_plain *plain = p->plain;
    struct rb_worker *w = plain->worker;
    struct rb_envelope envelope;
    struct rb_text text = rb_text(p->envelope, p->len);
    if (status == RB_OK && reply->type == REDIS_REPLY_INTEGER && reply->integer == 1) {
        struct rb_key retry;
        bool readable = rb_envelope_parse(text, &envelope) == RB_OK;
        rb_key_retry(&w->keys, readable ? envelope.queue : queue_of(plain, 0), &retry);
        const struct rb_text argv[] = {RB_TEXT("RPUSH"), rb_key_text(&retry), text};
        rb_link_call(w->link, 0, NULL, NULL, 3, argv);
        rb_stats_add(w->stats, RB_STAT_PROMOTED, 1);
        rb_claims_poke(w);
    }
    free(p);
    if (--plain->promoting == 0 && status == RB_OK)
        look(w);
}

static void on_due(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct rb_plain *plain = ctx;
    struct rb_worker *w = plain->worker;
    struct rb_key due;
    if (status != RB_OK || reply->type != REDIS_REPLY_ARRAY)
        return;
    rb_key_due(&w->keys, &due);
    for (size_t i = 0; i < reply->elements; i++) {
        struct rb_text text = rb_text(reply->element[i]->str, reply->element[i]->len);
        struct promoted *p = malloc(sizeof *p + text.len);
        if (!p)
            break;
        p->plain = plain;
        p->len = text.len;
        memcpy(p->envelope, text.at, text.len);
        plain->promoting++;
        const struct rb_text argv[] = {RB_TEXT("ZREM"), rb_key_text(&due), text};
        rb_link_call(w->link, 0, on_removed, p, 3, argv);
    }
    if (plain->promoting == 0)
        look(w);
}

static void promote(struct rb_worker *w) {
    struct rb_key due;
    char now[24], most[24];
    if (w->plain->promoting > 0)
        return;
    rb_key_due(&w->keys, &due);
    snprintf(now, sizeof now, "%lld", (long long)rb_worker_unix_ms(w));
    snprintf(most, sizeof most, "%d", PROMOTE_BATCH);
    const struct rb_text argv[] = {
        RB_TEXT("ZRANGEBYSCORE"), rb_key_text(&due), RB_TEXT("-inf"), rb_text_of(now),
        RB_TEXT("LIMIT"),         RB_TEXT("0"),      rb_text_of(most)};
    rb_link_call(w->link, 0, on_due, w->plain, 7, argv);
}

/* ---- what becomes of a job ---- */

static void settle(struct rb_flight *f) { (void)f; /* Redis holds nothing */ }

static void on_confirmed(void *ctx, enum rb_status status,
                         const struct redisReply *reply) {
    rb_finish_confirmed(ctx, status, status == RB_REFUSED ? reply->str : "");
}

static void add_to_set(struct rb_flight *f, const struct rb_key *set, int64_t score,
                       struct rb_text member) {
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)score);
    const struct rb_text argv[] = {RB_TEXT("ZADD"), rb_key_text(set), rb_text_of(text),
                                   member};
    rb_link_call(f->worker->link, 0, on_confirmed, f, 4, argv);
}

static struct rb_text envelope_of(const struct rb_flight *f) {
    return rb_text(f->envelope, f->envelope_len);
}

/* The envelope with what its calls have come to, as park.lua writes it. */
static struct rb_text write_parked(struct rb_flight *f, struct rb_buffer *out) {
    struct rb_envelope envelope;
    int64_t until_ms = rb_flight_until_ms(f);
    if (rb_envelope_parse(envelope_of(f), &envelope) != RB_OK)
        return envelope_of(f);
    struct rb_text fields = envelope.fields, field;
    rb_buffer_clear(out);
    rb_buffer_string(out, "rb1");
    while (rb_text_next(&fields, ' ', &field)) {
        if (rb_text_starts(field, RB_TEXT("attempts=")) ||
            rb_text_starts(field, RB_TEXT("until=")))
            continue;
        rb_buffer_char(out, ' ');
        rb_buffer_text(out, field);
    }
    if (f->attempts > 0)
        rb_buffer_printf(out, " attempts=%lld", (long long)f->attempts);
    if (until_ms)
        rb_buffer_printf(out, " until=%lld", (long long)until_ms);
    rb_buffer_char(out, '\n');
    rb_buffer_text(out, envelope.job);
    return out->status == RB_OK ? rb_buffer_view(out) : envelope_of(f);
}

static void park(struct rb_flight *f) {
    struct rb_worker *w = f->worker;
    struct rb_key due;
    rb_key_due(&w->keys, &due);
    add_to_set(f, &due, f->park_until, write_parked(f, &w->plain->envelope));
    rb_stats_add(w->stats, RB_STAT_PARKED, 1);
    look(w);
}

static void give_back(struct rb_flight *f) {
    struct rb_worker *w = f->worker;
    struct rb_envelope envelope;
    struct rb_key retry;
    bool readable = rb_envelope_parse(envelope_of(f), &envelope) == RB_OK;
    rb_key_retry(&w->keys, readable ? envelope.queue : queue_of(w->plain, 0), &retry);
    const struct rb_text argv[] = {RB_TEXT("RPUSH"), rb_key_text(&retry), envelope_of(f)};
    rb_link_call(w->link, 0, on_confirmed, f, 3, argv);
}

/* The envelope with the reason behind its other fields. */
static void write_dead(struct rb_flight *f, struct rb_buffer *out) {
    struct rb_text text = envelope_of(f);
    struct rb_envelope envelope;
    bool readable = rb_envelope_parse(text, &envelope) == RB_OK;
    const struct rb_dead_fate fate = rb_finish_fate(f);
    rb_buffer_clear(out);
    rb_buffer_string(out, "rb1 ");
    if (readable)
        rb_buffer_text(out, envelope.fields);
    else
        rb_buffer_printf(out, "id=%s-%llu queue=default", f->worker->plain->prefix,
                         (unsigned long long)f->claim);
    rb_dead_write_fate(out, &fate);
    rb_buffer_char(out, '\n');
    rb_buffer_text(out, readable ? envelope.job : text);
}

static void bury(struct rb_flight *f) {
    struct rb_worker *w = f->worker;
    struct rb_key dead;
    char rank[24], oldest[24];
    int64_t now_ms = rb_worker_unix_ms(w);
    rb_key_dead(&w->keys, &dead);
    write_dead(f, &w->plain->envelope);
    add_to_set(f, &dead, now_ms, rb_buffer_view(&w->plain->envelope));
    snprintf(rank, sizeof rank, "%d", -DEAD_KEPT - 1);
    snprintf(oldest, sizeof oldest, "(%lld", (long long)(now_ms - DEAD_KEPT_MS));
    const struct rb_text by_rank[] = {RB_TEXT("ZREMRANGEBYRANK"), rb_key_text(&dead),
                                      RB_TEXT("0"), rb_text_of(rank)};
    const struct rb_text by_age[] = {RB_TEXT("ZREMRANGEBYSCORE"), rb_key_text(&dead),
                                     RB_TEXT("-inf"), rb_text_of(oldest)};
    rb_link_call(w->link, 0, NULL, NULL, 4, by_rank);
    rb_link_call(w->link, 0, NULL, NULL, 4, by_age);
}

static bool leave(struct rb_worker *w) {
    (void)w;
    return true;
}

static void turn(struct rb_worker *w) { (void)w; }

static void link_down(struct rb_worker *w) { (void)w; }

/* ---- birth and end ---- */

static enum rb_status start(struct rb_worker *w) {
    const struct rb_list *queues = &w->settings->worker.queues;
    struct rb_plain *plain = w->plain = calloc(1, sizeof *plain);
    if (!plain)
        return RB_NOMEM;
    plain->worker = w;
    plain->next_claim = 1;
    rb_buffer_init(&plain->envelope, SIZE_MAX / 2);
    rb_process_random_hex(plain->prefix, RANDOM_BYTES);
    ev_timer_init(&plain->look, on_look, LOOK_S, LOOK_S);
    plain->look.data = w;
    ev_timer_again(w->loop, &plain->look);
    plain->count = 2 * queues->count;
    plain->lists = calloc(plain->count, sizeof *plain->lists);
    if (!plain->lists)
        return RB_NOMEM;
    for (size_t i = 0; i < queues->count; i++) {
        rb_key_retry(&w->keys, rb_text_of(queues->items[i]), &plain->lists[2 * i]);
        rb_key_queue(&w->keys, rb_text_of(queues->items[i]), &plain->lists[2 * i + 1]);
    }
    const struct rb_link_options options = {
        .address = &w->address,
        .name = "ringback-worker-wait",
        .connect_timeout_ms = w->settings->redis.connect_timeout,
        .command_timeout_ms = w->settings->redis.command_timeout,
        .on_state = on_wait_state,
        .ctx = plain,
    };
    plain->wait = rb_link_new(w->loop, &options);
    return plain->wait ? RB_OK : RB_NOMEM;
}

static void stop(struct rb_worker *w) {
    struct rb_plain *plain = w->plain;
    if (!plain)
        return;
    rb_link_free(plain->wait);
    ev_timer_stop(w->loop, &plain->look);
    rb_buffer_fini(&plain->envelope);
    free(plain->lists);
    free(plain);
    w->plain = NULL;
}

const struct rb_claiming rb_claim_by_blpop = {
    .name = "blpop",
    .scripts = false,
    .start = start,
    .stop = stop,
    .link_up = look,
    .link_down = link_down,
    .ask = ask,
    .await = await,
    .cease = cease,
    .turn = turn,
    .settle = settle,
    .park = park,
    .bury = bury,
    .give_back = give_back,
    .leave = leave,
    .promote = promote,
};
