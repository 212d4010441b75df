/* What is wrong with a job is found here, before any call: each finding has its word in
 * the contract and ends the job; what is right becomes a request. */
#include "worker/begin.h"

#include <stdlib.h>
#include <string.h>

#include "jobs/envelope.h"
#include "jobs/name.h"
#include "worker/backend.h"
#include "worker/call.h"
#include "worker/claim.h"
#include "worker/finish.h"
#include "worker/stats.h"
#include "worker/worker.h"

/* "Name: value" on the heap. NULL when out of memory. */
static char *header_line(const char *name, const char *value) {
    struct rb_buffer line;
    rb_buffer_init(&line, 1024);
    rb_buffer_string(&line, name);
    rb_buffer_string(&line, ": ");
    rb_buffer_string(&line, value);
    char *text = rb_buffer_detach(&line, NULL);
    rb_buffer_fini(&line);
    return text;
}

static int64_t earlier(int64_t a, int64_t b) { return a < b ? a : b; }

/* Jobs may ask for less time than their definition gives, never for more. */
static void set_deadline(struct rb_flight *f) {
    struct rb_worker *w = f->worker;
    f->deadline_ms = f->claimed_ms + f->definition->timeout.total;
    if (f->job.expires)
        f->deadline_ms = earlier(f->deadline_ms, f->job.expires - w->ahead_ms);
}

static void start_call(struct rb_flight *f, struct rb_request *request) {
    struct rb_worker *w = f->worker;
    const struct rb_definition *d = f->definition;
    f->headers[0] = header_line("Idempotency-Key", f->id);
    f->headers[1] = f->job.trace ? header_line("traceparent", f->job.trace) : NULL;
    struct rb_call_order order = {
        .request = request,
        .extra = {f->headers[0], f->headers[1]},
        .connect_ms = d->timeout.connect,
        .deadline_ms = earlier(w->now_ms + d->timeout.per_try, f->deadline_ms),
        .max_bytes = d->result.max_bytes,
        .allow = d->network.allow,
        .deny = d->network.deny,
    };
    if (f->headers[0] && (f->headers[1] || !f->job.trace))
        f->call = rb_call_start(w->caller, &order, w->now_ms, rb_finish_on_answer, f);
    else
        rb_request_free(request);
    if (!f->call) {
        rb_finish_failed(f, RB_FAIL_INTERNAL, "out of memory", 0);
        return;
    }
    f->attempts++;
    f->until_expiry = f->job.expires && order.deadline_ms == f->job.expires - w->ahead_ms;
    rb_flight_move(f, RB_FLIGHT_CALLING);
    rb_log(RB_LOG_DEBUG, "job.calling", RB_S("job", f->id), RB_S("service", d->service),
           RB_S("channel", f->channel));
}

static void render(struct rb_flight *f, const json_t *params) {
    struct rb_request *request = NULL;
    struct rb_error error = {0};
    struct rb_job job = f->job;
    job.id = f->id;
    enum rb_status status = rb_definition_render(
        f->definition, &job, rb_text_of(f->channel), params, &request, &error);
    if (status == RB_OK)
        start_call(f, request);
    else if (status == RB_INVALID)
        rb_finish_invalid(f, RB_FAIL_INVALID_PARAMS, error.text);
    else if (status == RB_TOO_LARGE)
        rb_finish_invalid(f, RB_FAIL_INVALID_PARAMS, "the request would be too large");
    else
        rb_finish_failed(f, RB_FAIL_INTERNAL, rb_status_text(status), 0);
}

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

static void go(struct rb_flight *f) {
    json_t *params = NULL;
    struct rb_error error = {0};
    int64_t unix_ms = rb_worker_unix_ms(f->worker);

    enum rb_status status = rb_definition_check(f->definition, &f->job, &params, &error);
    if (status == RB_NOMEM) {
        rb_finish_failed(f, RB_FAIL_INTERNAL, "out of memory", 0);
    } else if (status != RB_OK) {
        rb_finish_invalid(f, RB_FAIL_INVALID_PARAMS, error.text);
    } else if (find_channel(f, params)) {
        set_deadline(f);
        if (f->job.expires && f->job.expires <= unix_ms) {
            rb_finish_failed(f, RB_FAIL_EXPIRED, "the job had expired before its turn",
                             0);
        } else if (f->job.run_at > unix_ms) {
            rb_finish_park(f, f->job.run_at);
        } else {
            if (f->definition->progress.started)
                rb_finish_started(f);
            render(f, params);
        }
    }
    json_decref(params);
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
    if (status == RB_OK && !poisoned)
        find_service(f);
    count(f);
    rb_log(RB_LOG_DEBUG, "job.claimed", RB_S("job", f->id), RB_T("queue", envelope.queue),
           RB_S("service", f->job.service), RB_S("channel", f->channel),
           RB_I("deliveries", f->deliveries));

    if (!f->id || !f->backend || (!w->mode->scripts && !f->envelope) ||
        status == RB_NOMEM)
        rb_finish_give_back(f);
    else if (poisoned)
        rb_finish_invalid(f, RB_FAIL_POISONED,
                          "its worker died too often with it in hand");
    else if (broken)
        rb_finish_invalid(f, RB_FAIL_INVALID_JOB, error.text);
    else if (!f->definition)
        refuse_service(f);
    else
        go(f);
    return true;
}
