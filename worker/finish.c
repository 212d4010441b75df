/* How a flight ends. Its terminal event is published until Redis has it, and only then is
 * the job forgotten: whoever dies in between leaves it to another worker, whose event is
 * dropped as a duplicate. */
#include "worker/finish.h"

#include <stdio.h>
#include <stdlib.h>

#include "jobs/dead.h"
#include "jobs/name.h"
#include "worker/backend.h"
#include "worker/call.h"
#include "worker/claim.h"
#include "worker/coalesce.h"
#include "worker/gate.h"
#include "worker/kept.h"
#include "worker/stats.h"
#include "worker/unique.h"
#include "worker/worker.h"

#define EVENT_ROOM 8192    /* of an event, besides its data */
#define USUAL_ROOM 300     /* of most of them */
#define MAX_REFUSALS 5     /* of an event that Redis will never take */
#define SCRATCH_KEPT 65536 /* a larger scratch buffer is given back */

static struct rb_event_head head_of(const struct rb_flight *f) {
    return (struct rb_event_head){
        .channel = rb_text_of(f->channel),
        .job = rb_text_of(f->id),
        .service = rb_text_of(f->job.service),
        .trace = rb_text_of(f->job.trace),
        .at = rb_worker_unix_ms(f->worker),
    };
}

/* ---- the end ---- */

static void land(struct rb_flight *f) {
    struct rb_worker *w = f->worker;
    rb_unique_drop(f);
    if (f->backend)
        rb_backend_job_ends(f->backend, f->outcome, (w->now_ms - f->claimed_ms) * 1000);
    f->backend = NULL;
    rb_flight_move(f, RB_FLIGHT_LANDED);
}

static void settle(struct rb_flight *f) {
    f->worker->mode->settle(f);
    land(f);
}

/* Moves on, to where the mode's command is to take it. */
static void ask(struct rb_flight *f, enum rb_flight_state state,
                void (*command)(struct rb_flight *f)) {
    rb_flight_move(f, state);
    f->asked = true;
    command(f);
}

static void bury(struct rb_flight *f) {
    unsigned held;
    rb_stats_add(f->worker->stats, RB_STAT_DEAD, 1);
    if (rb_log_allow(&f->worker->buried_log, f->worker->now_ms, &held))
        rb_log(RB_LOG_WARN, "job.buried", RB_S("job", f->id),
               RB_S("service", f->job.service),
               RB_T("channel", rb_name_shown(rb_text_of(f->channel))),
               RB_S("code", rb_failure_code(f->outcome)), RB_S("error", f->reason),
               RB_I("suppressed", held));
    ask(f, RB_FLIGHT_BURYING, f->worker->mode->bury);
}

struct rb_dead_fate rb_finish_fate(const struct rb_flight *f) {
    const char *reason = rb_failure_code(f->outcome);
    return (struct rb_dead_fate){
        .channel = rb_text_of(f->channel),
        .end = f->end,
        .reason = reason,
        .error = f->reason ? f->reason : reason,
    };
}

/* ---- publishing ---- */

static void on_published(void *ctx, const struct rb_published *published) {
    struct rb_flight *f = ctx;
    struct rb_worker *w = f->worker;
    f->asked = false;
    if (f->state == RB_FLIGHT_LANDED)
        return;
    if (published->status == RB_OK) {
        rb_kept_went_well(w);
        rb_stats_add(w->stats,
                     published->duplicate ? RB_STAT_DUPLICATES : RB_STAT_PUBLISHED, 1);
        if (published->duplicate)
            rb_log(RB_LOG_DEBUG, "job.duplicate", RB_S("job", f->id),
                   RB_T("channel", rb_name_shown(rb_text_of(f->channel))));
        f->end = published->id;
        if (f->bury)
            bury(f);
        else
            settle(f);
        return;
    }
    bool passes = published->status != RB_REFUSED ||
                  rb_worker_refused(w, "publish", published->error);
    if (!passes && ++f->refusals >= MAX_REFUSALS) {
        f->outcome = RB_FAIL_INTERNAL;
        free(f->reason);
        f->reason = rb_text_copy(rb_text_of(published->error));
        bury(f);
        return;
    }
    rb_stats_add(w->stats, RB_STAT_PUBLISH_RETRIES, 1);
    rb_kept_add(f);
}

static void publish(struct rb_flight *f) {
    const struct rb_publication publication = {
        .channel = rb_text_of(f->channel),
        .job = rb_text_of(f->id),
        .terminal = true,
        .event = rb_buffer_view(&f->event),
    };
    rb_flight_move(f, RB_FLIGHT_PUBLISHING);
    f->asked = true;
    if (f->data) /* whoever refuses this refuses the event as well */
        rb_result_store(f->worker->link, &f->worker->policy, publication.channel,
                        publication.job, rb_text(f->data, f->data_len), NULL, NULL);
    rb_publish(f->worker->link, &f->worker->policy, &publication, on_published, f);
}

static void on_progress_published(void *ctx, const struct rb_published *published) {
    struct rb_worker *w = ctx;
    bool out = published->status == RB_OK && !published->duplicate;
    rb_stats_add(w->stats, out ? RB_STAT_PUBLISHED : RB_STAT_EVENTS_LOST, 1);
}

static void publish_progress(struct rb_flight *f, const struct rb_buffer *event) {
    struct rb_worker *w = f->worker;
    const struct rb_publication publication = {
        .channel = rb_text_of(f->channel),
        .job = rb_text_of(f->id),
        .event = rb_buffer_view(event),
    };
    if (event->status == RB_OK)
        rb_publish(w->link, &w->policy, &publication, on_progress_published, w);
}

void rb_finish_started(struct rb_flight *f) {
    struct rb_event_head head = head_of(f);
    if (!f->channel)
        return;
    rb_buffer_clear(&f->worker->scratch);
    rb_event_started(&f->worker->scratch, &head);
    publish_progress(f, &f->worker->scratch);
}

void rb_finish_retrying(struct rb_flight *f, int attempt, int64_t delay_ms,
                        const struct rb_event_error *error) {
    struct rb_event_head head = head_of(f);
    if (!f->channel)
        return;
    rb_buffer_clear(&f->worker->scratch);
    rb_event_retrying(&f->worker->scratch, &head, attempt, delay_ms, error);
    publish_progress(f, &f->worker->scratch);
}

void rb_finish_part_retrying(struct rb_flight *f, struct rb_text part, int attempt,
                             int64_t delay_ms, const struct rb_event_error *error) {
    struct rb_event_head head = head_of(f);
    if (!f->channel)
        return;
    rb_buffer_clear(&f->worker->scratch);
    rb_event_part_retrying(&f->worker->scratch, &head, part, attempt, delay_ms, error);
    publish_progress(f, &f->worker->scratch);
}

void rb_finish_partial(struct rb_flight *f, struct rb_text part, int parts,
                       struct rb_text data) {
    struct rb_event_head head = head_of(f);
    struct rb_buffer event;
    if (!f->channel)
        return;
    rb_buffer_init(&event, data.len + EVENT_ROOM);
    rb_event_partial(&event, &head, part, parts, data);
    publish_progress(f, &event);
    rb_buffer_fini(&event);
}

/* ---- failing ---- */

static void log_failure(struct rb_flight *f, const struct rb_event_error *error,
                        const char *detail) {
    struct rb_worker *w = f->worker;
    unsigned held;
    if (rb_log_allow(&w->failed_log, w->now_ms, &held))
        rb_log(RB_LOG_WARN, "job.failed", RB_S("job", f->id),
               RB_S("service", f->job.service),
               RB_T("channel", rb_name_shown(rb_text_of(f->channel))),
               RB_S("code", rb_failure_code(error->code)), RB_S("error", error->message),
               RB_I("status", error->status), RB_S("detail", detail),
               RB_I("ms", w->now_ms - f->claimed_ms), RB_I("suppressed", held));
}

static void fail(struct rb_flight *f, const struct rb_event_origin *origin,
                 const struct rb_event_error *error, const char *detail) {
    struct rb_event_head head = head_of(f);
    head.origin = origin;
    if (f->question && rb_coalesce_failed(f, error))
        return;
    log_failure(f, error, detail);
    f->outcome = error->code;
    free(f->reason);
    f->reason = rb_text_copy(rb_text_of(error->message));
    if (!f->channel) {
        bury(f);
        return;
    }
    rb_buffer_fini(&f->event);
    rb_buffer_init(&f->event, EVENT_ROOM);
    rb_event_failed(&f->event, &head, error);
    if (f->event.status == RB_OK)
        publish(f);
    else
        rb_finish_give_back(f);
}

void rb_finish_failed(struct rb_flight *f, enum rb_failure failure, const char *sentence,
                      int status) {
    const struct rb_event_error error = {failure, sentence, status};
    rb_finish_failed_from(f, NULL, &error);
}

void rb_finish_failed_from(struct rb_flight *f, const struct rb_event_origin *origin,
                           const struct rb_event_error *error) {
    fail(f, origin, error, "");
}

void rb_finish_dropped(struct rb_flight *f, enum rb_failure failure) {
    f->outcome = failure;
    settle(f);
}

void rb_finish_invalid(struct rb_flight *f, enum rb_failure failure,
                       const char *sentence) {
    f->bury = true;
    rb_finish_failed(f, failure, sentence, 0);
}

/* ---- the answer ---- */

/* The event of a result that is too large for a channel: each who hears it, and each who
 * comes late, would get all of it. */
static void write_linked(struct rb_flight *f, const struct rb_event_head *head,
                         struct rb_text data) {
    char link[sizeof "/wait/?result=" + RB_CHANNEL_MAX + RB_JOB_ID_MAX];
    int len = snprintf(link, sizeof link, "/wait/%s?result=%s", f->channel, f->id);
    free(f->data);
    f->data = rb_text_copy(data);
    f->data_len = data.len;
    if (f->data)
        rb_event_done_linked(&f->event, head, rb_text(link, (size_t)len),
                             (int64_t)data.len);
    else
        f->event.status = RB_NOMEM;
}

void rb_finish_done(struct rb_flight *f, const struct rb_event_origin *origin,
                    struct rb_text data) {
    struct rb_event_head head = head_of(f);
    head.origin = origin;
    if (f->question)
        rb_coalesce_done(f, origin, data);
    f->outcome = RB_FAILURES;
    rb_log(RB_LOG_DEBUG, "job.done", RB_S("job", f->id), RB_S("service", f->job.service),
           RB_T("channel", rb_name_shown(rb_text_of(f->channel))),
           RB_I("bytes", data.len), RB_I("ms", f->worker->now_ms - f->claimed_ms));
    if (!f->channel) {
        settle(f);
        return;
    }
    rb_buffer_init(&f->event, data.len + EVENT_ROOM);
    if (data.len > (size_t)f->worker->policy.max_data)
        write_linked(f, &head, data);
    else if (rb_buffer_reserve(&f->event, data.len + USUAL_ROOM))
        rb_event_done(&f->event, &head, data);
    if (f->event.status == RB_OK)
        publish(f);
    else
        rb_finish_failed(f, RB_FAIL_INTERNAL, rb_status_text(f->event.status), 0);
}

const char *rb_finish_sentence(int status, char room[RB_FINISH_SENTENCE]) {
    snprintf(room, RB_FINISH_SENTENCE, "the service answered with status %d", status);
    return room;
}

void rb_finish_trim(struct rb_worker *w) {
    size_t limit = w->scratch.limit;
    if (w->scratch.room <= SCRATCH_KEPT)
        return;
    rb_buffer_fini(&w->scratch);
    rb_buffer_init(&w->scratch, limit);
}

static void judge(struct rb_flight *f, const struct rb_answer *answer) {
    struct rb_buffer *result = &f->worker->scratch;
    struct rb_error error = {0};
    char sentence[RB_FINISH_SENTENCE];

    if (!rb_definition_success(f->definition, answer->status)) {
        const struct rb_event_error wrong = {RB_FAIL_HTTP_STATUS,
                                             rb_finish_sentence(answer->status, sentence),
                                             answer->status};
        fail(f, NULL, &wrong, answer->detail);
        return;
    }
    rb_buffer_clear(result);
    enum rb_status status = rb_definition_result(f->definition, answer->content_type,
                                                 answer->body, result, &error);
    if (status == RB_OK)
        rb_finish_done(f, NULL, rb_buffer_view(result));
    else if (status == RB_INVALID)
        rb_finish_failed(f, RB_FAIL_BAD_RESPONSE, error.text, answer->status);
    else if (status == RB_TOO_LARGE)
        rb_finish_failed(f, RB_FAIL_TOO_LARGE, "the result is too large", answer->status);
    else
        rb_finish_failed(f, RB_FAIL_INTERNAL, rb_status_text(status), 0);
    rb_finish_trim(f->worker);
}

void rb_finish_answered(struct rb_flight *f, const struct rb_answer *answer) {
    if (answer->failure == RB_FAILURES) {
        judge(f, answer);
        return;
    }
    enum rb_failure failure = answer->failure;
    const char *sentence = answer->sentence;
    if (failure == RB_FAIL_TIMEOUT && f->until_expiry) {
        failure = RB_FAIL_EXPIRED;
        sentence = "the job expired before the service answered";
    }
    const struct rb_event_error error = {failure, sentence, answer->status};
    fail(f, NULL, &error, answer->detail);
}

/* ---- other ways to leave ---- */

void rb_finish_park(struct rb_flight *f, int64_t until_ms) {
    f->park_until = until_ms;
    rb_coalesce_leave(f);
    rb_gate_withdraw(f);
    rb_unique_keep(f);
    rb_log(
        RB_LOG_DEBUG, "job.parked", RB_S("job", f->id), RB_S("service", f->job.service),
        RB_T("channel", rb_name_shown(rb_text_of(f->channel))), RB_I("until", until_ms));
    ask(f, RB_FLIGHT_PARKING, f->worker->mode->park);
}

void rb_finish_give_back(struct rb_flight *f) {
    rb_flight_hang_up(f);
    rb_coalesce_leave(f);
    rb_gate_withdraw(f);
    rb_stats_add(f->worker->stats, RB_STAT_GIVEN_BACK, 1);
    rb_log(RB_LOG_DEBUG, "job.given_back", RB_S("job", f->id),
           RB_S("service", f->job.service),
           RB_T("channel", rb_name_shown(rb_text_of(f->channel))));
    ask(f, RB_FLIGHT_RETURNING, f->worker->mode->give_back);
}

void rb_finish_put_off(struct rb_flight *f) {
    if (f->attempts == 0)
        rb_finish_give_back(f);
    else
        rb_finish_park(f, rb_worker_unix_ms(f->worker) + rb_flight_wait_left_ms(f));
}

void rb_finish_confirmed(struct rb_flight *f, enum rb_status status, const char *error) {
    struct rb_worker *w = f->worker;
    f->asked = false;
    if (f->state == RB_FLIGHT_LANDED)
        return;
    if (status == RB_OK && f->state == RB_FLIGHT_BURYING) {
        land(f);
        return;
    }
    if (status == RB_OK) {
        rb_flight_drop(f);
        return;
    }
    if (status == RB_REFUSED)
        rb_worker_refused(w, rb_flight_state_name(f->state), error);
    rb_kept_add(f);
}

void rb_finish_resume(struct rb_flight *f) {
    const struct rb_claiming *mode = f->worker->mode;
    if (f->resume == RB_FLIGHT_PUBLISHING)
        publish(f);
    else if (f->resume == RB_FLIGHT_BURYING)
        ask(f, RB_FLIGHT_BURYING, mode->bury);
    else if (f->resume == RB_FLIGHT_PARKING)
        ask(f, RB_FLIGHT_PARKING, mode->park);
    else
        ask(f, RB_FLIGHT_RETURNING, mode->give_back);
}
