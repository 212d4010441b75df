/* Asking several services for one job. A leg is one of its calls: it runs, waits for its
 * next try, or has ended; how many must have ended well is for gather.c to say. */
#include "worker/fanout.h"

#include <stdlib.h>

#include "config/process.h"
#include "jobs/name.h"
#include "worker/backend.h"
#include "worker/call.h"
#include "worker/finish.h"
#include "worker/gate.h"
#include "worker/gather.h"
#include "worker/hedge.h"
#include "worker/worker.h"

struct leg {
    struct rb_fanout *fanout;
    const struct rb_definition *definition;
    struct rb_request *request;
    struct rb_hedge *call; /* while one runs */
    ev_timer timer;        /* until the next try */
    char *key;             /* "Idempotency-Key: <job>-<leg>" */
    int attempts;
    int64_t deadline_ms;
};

struct rb_fanout {
    struct rb_flight *flight;
    struct rb_gather *gather;
    struct rb_retry_outcome outcome; /* of the last leg that failed */
    ev_timer deadline;
    bool closes; /* at the deadline, with what is there */
    size_t count;
    struct leg legs[];
};

static void start_leg(struct leg *leg);

static struct rb_worker *worker_of(const struct rb_fanout *fanout) {
    return fanout->flight->worker;
}

static struct rb_text name_of(const struct leg *leg) {
    const struct rb_definition *d = leg->fanout->flight->definition;
    return rb_text_of(d->calls.legs[leg - leg->fanout->legs].name);
}

void rb_fanout_free(struct rb_fanout *fanout) {
    if (!fanout)
        return;
    struct ev_loop *loop = worker_of(fanout)->loop;
    ev_timer_stop(loop, &fanout->deadline);
    for (size_t i = 0; i < fanout->count; i++) {
        struct leg *leg = &fanout->legs[i];
        ev_timer_stop(loop, &leg->timer);
        if (leg->call)
            rb_hedge_cancel(leg->call);
        rb_request_free(leg->request);
        free(leg->key);
    }
    rb_gather_free(fanout->gather);
    free(fanout);
}

/* ---- the end of it ---- */

static void end_well(struct rb_fanout *fanout) {
    struct rb_flight *f = fanout->flight;
    struct rb_buffer missing, *data = &f->worker->scratch;
    rb_gate_leave(f, NULL, (f->worker->now_ms - f->called_ms) * 1000);
    rb_buffer_init(&missing, RB_FINISH_MISSING_MAX);
    rb_gather_write_missing(fanout->gather, &missing);
    rb_buffer_clear(data);
    rb_gather_write(fanout->gather, data);
    f->fanout = NULL;
    const struct rb_event_origin origin = {.missing = rb_buffer_view(&missing)};
    if (data->status == RB_OK && missing.status == RB_OK)
        rb_finish_done(f, &origin, rb_buffer_view(data));
    else if (data->status == RB_TOO_LARGE)
        rb_finish_failed(f, RB_FAIL_TOO_LARGE, "the result is too large", 0);
    else
        rb_finish_failed(f, RB_FAIL_INTERNAL, "out of memory", 0);
    rb_finish_trim(f->worker);
    rb_buffer_fini(&missing);
    rb_fanout_free(fanout);
}

static void end_badly(struct rb_fanout *fanout, const struct rb_event_error *error) {
    struct rb_flight *f = fanout->flight;
    f->fanout = NULL;
    rb_gate_leave(f, &fanout->outcome, (f->worker->now_ms - f->called_ms) * 1000);
    rb_finish_failed(f, error->code, error->message, error->status);
    rb_fanout_free(fanout);
}

/* After each leg that ended: the fan-out may be gone behind this. */
static void judge(struct rb_fanout *fanout) {
    enum rb_gather_verdict verdict = rb_gather_verdict(fanout->gather);
    if (verdict == RB_GATHER_DONE)
        end_well(fanout);
    else if (verdict == RB_GATHER_FAILED)
        end_badly(fanout, rb_gather_error(fanout->gather));
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int revents) {
    static const struct rb_event_error late = {RB_FAIL_TIMEOUT,
                                               "the services did not answer in time", 0};
    static const struct rb_event_error expired = {
        RB_FAIL_EXPIRED, "the job expired before the services answered", 0};
    struct rb_fanout *fanout = timer->data;
    struct rb_flight *f = fanout->flight;
    (void)loop, (void)revents;
    if (fanout->closes && rb_gather_close(fanout->gather) == RB_GATHER_DONE) {
        end_well(fanout);
        return;
    }
    fanout->outcome = (struct rb_retry_outcome){RB_RETRY_TIMEOUT, 0, RB_RETRY_NO_WISH};
    end_badly(fanout, rb_flight_expires_by(f, f->worker->now_ms) ? &expired : &late);
}

static void out_of_memory(struct rb_fanout *fanout) {
    static const struct rb_event_error error = {RB_FAIL_INTERNAL, "out of memory", 0};
    fanout->outcome = (struct rb_retry_outcome){RB_RETRY_NEVER, 0, RB_RETRY_NO_WISH};
    end_badly(fanout, &error);
}

/* ---- one leg ---- */

static void leg_failed(struct leg *leg, const struct rb_event_error *error) {
    struct rb_fanout *fanout = leg->fanout;
    struct rb_flight *f = fanout->flight;
    rb_log(RB_LOG_DEBUG, "job.part_failed", RB_S("job", f->id),
           RB_S("service", f->job.service),
           RB_T("channel", rb_name_shown(rb_text_of(f->channel))),
           RB_T("part", name_of(leg)), RB_S("code", rb_failure_code(error->code)),
           RB_I("status", error->status), RB_I("attempts", leg->attempts));
    if (rb_gather_failed(fanout->gather, (size_t)(leg - fanout->legs), error) == RB_OK)
        judge(fanout);
    else
        out_of_memory(fanout);
}

static void leg_answered(struct leg *leg, const struct rb_answer *answer) {
    struct rb_fanout *fanout = leg->fanout;
    struct rb_flight *f = fanout->flight;
    struct rb_buffer *result = &f->worker->scratch;
    struct rb_error error = {0};
    rb_buffer_clear(result);
    enum rb_status status = rb_definition_result(leg->definition, answer->content_type,
                                                 answer->body, result, &error);
    if (status == RB_INVALID || status == RB_TOO_LARGE) {
        bool large = status == RB_TOO_LARGE;
        fanout->outcome =
            (struct rb_retry_outcome){RB_RETRY_NEVER, answer->status, RB_RETRY_NO_WISH};
        leg_failed(leg,
                   &(struct rb_event_error){
                       large ? RB_FAIL_TOO_LARGE : RB_FAIL_BAD_RESPONSE,
                       large ? "the result is too large" : error.text, answer->status});
        return;
    }
    if (status != RB_OK ||
        rb_gather_answered(fanout->gather, (size_t)(leg - fanout->legs),
                           rb_buffer_view(result)) != RB_OK) {
        out_of_memory(fanout);
        return;
    }
    if (f->definition->progress.partial)
        rb_finish_partial(f, name_of(leg), (int)fanout->count, rb_buffer_view(result));
    judge(fanout);
}

static void on_retry(struct ev_loop *loop, ev_timer *timer, int revents) {
    (void)loop, (void)revents;
    start_leg(timer->data);
}

/* True: there will be another try. It is waited for in memory, since what the others have
 * answered is there too. */
static bool retry(struct leg *leg, const struct rb_retry_outcome *outcome,
                  const struct rb_event_error *error) {
    struct rb_flight *f = leg->fanout->flight;
    struct rb_worker *w = f->worker;
    int64_t delay_ms, budget_ms;
    if (rb_retry_decide(&leg->definition->retry, leg->attempts, outcome, w->now_ms,
                        leg->deadline_ms, (uint32_t)rb_process_random(),
                        &delay_ms) != RB_RETRY_AGAIN)
        return false;
    if (!rb_gate_take_retry(f, leg->deadline_ms - w->now_ms - 1, &budget_ms)) {
        rb_backend_retry_denied(f->backend);
        return false;
    }
    if (delay_ms < budget_ms)
        delay_ms = budget_ms;
    rb_backend_retries(f->backend);
    if (f->definition->progress.retrying)
        rb_finish_part_retrying(f, name_of(leg), leg->attempts + 1, delay_ms, error);
    ev_timer_set(&leg->timer, (double)delay_ms / 1000.0, 0.0);
    ev_timer_start(w->loop, &leg->timer);
    return true;
}

static void on_answer(void *ctx, const struct rb_answer *answer) {
    struct leg *leg = ctx;
    struct rb_fanout *fanout = leg->fanout;
    bool answered = answer->failure == RB_FAILURES;
    char sentence[RB_FINISH_SENTENCE];
    leg->call = NULL;
    rb_backend_called(fanout->flight->backend, answer->took_us);
    if (answered && rb_definition_success(leg->definition, answer->status)) {
        leg_answered(leg, answer);
        return;
    }
    fanout->outcome =
        (struct rb_retry_outcome){answer->cause, answer->status, answer->retry_after_ms};
    const struct rb_event_error error = {
        .code = answered ? RB_FAIL_HTTP_STATUS : answer->failure,
        .message =
            answered ? rb_finish_sentence(answer->status, sentence) : answer->sentence,
        .status = answer->status,
    };
    if (!retry(leg, &fanout->outcome, &error))
        leg_failed(leg, &error);
}

static void start_leg(struct leg *leg) {
    struct rb_flight *f = leg->fanout->flight;
    struct rb_worker *w = f->worker;
    const struct rb_definition *d = leg->definition;
    int64_t by_ms = w->now_ms + d->timeout.per_try;
    const struct rb_call_order order = {
        .request = rb_request_ref(leg->request),
        .extra = {leg->key, f->headers[1]},
        .connect_ms = d->timeout.connect,
        .deadline_ms = by_ms < leg->deadline_ms ? by_ms : leg->deadline_ms,
        .max_bytes = d->result.max_bytes,
        .allow = f->definition->network.allow,
        .deny = f->definition->network.deny,
        .tls = d->tls,
        .redirects = d->redirects.max > 0 ? &d->redirects : NULL,
    };
    leg->attempts++;
    leg->call = rb_hedge_start(f, &order, d->hedge_after_ms, on_answer, leg);
    if (!leg->call)
        out_of_memory(leg->fanout);
}

/* ---- the beginning ---- */

static void arm(struct rb_fanout *fanout) {
    struct rb_flight *f = fanout->flight;
    int64_t now_ms = f->worker->now_ms, most_ms = f->definition->calls.deadline_ms;
    int64_t left_ms = f->deadline_ms - now_ms;
    fanout->closes = most_ms > 0 && most_ms <= left_ms;
    if (fanout->closes)
        left_ms = most_ms;
    for (size_t i = 0; i < fanout->count; i++) {
        struct leg *leg = &fanout->legs[i];
        int64_t total_ms = leg->definition->timeout.total;
        /* Behind the deadline of all, so that this one tells what has happened. */
        leg->deadline_ms = now_ms + (total_ms < left_ms ? total_ms : left_ms + 1);
    }
    ev_timer_set(&fanout->deadline, (double)(left_ms > 0 ? left_ms : 0) / 1000.0, 0.0);
    ev_timer_start(f->worker->loop, &fanout->deadline);
}

static struct rb_fanout *fanout_new(struct rb_flight *f) {
    const struct rb_definition *d = f->definition;
    size_t count = d->calls.count;
    struct rb_fanout *fanout = calloc(1, sizeof *fanout + count * sizeof fanout->legs[0]);
    if (!fanout)
        return NULL;
    fanout->flight = f;
    fanout->count = count;
    ev_timer_init(&fanout->deadline, on_deadline, 0.0, 0.0);
    fanout->deadline.data = fanout;
    for (size_t i = 0; i < count; i++) {
        struct leg *leg = &fanout->legs[i];
        leg->fanout = fanout;
        leg->definition = d->calls.legs[i].definition;
        ev_timer_init(&leg->timer, on_retry, 0.0, 0.0);
        leg->timer.data = leg;
    }
    fanout->gather = rb_gather_new(d->calls.legs, count, d->calls.need);
    if (fanout->gather)
        return fanout;
    rb_fanout_free(fanout);
    return NULL;
}

/* Two calls may go to one service, so each has a key of its own. */
static char *key_of(const struct leg *leg) {
    struct rb_buffer line;
    rb_buffer_init(&line, 1024);
    rb_buffer_printf(&line, "Idempotency-Key: %s-" RB_TEXT_FMT, leg->fanout->flight->id,
                     RB_TEXT_ARG(name_of(leg)));
    char *text = rb_buffer_detach(&line, NULL);
    rb_buffer_fini(&line);
    return text;
}

/* All requests, before the first call is made. */
static enum rb_status render(struct rb_fanout *fanout, struct rb_error *error) {
    struct rb_flight *f = fanout->flight;
    struct rb_job job = f->job;
    job.id = f->id;
    for (size_t i = 0; i < fanout->count; i++) {
        struct leg *leg = &fanout->legs[i];
        enum rb_status status =
            rb_definition_render(leg->definition, &job, rb_text_of(f->channel), f->params,
                                 &leg->request, error);
        if (status != RB_OK)
            return status;
        leg->key = key_of(leg);
        if (!leg->key)
            return RB_NOMEM;
    }
    return RB_OK;
}

static void go(struct rb_flight *f) {
    struct rb_fanout *fanout = f->fanout;
    if (f->attempts == 0 && f->definition->progress.started)
        rb_finish_started(f);
    f->attempts++;
    f->called_ms = f->worker->now_ms;
    rb_flight_move(f, RB_FLIGHT_CALLING);
    rb_log(RB_LOG_DEBUG, "job.calling", RB_S("job", f->id),
           RB_S("service", f->job.service),
           RB_T("channel", rb_name_shown(rb_text_of(f->channel))),
           RB_I("calls", fanout->count));
    arm(fanout);
    for (size_t i = 0; f->fanout == fanout && i < fanout->count; i++)
        start_leg(&fanout->legs[i]);
}

void rb_fanout_start(struct rb_flight *f) {
    struct rb_error error = {0};
    rb_flight_set_deadline(f);
    f->fanout = fanout_new(f);
    enum rb_status status = f->fanout ? render(f->fanout, &error) : RB_NOMEM;
    if (status == RB_OK) {
        go(f);
        return;
    }
    rb_fanout_free(f->fanout);
    f->fanout = NULL;
    rb_gate_withdraw(f);
    if (status == RB_INVALID)
        rb_finish_invalid(f, RB_FAIL_INVALID_PARAMS, error.text);
    else if (status == RB_TOO_LARGE)
        rb_finish_invalid(f, RB_FAIL_INVALID_PARAMS, "a request would be too large");
    else
        rb_finish_failed(f, RB_FAIL_INTERNAL, rb_status_text(status), 0);
}
