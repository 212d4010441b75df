/* What is wrong with a job is found here, before any call: each finding has its word in
 * the contract and ends the job; what is right goes to the gate of its service. */
#include "worker/begin.h"

#include <stdlib.h>
#include <string.h>

#include "jobs/envelope.h"
#include "jobs/name.h"
#include "worker/alone.h"
#include "worker/backend.h"
#include "worker/cancel.h"
#include "worker/claim.h"
#include "worker/coalesce.h"
#include "worker/finish.h"
#include "worker/stats.h"
#include "worker/unique.h"
#include "worker/worker.h"

/* The definition's channel, for a job that names none. False when the flight is over. */
static bool find_channel(struct rb_flight *f, const json_t *params) {
    struct rb_error error = {0};
    struct rb_buffer *name = &f->worker->scratch;
    struct rb_job job = f->job;
    if (f->channel)
        return true;
    job.id = f->id;
    rb_buffer_clear(name);
    enum rb_status status =
        rb_definition_channel(f->definition, &job, params, name, &error);
    if (status == RB_NOT_FOUND)
        return true;
    if (status == RB_OK)
        f->channel = rb_text_copy(rb_buffer_view(name));
    if (status == RB_INVALID)
        rb_finish_invalid(f, RB_FAIL_INVALID_PARAMS, error.text);
    else if (!f->channel)
        rb_finish_failed(f, RB_FAIL_INTERNAL, "out of memory", 0);
    return f->channel && status == RB_OK;
}

/* A job that ends before its parameters are checked, or because they are wrong, tells
 * whom they name all the same, if they name anybody. */
static void guess_channel(struct rb_flight *f) {
    struct rb_error error = {0};
    struct rb_buffer *name = &f->worker->scratch;
    struct rb_job job = f->job;
    if (f->channel || !f->definition || !job.params)
        return;
    job.id = f->id;
    rb_buffer_clear(name);
    if (rb_definition_channel(f->definition, &job, job.params, name, &error) == RB_OK)
        f->channel = rb_text_copy(rb_buffer_view(name));
}

/* `sentence` may not be of the scratch buffer. */
static void refuse(struct rb_flight *f, enum rb_failure failure, const char *sentence) {
    guess_channel(f);
    rb_finish_invalid(f, failure, sentence);
}

static void cancel(struct rb_flight *f) {
    guess_channel(f);
    rb_cancels_end(f);
}

static int64_t earlier(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t later(int64_t a, int64_t b) { return a > b ? a : b; }

/* Until when it may wait for its first call; 0 = for ever. A scheduled job begins to wait
 * at its time. */
static int64_t start_by(const struct rb_flight *f, int64_t asked_ms) {
    int64_t most_ms = f->definition->max_queue_time_ms, by_ms = f->job.expires;
    if (most_ms) {
        int64_t since_ms = later(f->job.at ? f->job.at : asked_ms, f->job.run_at);
        by_ms = by_ms ? earlier(by_ms, since_ms + most_ms) : since_ms + most_ms;
    }
    return by_ms;
}

/* Its service is paused. It comes back no later than when it must be told that its time
 * is over. */
static void put_aside(struct rb_flight *f) {
    struct rb_worker *w = f->worker;
    int64_t until_ms = w->now_ms + rb_cancels_pause_ms(w), last_ms = rb_flight_last_ms(f);
    if (last_ms && last_ms < until_ms)
        until_ms = last_ms;
    rb_finish_park(f, until_ms + w->ahead_ms);
}

/* Its time may be over already, or not have come; else it goes to the gate. */
static void look_at_time(struct rb_flight *f, const struct rb_envelope *envelope) {
    struct rb_worker *w = f->worker;
    int64_t unix_ms = rb_worker_unix_ms(w), by_ms = start_by(f, envelope->at);
    if (envelope->until > 0)
        f->deadline_ms = envelope->until - w->ahead_ms;
    f->start_by_ms = by_ms ? by_ms - w->ahead_ms : 0;
    if (f->job.expires && f->job.expires <= unix_ms)
        rb_finish_failed(f, RB_FAIL_EXPIRED, "the job had expired before its turn", 0);
    else if (f->attempts == 0 && by_ms && by_ms <= unix_ms)
        rb_finish_failed(f, RB_FAIL_EXPIRED, "the job waited longer than max_queue_time",
                         0);
    else if (f->attempts > 0 && f->deadline_ms && f->deadline_ms <= w->now_ms)
        rb_finish_failed(f, RB_FAIL_TIMEOUT, "no time was left for another try", 0);
    else if (f->job.run_at > unix_ms)
        rb_finish_park(f, f->job.run_at);
    else if (rb_cancels_pause(w, f))
        put_aside(f);
    else if (f->job.unique)
        rb_unique_take(f);
    else
        rb_coalesce_enter(f);
}

static void go(struct rb_flight *f, const struct rb_envelope *envelope) {
    struct rb_error error = {0};
    enum rb_status status =
        rb_definition_check(f->definition, &f->job, &f->params, &error);
    if (status == RB_NOMEM)
        rb_finish_failed(f, RB_FAIL_INTERNAL, "out of memory", 0);
    else if (status != RB_OK)
        refuse(f, RB_FAIL_INVALID_PARAMS, error.text);
    else if (find_channel(f, f->params)) {
        rb_alone_join(f);
        look_at_time(f, envelope);
    }
}

static void refuse_service(struct rb_flight *f) {
    struct rb_buffer *words = &f->worker->scratch;
    const char *nearest =
        rb_services_nearest(f->worker->services, rb_text_of(f->job.service));
    rb_buffer_clear(words);
    rb_buffer_printf(words, "no service is called %s", f->job.service);
    if (nearest)
        rb_buffer_printf(words, ", did you mean %s?", nearest);
    rb_finish_invalid(f, RB_FAIL_UNKNOWN_SERVICE,
                      words->status == RB_OK ? words->at : "no such service");
}

static void find_service(struct rb_flight *f) {
    struct rb_worker *w = f->worker;
    f->definition = rb_services_find(w->services, rb_text_of(f->job.service));
    if (f->definition)
        f->services = rb_services_ref(w->services);
}

/* Reads the job as far as it can be read: a broken one may still say whom to tell. */
static enum rb_status read_job(struct rb_flight *f, const struct rb_envelope *envelope,
                               struct rb_error *error) {
    enum rb_status status = rb_job_parse(envelope->job, &f->job, error);
    f->id = f->job.id ? rb_text_copy(rb_text_of(f->job.id)) : rb_text_copy(envelope->id);
    if (f->job.channel)
        f->channel = rb_text_copy(rb_text_of(f->job.channel));
    f->deliveries = envelope->deliveries;
    f->attempts = envelope->attempts;
    return f->id && (f->channel || !f->job.channel) ? status : RB_NOMEM;
}

static void count(struct rb_flight *f) {
    struct rb_worker *w = f->worker;
    rb_stats_add(w->stats, RB_STAT_CLAIMED, 1);
    if (f->deliveries > 0)
        rb_stats_add(w->stats, RB_STAT_REDELIVERED, 1);
    f->backend = rb_backends_get(
        w->backends, rb_text_of(f->definition ? f->definition->service : NULL));
    if (!f->backend)
        return;
    rb_backend_job_begins(f->backend);
    int64_t wait_ms = rb_worker_unix_ms(w) - f->job.at;
    if (f->job.at && f->deliveries == 0 && wait_ms >= 0)
        rb_backend_waited(f->backend, wait_ms * 1000);
}

static bool is_poisoned(const struct rb_envelope *envelope) {
    struct rb_text reason;
    return rb_envelope_field(envelope, "reason", &reason) &&
           rb_text_is(reason, rb_failure_code(RB_FAIL_POISONED));
}

/* An envelope that is none: nothing is known but the number of the claim. */
static void begin_unreadable(struct rb_flight *f) {
    f->id = rb_text_copy(RB_TEXT("unreadable"));
    if (f->id)
        rb_finish_invalid(f, RB_FAIL_INVALID_JOB, "the envelope can't be read");
    else
        rb_finish_give_back(f);
}

bool rb_begin(struct rb_worker *w, uint64_t claim, struct rb_text text) {
    struct rb_envelope envelope;
    struct rb_error error = {0};
    struct rb_flight *f = rb_flight_new(w, claim);
    if (!f)
        return false;
    if (!w->mode->scripts) {
        f->envelope = rb_text_copy(text);
        f->envelope_len = text.len;
    }
    if (rb_envelope_parse(text, &envelope) != RB_OK) {
        begin_unreadable(f);
        return true;
    }
    enum rb_status status = read_job(f, &envelope, &error);
    bool broken = status == RB_INVALID || status == RB_TOO_LARGE;
    bool poisoned = is_poisoned(&envelope);
    if (f->job.service)
        find_service(f);
    count(f);
    rb_log(RB_LOG_DEBUG, "job.claimed", RB_S("job", f->id), RB_T("queue", envelope.queue),
           RB_S("service", f->job.service),
           RB_T("channel", rb_name_shown(rb_text_of(f->channel))),
           RB_I("deliveries", f->deliveries));

    if (!f->id || !f->backend || (!w->mode->scripts && !f->envelope) ||
        status == RB_NOMEM)
        rb_finish_give_back(f);
    else if (poisoned)
        refuse(f, RB_FAIL_POISONED, "its worker died too often with it in hand");
    else if (broken)
        refuse(f, RB_FAIL_INVALID_JOB, error.text);
    else if (!f->definition)
        refuse_service(f);
    else if (rb_cancels_has(w, f))
        cancel(f);
    else
        go(f, &envelope);
    return true;
}
