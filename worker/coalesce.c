/* Questions: who leads, who follows, and what Redis knows. */
#include "worker/coalesce.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

#include "config/process.h"
#include "jobs/question.h"
#include "worker/backend.h"
#include "worker/claim.h"
#include "worker/finish.h"
#include "worker/gate.h"
#include "worker/worker.h"

#define SILENCE_MS 3000 /* of a leader elsewhere, after which it is taken for dead */
#define RENEW_S 1.0
#define TOLD_MS                                                                          \
    2000 /* an answer is there so long for those who wait in other processes */
#define POLL_FIRST_S 0.02
#define POLL_MAX_S 0.25
#define COME_AGAIN_MS 500
#define TOKEN_MAX 20

enum stage {
    LOOKING,   /* Redis is asked whether it is known */
    ELSEWHERE, /* another process makes the call: Redis is asked again and again */
    CALLING,   /* the leader is at the gate, or behind it */
    STALE,     /* the call failed: Redis is asked for an older result */
    ORPHANED   /* the leader left: the next one goes to the gate in the next turn */
};

struct rb_question {
    UT_hash_handle hh;
    struct rb_coalesce *coalesce;
    struct rb_key key; /* in Redis, and in the table */
    struct rb_cache_policy policy;
    enum stage stage;
    bool asked; /* Redis has not answered yet */
    bool gone;  /* freed when it has */
    struct rb_flight *leader;
    TAILQ_HEAD(, rb_flight) followers;
    ev_timer timer;
    double wait_s;
    char token[TOKEN_MAX], awaited[TOKEN_MAX];
    struct rb_event_error failure; /* of the call, in stage STALE */
    char *message;
};

struct rb_coalesce {
    struct rb_worker *worker;
    struct rb_question *questions; /* those that others may join */
};

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents);

static struct rb_worker *worker_of(const struct rb_question *q) {
    return q->coalesce->worker;
}

struct rb_coalesce *rb_coalesce_new(struct rb_worker *w) {
    struct rb_coalesce *coalesce = calloc(1, sizeof *coalesce);
    if (coalesce)
        coalesce->worker = w;
    return coalesce;
}

void rb_coalesce_free(struct rb_coalesce *coalesce) {
    assert(!coalesce || !coalesce->questions);
    free(coalesce);
}

/* ---- questions ---- */

static struct rb_question *question_new(struct rb_flight *f, const struct rb_key *key) {
    struct rb_coalesce *coalesce = f->worker->coalesce;
    struct rb_question *q = calloc(1, sizeof *q);
    if (!q)
        return NULL;
    q->coalesce = coalesce;
    q->key = *key;
    q->policy = f->definition->cache;
    q->leader = f;
    f->question = q;
    TAILQ_INIT(&q->followers);
    ev_timer_init(&q->timer, on_timer, 0.0, 0.0);
    q->timer.data = q;
    q->wait_s = POLL_FIRST_S;
    snprintf(q->token, sizeof q->token, "%016" PRIx64, rb_process_random());
    if (q->policy.coalesce)
        HASH_ADD_KEYPTR(hh, coalesce->questions, q->key.at, q->key.len, q);
    return q;
}

/* Nobody asks it any more. */
static void question_free(struct rb_question *q) {
    ev_timer_stop(worker_of(q)->loop, &q->timer);
    if (q->policy.coalesce && !q->gone)
        HASH_DEL(q->coalesce->questions, q);
    q->gone = true;
    if (q->asked)
        return;
    free(q->message);
    free(q);
}

/* Takes one flight off, and the leader last; NULL when none is left. */
static struct rb_flight *take(struct rb_question *q) {
    struct rb_flight *f = TAILQ_FIRST(&q->followers);
    if (f)
        TAILQ_REMOVE(&q->followers, f, same);
    else
        f = q->leader;
    if (f == q->leader)
        q->leader = NULL;
    if (f)
        f->question = NULL;
    return f;
}

/* ---- Redis ---- */

static void on_asked(void *ctx, enum rb_status status, const struct redisReply *reply);

/* silence: as cache_ask.lua has it. */
static void ask(struct rb_question *q, const char *silence) {
    const struct rb_text keys[] = {rb_key_text(&q->key)};
    const struct rb_text args[] = {rb_text_of(q->token), rb_text_of(silence),
                                   rb_text_of(q->awaited)};
    q->asked = true;
    rb_link_script(worker_of(q)->link, &rb_script_cache_ask, 1, keys, 3, args, on_asked,
                   q);
}

static const char *silence_of(const struct rb_question *q, char room[24]) {
    snprintf(room, 24, "%d", q->policy.coalesce ? SILENCE_MS : 0);
    return room;
}

static void look(struct rb_question *q) {
    char silence[24];
    ask(q, silence_of(q, silence));
}

static void renew(struct rb_question *q) {
    char silence[24];
    const struct rb_text keys[] = {rb_key_text(&q->key)};
    const struct rb_text args[] = {rb_text_of(q->token),
                                   rb_text_of(silence_of(q, silence)), RB_TEXT("")};
    rb_link_script(worker_of(q)->link, &rb_script_cache_ask, 1, keys, 3, args, NULL,
                   NULL);
}

/* kind "": nothing came of it. */
static void put(struct rb_question *q, const char *kind, struct rb_text answer,
                int64_t ttl_ms, int64_t stale_ms) {
    char ttl[24], stale[24], told[24];
    if (!worker_of(q)->mode->scripts || !worker_of(q)->link)
        return;
    snprintf(ttl, sizeof ttl, "%" PRId64, ttl_ms);
    snprintf(stale, sizeof stale, "%" PRId64, stale_ms);
    snprintf(told, sizeof told, "%d", TOLD_MS);
    const struct rb_text keys[] = {rb_key_text(&q->key)};
    const struct rb_text args[] = {
        rb_text_of(q->token), rb_text_of(kind),  answer,
        rb_text_of(ttl),      rb_text_of(stale), rb_text_of(told)};
    rb_link_script(worker_of(q)->link, &rb_script_cache_put, 1, keys, 6, args, NULL,
                   NULL);
}

static void put_failure(struct rb_question *q, const struct rb_event_error *error) {
    char kind[64];
    snprintf(kind, sizeof kind, "%s %d", rb_failure_code(error->code), error->status);
    put(q, kind, rb_text_of(error->message),
        error->code == RB_FAIL_HTTP_STATUS ? q->policy.negative_ttl_ms : 0, 0);
}

/* ---- telling ---- */

static void count(const struct rb_flight *f, enum rb_cache_outcome outcome) {
    rb_backend_cache(f->backend, outcome);
}

/* "http_status 404" */
static bool parse_kind(struct rb_text kind, struct rb_event_error *error) {
    struct rb_text code, status;
    int64_t number;
    if (!rb_text_next(&kind, ' ', &code) || !rb_text_next(&kind, ' ', &status) ||
        rb_text_int64(status, &number) != RB_OK)
        return false;
    for (error->code = 0; error->code < RB_FAILURES; error->code++)
        if (rb_text_is(code, rb_failure_code(error->code)))
            break;
    error->status = (int)number;
    return error->code < RB_FAILURES;
}

/* All who asked get what Redis knew. */
static void give(struct rb_question *q, const struct rb_event_origin *origin,
                 struct rb_text kind, struct rb_text answer) {
    struct rb_event_error error = {.message = answer.at};
    bool done = rb_text_is(kind, "done");
    struct rb_flight *f;
    if (!done && !parse_kind(kind, &error))
        error.code = RB_FAIL_INTERNAL;
    if (!origin->stale)
        count(q->leader, origin->cached ? RB_CACHE_HIT : RB_CACHE_COALESCED);
    while ((f = take(q))) {
        if (origin->stale)
            count(f, RB_CACHE_STALE);
        if (done)
            rb_finish_done(f, origin, answer);
        else
            rb_finish_failed_from(f, origin, &error);
    }
    question_free(q);
}

/* The call of the leader, who is not among them any more, failed so. */
static void share_failure(struct rb_question *q, const struct rb_event_error *error) {
    static const struct rb_event_origin shared = {.shared = true};
    struct rb_flight *f;
    put_failure(q, error);
    while ((f = take(q)))
        rb_finish_failed_from(f, &shared, error);
    question_free(q);
}

/* No older result: the failure that was held back is told. */
static void fail_all(struct rb_question *q) {
    struct rb_flight *leader = q->leader;
    const struct rb_event_error error = q->failure;
    char *message = q->message;
    q->leader = NULL;
    q->message = NULL;
    leader->question = NULL;
    share_failure(q, &error);
    rb_finish_failed_from(leader, NULL, &error);
    free(message);
}

/* The leader goes to the gate; the question may be gone behind this. */
static void call(struct rb_question *q) {
    struct rb_flight *f = q->leader;
    q->stage = CALLING;
    if (q->policy.coalesce && worker_of(q)->mode->scripts) {
        ev_timer_stop(worker_of(q)->loop, &q->timer);
        ev_timer_set(&q->timer, RENEW_S, RENEW_S);
        ev_timer_start(worker_of(q)->loop, &q->timer);
    }
    count(f, RB_CACHE_MISS);
    rb_gate_enter(f);
}

static void wait(struct rb_question *q, double seconds) {
    struct ev_loop *loop = worker_of(q)->loop;
    ev_timer_stop(loop, &q->timer);
    ev_timer_set(&q->timer, seconds, 0.0);
    ev_timer_start(loop, &q->timer);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents) {
    struct rb_question *q = timer->data;
    (void)loop, (void)revents;
    if (q->stage == CALLING)
        renew(q);
    else if (q->stage == ELSEWHERE)
        look(q);
    else if (q->stage == ORPHANED)
        call(q);
}

static struct rb_text text_at(const struct redisReply *reply, size_t i) {
    const struct redisReply *part = i < reply->elements ? reply->element[i] : NULL;
    if (!part || part->type != REDIS_REPLY_STRING)
        return rb_text("", 0);
    return rb_text(part->str, part->len);
}

static int64_t number_at(const struct redisReply *reply, size_t i) {
    const struct redisReply *part = i < reply->elements ? reply->element[i] : NULL;
    return part && part->type == REDIS_REPLY_INTEGER ? part->integer : 0;
}

static void somebody_asks(struct rb_question *q, struct rb_text token) {
    q->stage = ELSEWHERE;
    snprintf(q->awaited, sizeof q->awaited, RB_TEXT_FMT, RB_TEXT_ARG(token));
    wait(q, q->wait_s);
    q->wait_s = q->wait_s * 1.5 < POLL_MAX_S ? q->wait_s * 1.5 : POLL_MAX_S;
}

static void on_asked(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct rb_question *q = ctx;
    int64_t verdict = 0;
    if (status == RB_REFUSED)
        rb_worker_refused(worker_of(q), "cache", reply->str);
    if (status == RB_OK && reply->type == REDIS_REPLY_ARRAY)
        verdict = number_at(reply, 0);
    q->asked = false;
    if (status == RB_CANCELLED && !q->gone)
        return; /* the worker ends: its flights will leave */
    if (q->gone) {
        if (verdict == 2)
            put(q, "", RB_TEXT(""), 0, 0);
        question_free(q);
    } else if (verdict == 1) {
        bool shared = number_at(reply, 4) == 1;
        const struct rb_event_origin origin = {
            .shared = shared,
            .cached = !shared,
            .stale = q->stage == STALE,
            .age_ms = number_at(reply, 2),
        };
        give(q, &origin, text_at(reply, 1), text_at(reply, 3));
    } else if (verdict == 3 && q->stage != STALE) {
        somebody_asks(q, text_at(reply, 1));
    } else if (q->stage == STALE) {
        fail_all(q);
    } else {
        call(q);
    }
}

/* ---- flights ---- */

static bool is_used(const struct rb_cache_policy *policy, const struct rb_worker *w) {
    return policy->coalesce ||
           (w->mode->scripts && (policy->ttl_ms > 0 || policy->negative_ttl_ms > 0));
}

static bool find_key(const struct rb_flight *f, struct rb_key *key) {
    char digest[RB_QUESTION_DIGEST + 1];
    struct rb_job job = f->job;
    job.id = f->id;
    if (rb_question_digest(f->definition, &job, rb_text_of(f->channel), f->params,
                           digest) != RB_OK)
        return false;
    rb_key_cache(&f->worker->keys, rb_text_of(f->definition->service), rb_text_of(digest),
                 key);
    return true;
}

static void follow(struct rb_flight *f, struct rb_question *q) {
    f->question = q;
    TAILQ_INSERT_TAIL(&q->followers, f, same);
    count(f, RB_CACHE_COALESCED);
    rb_flight_ask(f);
}

/* Too many wait here: it is better off in Redis, and asks again in a moment. */
static void come_again(struct rb_flight *f) {
    int64_t wait_ms = COME_AGAIN_MS + (int64_t)(rb_process_random() % COME_AGAIN_MS);
    rb_finish_park(f, rb_worker_unix_ms(f->worker) + wait_ms);
}

void rb_coalesce_enter(struct rb_flight *f) {
    struct rb_worker *w = f->worker;
    const struct rb_cache_policy *policy = &f->definition->cache;
    struct rb_question *q = NULL;
    struct rb_key key;
    bool room = rb_flights_may_wait(w);
    if (!is_used(policy, w) || !find_key(f, &key)) {
        rb_gate_enter(f);
        return;
    }
    if (policy->coalesce)
        HASH_FIND(hh, w->coalesce->questions, key.at, key.len, q);
    if (q && room) {
        follow(f, q);
        return;
    }
    if (q) {
        come_again(f);
        return;
    }
    q = room ? question_new(f, &key) : NULL;
    if (!q) {
        rb_gate_enter(f);
    } else if (w->mode->scripts) {
        q->stage = LOOKING;
        rb_flight_ask(f);
        look(q);
    } else {
        call(q);
    }
}

void rb_coalesce_done(struct rb_flight *f, const struct rb_event_origin *origin,
                      struct rb_text data) {
    struct rb_question *q = f->question;
    bool whole = !origin || origin->missing.len == 0;
    struct rb_event_origin shared = {.shared = true};
    assert(f == q->leader && q->stage == CALLING);
    if (!whole)
        shared.missing = origin->missing;
    q->leader = NULL;
    f->question = NULL;
    put(q, "done", data, whole ? q->policy.ttl_ms : 0, q->policy.stale_if_error_ms);
    while ((f = take(q)))
        rb_finish_done(f, &shared, data);
    question_free(q);
}

/* Is it about the service, and not about this one job? */
static bool is_shared(enum rb_failure failure) {
    switch (failure) {
    case RB_FAIL_TIMEOUT:
    case RB_FAIL_CONNECT:
    case RB_FAIL_TLS:
    case RB_FAIL_HTTP_STATUS:
    case RB_FAIL_TOO_LARGE:
    case RB_FAIL_BAD_RESPONSE:
    case RB_FAIL_CIRCUIT_OPEN:
    case RB_FAIL_RATE_LIMITED:
        return true;
    default:
        return false;
    }
}

/* A status below 500 is an answer; an older one would hide it (RFC 5861 §4). */
static bool is_outage(const struct rb_event_error *error) {
    return error->code != RB_FAIL_HTTP_STATUS || error->status >= 500 ||
           error->status == 429;
}

static void look_for_stale(struct rb_question *q, const struct rb_event_error *error) {
    q->failure = *error;
    q->failure.message = q->message;
    q->stage = STALE;
    ev_timer_stop(worker_of(q)->loop, &q->timer);
    rb_flight_ask(q->leader);
    /* Its time may be over; the link's own is enough for this. */
    ev_timer_stop(worker_of(q)->loop, &q->leader->timer);
    ask(q, "stale");
}

bool rb_coalesce_failed(struct rb_flight *f, const struct rb_event_error *error) {
    struct rb_question *q = f->question;
    if (f != q->leader || q->stage != CALLING || !is_shared(error->code)) {
        rb_coalesce_leave(f);
        return false;
    }
    bool stale = q->policy.stale_if_error_ms > 0 && worker_of(q)->mode->scripts &&
                 !q->asked && is_outage(error);
    q->message = stale ? rb_text_copy(rb_text_of(error->message)) : NULL;
    if (q->message) {
        look_for_stale(q, error);
        return true;
    }
    q->leader = NULL;
    f->question = NULL;
    share_failure(q, error);
    return false;
}

void rb_coalesce_leave(struct rb_flight *f) {
    struct rb_question *q = f->question;
    if (!q)
        return;
    f->question = NULL;
    if (f != q->leader) {
        TAILQ_REMOVE(&q->followers, f, same);
        return;
    }
    q->leader = TAILQ_FIRST(&q->followers);
    if (q->leader)
        TAILQ_REMOVE(&q->followers, q->leader, same);
    if (!q->leader) {
        if (q->stage == CALLING)
            put(q, "", RB_TEXT(""), 0, 0);
        question_free(q);
    } else if (q->stage == CALLING) {
        q->stage = ORPHANED;
        wait(q, 0.0);
    }
}

void rb_coalesce_overdue(struct rb_flight *f) {
    if (rb_flight_expires_by(f, f->worker->now_ms))
        rb_finish_failed(f, RB_FAIL_EXPIRED, "the job expired before the answer came", 0);
    else
        rb_finish_failed(f, RB_FAIL_TIMEOUT, "the service did not answer in time", 0);
}
