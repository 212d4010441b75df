/* Whether, when and where a flight waits for its next call. */
#include "worker/retry.h"

#include <stdio.h>

#include "config/process.h"
#include "jobs/name.h"
#include "worker/backend.h"
#include "worker/call.h"
#include "worker/claim.h"
#include "worker/finish.h"
#include "worker/gate.h"
#include "worker/worker.h"

/* A wait in memory must end before the lease might, even if a heartbeat is late. */
static bool is_short(const struct rb_worker *w, int64_t delay_ms) {
    return delay_ms <= w->settings->worker.lease / 2 && !rb_claims_stopped(w) &&
           rb_flights_may_wait(w);
}

static void wait(struct rb_flight *f, int64_t delay_ms,
                 const struct rb_event_error *error) {
    struct rb_worker *w = f->worker;
    rb_log(RB_LOG_DEBUG, "job.retrying", RB_S("job", f->id),
           RB_S("service", f->job.service),
           RB_T("channel", rb_name_shown(rb_text_of(f->channel))),
           RB_I("attempt", f->attempts + 1), RB_I("delay_ms", delay_ms),
           RB_S("code", rb_failure_code(error->code)), RB_I("status", error->status));
    rb_backend_retries(f->backend);
    f->last_failure = error->code;
    f->last_status = error->status;
    if (f->definition->progress.retrying)
        rb_finish_retrying(f, (int)f->attempts + 1, delay_ms, error);
    if (is_short(w, delay_ms)) {
        if (w->mode->note && f->attempts > 0)
            w->mode->note(f);
        rb_flight_wait(f, w->now_ms + delay_ms);
    } else {
        rb_finish_park(f, rb_worker_unix_ms(w) + delay_ms);
    }
}

static bool decide(const struct rb_flight *f, const struct rb_retry_outcome *outcome,
                   int64_t *delay_ms) {
    static const char *const why[] = {
        [RB_RETRY_NOT_NAMED] = "retry.on does not name it",
        [RB_RETRY_SPENT] = "retry.max_attempts calls were made",
        [RB_RETRY_TOO_LONG] = "the service asks for more than retry.max_retry_after",
        [RB_RETRY_TOO_LATE] = "no time is left",
    };
    const struct rb_retry_policy *policy = &f->definition->retry;
    int attempts = f->attempts > 0 ? (int)f->attempts : 1;
    enum rb_retry_verdict verdict =
        rb_retry_decide(policy, attempts, outcome, f->worker->now_ms, f->deadline_ms,
                        (uint32_t)rb_process_random(), delay_ms);
    if (verdict == RB_RETRY_AGAIN)
        return true;
    if (policy->max_attempts > 1)
        rb_log(RB_LOG_DEBUG, "job.no_retry", RB_S("job", f->id),
               RB_S("service", f->job.service),
               RB_T("channel", rb_name_shown(rb_text_of(f->channel))),
               RB_I("attempts", f->attempts), RB_S("why", why[verdict]));
    return false;
}

bool rb_retry_again(struct rb_flight *f, const struct rb_answer *answer,
                    const struct rb_retry_outcome *outcome) {
    int64_t delay_ms, budget_ms;
    char sentence[RB_FINISH_SENTENCE];
    if (!decide(f, outcome, &delay_ms))
        return false;
    if (!rb_gate_take_retry(f, f->deadline_ms - f->worker->now_ms - 1, &budget_ms)) {
        rb_backend_retry_denied(f->backend);
        rb_log(RB_LOG_DEBUG, "job.no_retry", RB_S("job", f->id),
               RB_S("service", f->job.service),
               RB_T("channel", rb_name_shown(rb_text_of(f->channel))),
               RB_I("attempts", f->attempts),
               RB_S("why", "the retry budget of the service is spent"));
        return false;
    }
    bool answered = answer->failure == RB_FAILURES;
    f->last_sentence = answered ? NULL : answer->sentence;
    const struct rb_event_error error = {
        .code = answered ? RB_FAIL_HTTP_STATUS : answer->failure,
        .message =
            answered ? rb_finish_sentence(answer->status, sentence) : answer->sentence,
        .status = answer->status,
    };
    wait(f, delay_ms > budget_ms ? delay_ms : budget_ms, &error);
    return true;
}

/* No call was made, so none counts as spent, and no budget either; the job's time is what
 * ends this. */
void rb_retry_circuit_open(struct rb_flight *f) {
    static const struct rb_retry_outcome outcome = {RB_RETRY_CIRCUIT_OPEN, 0,
                                                    RB_RETRY_NO_WISH};
    static const struct rb_event_error error = {
        RB_FAIL_CIRCUIT_OPEN,
        "the service failed too often: no calls are made to it for a while", 0};
    struct rb_worker *w = f->worker;
    int64_t delay_ms;
    rb_flight_set_deadline(f);
    if (decide(f, &outcome, &delay_ms)) {
        delay_ms += rb_gate_open_ms(f);
        if (delay_ms < f->deadline_ms - w->now_ms) {
            f->last_sentence = error.message;
            wait(f, delay_ms, &error);
            return;
        }
    }
    rb_finish_failed(f, error.code, error.message, 0);
}

/* Its last error says more than that it waited in vain. What began as another's question
 * has its time before its first call. */
static void out_of_time(struct rb_flight *f) {
    char sentence[RB_FINISH_SENTENCE];
    bool queued = f->start_by_ms && (!f->deadline_ms || f->start_by_ms <= f->deadline_ms);
    bool limited = rb_gate_is_limited(f);
    rb_gate_withdraw(f);
    if (rb_flight_expires_by(f, f->worker->now_ms))
        rb_finish_failed(f, RB_FAIL_EXPIRED, "the job expired before its turn came", 0);
    else if (f->last_failure != RB_FAILURES)
        rb_finish_failed(f, f->last_failure,
                         f->last_sentence ? f->last_sentence
                                          : rb_finish_sentence(f->last_status, sentence),
                         f->last_status);
    else if (f->attempts > 0)
        rb_finish_failed(f, RB_FAIL_TIMEOUT, "no time was left for another try", 0);
    else if (limited)
        rb_finish_failed(f, RB_FAIL_RATE_LIMITED,
                         "the service may not be called so often, and the job's turn did "
                         "not come in time",
                         0);
    else if (!queued)
        rb_finish_failed(f, RB_FAIL_TIMEOUT, "the service did not answer in time", 0);
    else
        rb_finish_failed(f, RB_FAIL_EXPIRED, "the job waited longer than max_queue_time",
                         0);
}

void rb_retry_woken(struct rb_flight *f) {
    int64_t last_ms = rb_flight_last_ms(f);
    if (f->line.waiting || (last_ms && f->worker->now_ms >= last_ms))
        out_of_time(f);
    else
        rb_gate_enter(f);
}
