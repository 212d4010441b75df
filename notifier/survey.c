/* Asking and answering. A question is "<asker> <number> <JSON>", an answer
 * "<number> <JSON>". */
#include "notifier/survey.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "jobs/name.h"
#include "notifier/server.h"

struct question {
    TAILQ_ENTRY(question) entry;
    struct rb_survey *survey;
    uint64_t number;
    ev_timer timer;
    rb_survey_fn *fn;
    void *ctx;
    json_t *answers;
    int64_t heard; /* by how many processes; < 0: Redis has not said yet */
};

TAILQ_HEAD(questions, question);

struct rb_survey {
    struct rb_server *server;
    uint64_t last_number;
    unsigned open_count;
    struct questions open;
};

static const struct {
    const char *ask;
    void (*answer)(struct rb_server *server, const json_t *question,
                   struct rb_buffer *out);
} kinds[] = {
    {"connections", rb_survey_connections},
    {"drop", rb_survey_drop},
    {"channels", rb_survey_channels},
};

struct rb_text rb_survey_text(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    return rb_text(json_string_value(value), json_string_length(value));
}

static void answers_key(const struct rb_survey *survey, struct rb_text asker,
                        struct rb_key *key) {
    char name[RB_JOB_ID_MAX + 16];
    snprintf(name, sizeof name, "survey:" RB_TEXT_FMT, RB_TEXT_ARG(asker));
    rb_key_notifier(rb_feed_keys(survey->server->feed), rb_text_of(name), key);
}

static void questions_key(const struct rb_survey *survey, struct rb_key *key) {
    rb_key_notifier(rb_feed_keys(survey->server->feed), RB_TEXT("survey"), key);
}

/* --- asking --- */

static void finish(struct question *q, enum rb_status status, bool complete) {
    struct rb_survey *survey = q->survey;
    TAILQ_REMOVE(&survey->open, q, entry);
    survey->open_count--;
    ev_timer_stop(survey->server->loop, &q->timer);
    q->fn(q->ctx, status, q->answers, complete);
    json_decref(q->answers);
    free(q);
}

static void finish_if_all_answered(struct question *q) {
    if (q->heard >= 0 && (int64_t)json_array_size(q->answers) >= q->heard)
        finish(q, RB_OK, true);
}

static void on_timeout(struct ev_loop *loop, ev_timer *timer, int revents) {
    (void)loop;
    (void)revents;
    finish(timer->data, RB_OK, false);
}

/* Answers may have come before Redis's own reply: they take another connection. Heard by
 * nobody, not even by ourselves: the subscribed link is down. */
static void on_asked(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct question *q = ctx;
    if (status != RB_OK || reply->type != REDIS_REPLY_INTEGER || reply->integer < 1) {
        finish(q, status == RB_OK ? RB_UNAVAILABLE : status, false);
        return;
    }
    q->heard = reply->integer;
    ev_timer_start(q->survey->server->loop, &q->timer);
    finish_if_all_answered(q);
}

static void publish(const struct rb_survey *survey, const struct rb_key *name,
                    const struct rb_buffer *payload, rb_link_reply_fn *fn, void *ctx) {
    const struct rb_text argv[] = {RB_TEXT("PUBLISH"), rb_key_text(name),
                                   rb_buffer_view(payload)};
    rb_link_call(rb_feed_link(survey->server->feed), 0, fn, ctx, 3, argv);
}

static struct question *question_new(struct rb_survey *survey) {
    struct question *q = calloc(1, sizeof *q);
    json_t *answers = json_array();
    if (!q || !answers) {
        free(q);
        json_decref(answers);
        return NULL;
    }
    q->survey = survey;
    q->number = ++survey->last_number;
    q->answers = answers;
    q->heard = -1;
    ev_timer_init(&q->timer, on_timeout, RB_SURVEY_MS / 1e3, 0.);
    q->timer.data = q;
    TAILQ_INSERT_TAIL(&survey->open, q, entry);
    survey->open_count++;
    return q;
}

void rb_survey_ask(struct rb_survey *survey, struct rb_text text, rb_survey_fn *fn,
                   void *ctx) {
    struct rb_buffer payload;
    struct rb_key name;
    if (survey->open_count >= RB_SURVEY_OPEN) {
        fn(ctx, RB_TOO_LARGE, NULL, false);
        return;
    }
    struct question *q = question_new(survey);
    if (!q) {
        fn(ctx, RB_NOMEM, NULL, false);
        return;
    }
    q->fn = fn;
    q->ctx = ctx;
    rb_buffer_init(&payload, RB_SURVEY_QUESTION_BYTES + 128);
    rb_buffer_printf(&payload, "%s %llu ", survey->server->id,
                     (unsigned long long)q->number);
    rb_buffer_text(&payload, text);
    questions_key(survey, &name);
    if (payload.status == RB_OK)
        publish(survey, &name, &payload, on_asked, q);
    else
        finish(q, payload.status, false);
    rb_buffer_fini(&payload);
}

static void take_answer(struct rb_survey *survey, uint64_t number, struct rb_text text) {
    struct question *q;
    TAILQ_FOREACH (q, &survey->open, entry) {
        if (q->number != number)
            continue;
        json_t *json = json_loadb(text.at, text.len, JSON_REJECT_DUPLICATES, NULL);
        /* One that can't be read is missing, and the time is up then. */
        if (json_is_object(json) && json_array_append(q->answers, json) == 0)
            finish_if_all_answered(q);
        json_decref(json);
        return;
    }
}

static void on_answer(void *ctx, struct rb_text payload) {
    struct rb_text number_text;
    uint64_t number;
    if (rb_text_next(&payload, ' ', &number_text) &&
        rb_text_uint64(number_text, &number) == RB_OK)
        take_answer(ctx, number, payload);
}

/* --- answering --- */

static void answer(struct rb_server *server, struct rb_text text, struct rb_buffer *out) {
    json_t *json = text.len <= RB_SURVEY_QUESTION_BYTES
                       ? json_loadb(text.at, text.len, JSON_REJECT_DUPLICATES, NULL)
                       : NULL;
    struct rb_text ask = rb_survey_text(json, "ask");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (rb_text_is(ask, kinds[i].ask))
            kinds[i].answer(server, json, out);
    json_decref(json);
}

static void on_question(void *ctx, struct rb_text payload) {
    struct rb_survey *survey = ctx;
    struct rb_text asker, number_text;
    uint64_t number;
    if (!rb_text_next(&payload, ' ', &asker) || !rb_name_is_job_id(asker) ||
        !rb_text_next(&payload, ' ', &number_text) ||
        rb_text_uint64(number_text, &number) != RB_OK)
        return;
    struct rb_buffer out;
    struct rb_key name;
    rb_buffer_init(&out, RB_SURVEY_ANSWER_BYTES);
    rb_buffer_uint(&out, number);
    rb_buffer_char(&out, ' ');
    size_t head = out.len;
    answer(survey->server, payload, &out);
    bool good = out.status == RB_OK && out.len > head;
    if (good && rb_text_is(asker, survey->server->id)) {
        take_answer(survey, number, rb_text(out.at + head, out.len - head));
    } else if (good) { /* else the asker learns that not all have answered */
        answers_key(survey, asker, &name);
        publish(survey, &name, &out, NULL, NULL);
    }
    rb_buffer_fini(&out);
}

/* --- life --- */

struct rb_survey *rb_survey_new(struct rb_server *server) {
    struct rb_survey *survey = calloc(1, sizeof *survey);
    struct rb_key questions, answers;
    if (!survey)
        return NULL;
    survey->server = server;
    TAILQ_INIT(&survey->open);
    questions_key(survey, &questions);
    answers_key(survey, rb_text_of(server->id), &answers);
    if (rb_feed_control(server->feed, rb_key_text(&answers), on_answer, survey) !=
            RB_OK ||
        rb_feed_control(server->feed, rb_key_text(&questions), on_question, survey) !=
            RB_OK) {
        free(survey);
        return NULL;
    }
    return survey;
}

void rb_survey_free(struct rb_survey *survey) {
    if (!survey)
        return;
    while (!TAILQ_EMPTY(&survey->open))
        finish(TAILQ_FIRST(&survey->open), RB_CANCELLED, false);
    free(survey);
}
