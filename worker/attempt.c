/* Making a call. */
#include "worker/attempt.h"

#include <stdlib.h>

#include "jobs/name.h"
#include "worker/backend.h"
#include "worker/call.h"
#include "worker/fanout.h"
#include "worker/finish.h"
#include "worker/gate.h"
#include "worker/hedge.h"
#include "worker/retry.h"
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

static void on_answer(void *ctx, const struct rb_answer *answer) {
    struct rb_flight *f = ctx;
    f->call = NULL;
    f->hedge = NULL;
    rb_backend_called(f->backend, answer->took_us);
    if (answer->failure == RB_FAILURES &&
        rb_definition_success(f->definition, answer->status)) {
        rb_gate_leave(f, NULL, answer->took_us);
        rb_finish_answered(f, answer);
        return;
    }
    struct rb_retry_outcome outcome = {
        .cause = answer->cause,
        .status = answer->status,
        .retry_after_ms = answer->retry_after_ms,
    };
    rb_gate_leave(f, &outcome, answer->took_us);
    if (!rb_retry_again(f, answer, &outcome))
        rb_finish_answered(f, answer);
}

static bool set_headers(struct rb_flight *f) {
    if (!f->headers[0])
        f->headers[0] = header_line("Idempotency-Key", f->id);
    if (!f->headers[1] && f->job.trace)
        f->headers[1] = header_line("traceparent", f->job.trace);
    return f->headers[0] && (f->headers[1] || !f->job.trace);
}

static void start_call(struct rb_flight *f, struct rb_request *request) {
    struct rb_worker *w = f->worker;
    const struct rb_definition *d = f->definition;
    int64_t by_ms = w->now_ms + d->timeout.per_try;
    f->hurried = by_ms > f->deadline_ms;
    const struct rb_call_order order = {
        .request = request,
        .extra = {f->headers[0], f->headers[1]},
        .connect_ms = d->timeout.connect,
        .deadline_ms = f->hurried ? f->deadline_ms : by_ms,
        .max_bytes = d->result.max_bytes,
        .allow = d->network.allow,
        .deny = d->network.deny,
        .tls = d->tls,
        .redirects = d->redirects.max > 0 ? &d->redirects : NULL,
    };
    if (d->hedge_after_ms > 0)
        f->hedge = rb_hedge_start(f, &order, d->hedge_after_ms, on_answer, f);
    else
        f->call = rb_call_start(w->caller, &order, w->now_ms, on_answer, f);
    if (!f->call && !f->hedge) {
        rb_gate_withdraw(f);
        rb_finish_failed(f, RB_FAIL_INTERNAL, "out of memory", 0);
        return;
    }
    if (f->attempts == 0 && d->progress.started)
        rb_finish_started(f);
    f->attempts++;
    f->until_expiry = rb_flight_expires_by(f, order.deadline_ms);
    f->called_ms = w->now_ms;
    rb_flight_move(f, RB_FLIGHT_CALLING);
    rb_log(RB_LOG_DEBUG, "job.calling", RB_S("job", f->id), RB_S("service", d->service),
           RB_T("channel", rb_name_shown(rb_text_of(f->channel))),
           RB_I("attempt", f->attempts));
}

void rb_attempt_start(struct rb_flight *f) {
    struct rb_request *request = NULL;
    struct rb_error error = {0};
    struct rb_job job = f->job;
    job.id = f->id;
    rb_flight_set_deadline(f);
    enum rb_status status = set_headers(f) ? RB_OK : RB_NOMEM;
    if (status == RB_OK && f->definition->calls.count > 0) {
        rb_fanout_start(f);
        return;
    }
    if (status == RB_OK)
        status = rb_definition_render(f->definition, &job, rb_text_of(f->channel),
                                      f->params, &request, &error);
    if (status == RB_OK) {
        start_call(f, request);
        return;
    }
    rb_gate_withdraw(f);
    if (status == RB_INVALID)
        rb_finish_invalid(f, RB_FAIL_INVALID_PARAMS, error.text);
    else if (status == RB_TOO_LARGE)
        rb_finish_invalid(f, RB_FAIL_INVALID_PARAMS, "the request would be too large");
    else
        rb_finish_failed(f, RB_FAIL_INTERNAL, rb_status_text(status), 0);
}
