/* From what was asked to a job in its queue. */
#include "notifier/enqueue.h"

#include "config/clock.h"
#include "jobs/job.h"
#include "jobs/json_scan.h"
#include "notifier/server.h"

static void write_job(const struct rb_enqueue *asked, struct rb_text trace,
                      struct rb_buffer *json) {
    rb_buffer_clear(json);
    rb_buffer_string(json, "{\"service\":");
    rb_buffer_json(json, asked->service);
    rb_buffer_string(json, ",\"params\":");
    rb_buffer_text(json, asked->params.len > 0 ? asked->params : RB_TEXT("{}"));
    rb_buffer_string(json, ",\"channel\":");
    rb_buffer_json(json, asked->channel);
    rb_buffer_string(json, ",\"id\":");
    rb_buffer_json(json, asked->id);
    rb_buffer_printf(json, ",\"at\":%lld", (long long)rb_clock_unix_ms());
    if (asked->expires > 0)
        rb_buffer_printf(json, ",\"expires\":%lld", (long long)asked->expires);
    if (trace.len > 0) {
        rb_buffer_string(json, ",\"trace\":");
        rb_buffer_json(json, trace);
    }
    rb_buffer_char(json, '}');
}

static enum rb_status write_and_read(const struct rb_enqueue *asked, struct rb_text trace,
                                     struct rb_buffer *json, struct rb_error *error) {
    struct rb_job job;
    write_job(asked, trace, json);
    if (json->status != RB_OK)
        return json->status;
    enum rb_status status = rb_job_parse(rb_buffer_view(json), &job, error);
    rb_job_fini(&job);
    return status;
}

enum rb_status rb_enqueue_write(const struct rb_enqueue *asked, struct rb_buffer *json,
                                struct rb_error *error) {
    enum rb_status status = RB_OK;
    /* Params that are no JSON are said to be so with their own place. */
    if (asked->params.len > 0)
        status = rb_json_check(asked->params, error);
    if (status == RB_INVALID)
        return status;
    status = write_and_read(asked, asked->trace, json, error);
    /* A broken traceparent is ignored (W3C Trace Context §3.2). */
    if (status == RB_INVALID && asked->trace.len > 0)
        status = write_and_read(asked, RB_TEXT(""), json, error);
    if (status == RB_TOO_LARGE)
        (void)rb_error_set(error, NULL, 0, 0, "The job is larger than 1 MiB.");
    else if (status == RB_NOMEM)
        (void)rb_error_set(error, NULL, 0, 0, "Out of memory.");
    return status;
}

void rb_enqueue_push(const struct rb_server *server, struct rb_text queue,
                     struct rb_text json, rb_link_reply_fn *fn, void *ctx) {
    struct rb_key key;
    rb_key_queue(rb_feed_keys(server->feed), queue, &key);
    const struct rb_text argv[] = {RB_TEXT("RPUSH"), rb_key_text(&key), json};
    rb_link_call(rb_feed_link(server->feed), 0, fn, ctx, 3, argv);
}

bool rb_enqueue_is_event_of(struct rb_text event, struct rb_text id) {
    struct rb_json_walk walk;
    struct rb_text key, value;
    if (rb_json_walk(event, &walk) != RB_OK)
        return false;
    while (rb_json_next(&walk, &key, &value) == RB_OK)
        if (rb_json_string_is(key, RB_TEXT("job")))
            return rb_json_string_is(value, id);
    return false;
}
