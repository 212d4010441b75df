/* Questions to the web app and their answers: found again by digest, asked once, kept for
 * a while, forgotten in the order they came. */
#include "notifier/hook.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "config/clock.h"
#include "config/process.h"
#include "notifier/hash.h"
#include "notifier/hook_core.h"
#include "notifier/server.h"

#define BUCKETS 4096u
#define KEPT_MAX 20000u
#define WAITING_MAX 20000u /* questions that were not answered yet */
#define AT_A_TIME 64u
#define REFUSED_KEPT_MS 1000 /* a visitor who logs in now is not shut out for long */

struct rb_hook_waiter {
    LIST_ENTRY(rb_hook_waiter) entry;
    rb_hook_fn *fn;
    void *ctx;
};

enum state { WAITING, CALLING, KEPT, GONE };

struct question {
    TAILQ_ENTRY(question) entry; /* of the list that its state names */
    struct question *next;       /* in its bucket */
    struct rb_hook *hook;
    enum state state;
    bool stale; /* its answer is not to be kept */
    unsigned char key[RB_HOOK_KEY];
    LIST_HEAD(, rb_hook_waiter) waiters;
    int64_t until_ms; /* waiting: given up then; kept: forgotten then */
    struct rb_hook_answer answer;
    struct rb_hook_question asked; /* its texts stand in bytes; empty once answered */
    char *bytes;
};

TAILQ_HEAD(questions, question);

struct rb_hook {
    struct rb_server *server;
    struct rb_hook_caller *caller;
    struct questions in[GONE];
    size_t count[GONE];
    ev_timer soon;
    uint64_t seed[2];
    struct question *buckets[BUCKETS];
};

/* --- the table --- */

static struct question **bucket_of(struct rb_hook *hook, const unsigned char *key) {
    uint64_t hash = rb_hash(hook->seed, rb_text((const char *)key, RB_HOOK_KEY));
    return &hook->buckets[hash % BUCKETS];
}

static struct question *find(struct rb_hook *hook, const unsigned char *key) {
    struct question *q = *bucket_of(hook, key);
    while (q && memcmp(q->key, key, RB_HOOK_KEY) != 0)
        q = q->next;
    return q;
}

static void move(struct question *q, enum state to) {
    struct rb_hook *hook = q->hook;
    if (q->state != GONE) {
        TAILQ_REMOVE(&hook->in[q->state], q, entry);
        hook->count[q->state]--;
    }
    q->state = to;
    if (to == GONE) {
        struct question **at = bucket_of(hook, q->key);
        while (*at != q)
            at = &(*at)->next;
        *at = q->next;
    } else {
        TAILQ_INSERT_TAIL(&hook->in[to], q, entry);
        hook->count[to]++;
    }
}

static void question_free(struct question *q) {
    rb_grant_unref(q->answer.grant);
    free(q->bytes);
    free(q);
}

static void forget(struct question *q) {
    move(q, GONE);
    question_free(q);
}

bool rb_hook_digest(const struct rb_hook_question *question,
                    unsigned char key[RB_HOOK_KEY]) {
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;
    for (int i = 0; good && i < RB_HOOK_FIELDS; i++) {
        /* The session is who it is about; the other cookies come and go. */
        bool left_out = i == RB_HOOK_COOKIE && question->field[RB_HOOK_SESSION].len > 0;
        struct rb_text text = left_out ? RB_TEXT("") : question->field[i];
        good = EVP_DigestUpdate(ctx, &text.len, sizeof text.len) == 1 &&
               EVP_DigestUpdate(ctx, text.at ? text.at : "", text.len) == 1;
    }
    good = good && EVP_DigestFinal_ex(ctx, key, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    return good;
}

static bool copy_texts(struct question *q, const struct rb_hook_question *question) {
    size_t len = 1;
    for (int i = 0; i < RB_HOOK_FIELDS; i++)
        len += question->field[i].len;
    char *at = q->bytes = malloc(len);
    if (!at)
        return false;
    for (int i = 0; i < RB_HOOK_FIELDS; i++) {
        struct rb_text text = question->field[i];
        q->asked.field[i] = rb_text(at, text.len);
        if (text.len > 0)
            memcpy(at, text.at, text.len);
        at += text.len;
    }
    return true;
}

static struct question *question_new(struct rb_hook *hook, const unsigned char *key,
                                     const struct rb_hook_question *question) {
    struct question *q = calloc(1, sizeof *q);
    if (!q || !copy_texts(q, question)) {
        free(q);
        return NULL;
    }
    memcpy(q->key, key, RB_HOOK_KEY);
    q->hook = hook;
    q->state = GONE;
    LIST_INIT(&q->waiters);
    struct question **at = bucket_of(hook, key);
    q->next = *at;
    *at = q;
    move(q, WAITING);
    q->until_ms =
        hook->server->now_ms + hook->server->settings->notifier.auth_hook_timeout;
    return q;
}

/* --- answers --- */

static struct rb_hook_answer no_answer(void) {
    return (struct rb_hook_answer){503, NULL,
                                   "The web app did not say whether this is allowed."};
}

static void log_failure(struct rb_hook *hook, const struct rb_hook_result *result,
                        const char *why) {
    unsigned held;
    rb_count(hook->server, RB_COUNT_HOOK_FAILED, 1);
    if (rb_server_line(hook->server, RB_LINE_HOOK, &held))
        rb_log(RB_LOG_ERROR, "hook.failed", RB_I("status", result->http_status),
               RB_S("why", why), RB_I("suppressed", held));
}

/* {"channels": […], "exp": …}, as a token has it. */
static struct rb_grant *read_grant(const struct question *q, struct rb_text body,
                                   const char **why) {
    struct rb_grant *grant = NULL;
    json_t *json = json_loadb(body.at, body.len, JSON_REJECT_DUPLICATES, NULL);
    *why = "the answer has no list of channels";
    if (json_is_object(json) && json_object_get(json, "channels") &&
        rb_grant_read(json, q->asked.field[RB_HOOK_SESSION], &grant, why) == RB_NOMEM)
        *why = "out of memory";
    json_decref(json);
    return grant;
}

static struct rb_grant *grant_as_asked(const struct question *q) {
    struct rb_text channels[16], rest = q->asked.field[RB_HOOK_CHANNELS];
    size_t count = 0;
    while (count < 16 && rb_text_next(&rest, ',', &channels[count]))
        count++;
    return rb_grant_of(channels, count);
}

static struct rb_hook_answer refusal(const struct question *q, int status) {
    rb_count(q->hook->server, RB_COUNT_HOOK_REFUSED, 1);
    return (struct rb_hook_answer){
        .status = status,
        .problem = status == 401 ? "The web app does not know who this is."
                                 : "The web app does not allow this."};
}

static struct rb_hook_answer read_answer(const struct question *q,
                                         const struct rb_hook_result *result) {
    struct rb_hook_answer answer = {0};
    const char *why = "out of memory";
    int status = result->http_status;
    if (status == 401 || status == 403 || status / 100 == 3)
        return refusal(q, status == 401 ? 401 : 403);
    if (status / 100 != 2) {
        log_failure(q->hook, result, status == 0 ? result->why : "the app's own trouble");
        return no_answer();
    }
    if (result->body.len == 0)
        answer.grant = grant_as_asked(q);
    else if (result->json)
        answer.grant = read_grant(q, result->body, &why);
    else
        why = "the answer is a page, not JSON"; /* of a login, most likely */
    if (!answer.grant) {
        log_failure(q->hook, result, why);
        return no_answer();
    }
    int64_t expires = rb_grant_expires(answer.grant);
    if (expires > 0 && expires <= rb_clock_unix_ms()) {
        rb_grant_unref(answer.grant);
        return refusal(q, 403);
    }
    rb_count(q->hook->server, RB_COUNT_HOOK_ALLOWED, 1);
    return answer;
}

static int64_t keep_for(const struct question *q) {
    int64_t ms = q->hook->server->settings->notifier.auth_hook_cache;
    if (q->answer.status == 503 || q->stale)
        return 0;
    if (q->answer.status != 0)
        return ms < REFUSED_KEPT_MS ? ms : REFUSED_KEPT_MS;
    int64_t expires = rb_grant_expires(q->answer.grant);
    int64_t left = expires > 0 ? expires - rb_clock_unix_ms() : ms;
    return left < ms ? left : ms;
}

/* Whoever hears the answer may let others go, or ask anew. */
static void tell_waiters(struct question *q) {
    struct rb_hook_waiter *waiter;
    while ((waiter = LIST_FIRST(&q->waiters))) {
        LIST_REMOVE(waiter, entry);
        waiter->fn(waiter->ctx, &q->answer);
        free(waiter);
    }
}

static void answer_question(struct question *q, struct rb_hook_answer answer) {
    q->answer = answer;
    free(q->bytes);
    q->bytes = NULL;
    int64_t ms = keep_for(q);
    q->until_ms = q->hook->server->now_ms + ms;
    move(q, GONE); /* not found while its waiters are told */
    tell_waiters(q);
    struct question **at = bucket_of(q->hook, q->key);
    if (ms <= 0 || find(q->hook, q->key)) {
        question_free(q);
        return;
    }
    q->next = *at;
    *at = q;
    move(q, KEPT);
}

/* --- asking --- */

static void start_next(struct rb_hook *hook);

static void on_result(void *ctx, const struct rb_hook_result *result) {
    struct question *q = ctx;
    struct rb_hook *hook = q->hook;
    answer_question(q, read_answer(q, result));
    start_next(hook);
}

static void start_next(struct rb_hook *hook) {
    struct question *q;
    while (hook->count[CALLING] < AT_A_TIME && (q = TAILQ_FIRST(&hook->in[WAITING]))) {
        const struct rb_hook_result late = {.why = "too many questions at a time"};
        if (hook->server->now_ms >= q->until_ms) {
            log_failure(hook, &late, late.why);
            answer_question(q, no_answer());
            continue;
        }
        move(q, CALLING);
        if (!rb_hook_call_start(hook->caller, &q->asked, on_result, q)) {
            log_failure(hook, &late, "out of memory");
            answer_question(q, no_answer());
        }
    }
}

static void forget_old(struct rb_hook *hook) {
    struct question *q;
    while ((q = TAILQ_FIRST(&hook->in[KEPT])) &&
           (q->until_ms <= hook->server->now_ms || hook->count[KEPT] > KEPT_MAX))
        forget(q);
}

static void fail(rb_hook_fn *fn, void *ctx) {
    const struct rb_hook_answer answer = no_answer();
    fn(ctx, &answer);
}

struct rb_hook_waiter *rb_hook_ask(struct rb_hook *hook,
                                   const struct rb_hook_question *question,
                                   rb_hook_fn *fn, void *ctx) {
    unsigned char key[RB_HOOK_KEY];
    struct rb_hook_waiter *waiter = NULL;
    struct question *q = NULL;
    forget_old(hook);
    if (rb_hook_digest(question, key))
        q = find(hook, key);
    else
        goto failed;
    if (q && q->state == KEPT && q->until_ms <= hook->server->now_ms) {
        forget(q);
        q = NULL;
    }
    if (q)
        rb_count(hook->server, RB_COUNT_HOOK_KEPT, 1);
    if (q && q->state == KEPT) {
        fn(ctx, &q->answer);
        return NULL;
    }
    waiter = calloc(1, sizeof *waiter);
    if (!q && hook->count[WAITING] < WAITING_MAX)
        q = question_new(hook, key, question);
    if (!waiter || !q)
        goto failed;
    *waiter = (struct rb_hook_waiter){.fn = fn, .ctx = ctx};
    LIST_INSERT_HEAD(&q->waiters, waiter, entry);
    if (!ev_is_active(&hook->soon)) {
        ev_timer_set(&hook->soon, 0, 0);
        ev_timer_start(hook->server->loop, &hook->soon);
    }
    return waiter;
failed:
    free(waiter);
    fail(fn, ctx);
    return NULL;
}

void rb_hook_cancel(struct rb_hook_waiter *waiter) {
    LIST_REMOVE(waiter, entry);
    free(waiter);
}

void rb_hook_forget(struct rb_hook *hook) {
    struct question *q;
    TAILQ_FOREACH (q, &hook->in[CALLING], entry)
        q->stale = true;
    TAILQ_FOREACH (q, &hook->in[WAITING], entry)
        q->stale = true;
    while (!TAILQ_EMPTY(&hook->in[KEPT]))
        forget(TAILQ_FIRST(&hook->in[KEPT]));
}

/* --- birth and end --- */

/* Calls start from the loop, so that no answer comes before rb_hook_ask returns. */
static void on_soon(struct ev_loop *loop, ev_timer *timer, int events) {
    struct rb_hook *hook = timer->data;
    (void)loop;
    (void)events;
    start_next(hook);
}

struct rb_hook *rb_hook_new(struct rb_server *server) {
    struct rb_hook *hook = calloc(1, sizeof *hook);
    if (!hook)
        return NULL;
    hook->server = server;
    for (int i = 0; i < GONE; i++)
        TAILQ_INIT(&hook->in[i]);
    hook->seed[0] = rb_process_random();
    hook->seed[1] = rb_process_random();
    ev_timer_init(&hook->soon, on_soon, 0, 0);
    hook->soon.data = hook;
    hook->caller = rb_hook_caller_new(server);
    if (!hook->caller) {
        free(hook);
        return NULL;
    }
    return hook;
}

void rb_hook_free(struct rb_hook *hook) {
    if (!hook)
        return;
    ev_timer_stop(hook->server->loop, &hook->soon);
    rb_hook_caller_free(hook->caller);
    for (int i = 0; i < GONE; i++)
        while (!TAILQ_EMPTY(&hook->in[i]))
            forget(TAILQ_FIRST(&hook->in[i]));
    free(hook);
}
