/* The dead: told about, revived, dropped. */
#include "jobs/dead.h"

#include <jansson.h>
#include <stdio.h>

#include "jobs/envelope.h"
#include "jobs/json_pointer.h"
#include "jobs/json_scan.h"
#include "jobs/json_write.h"

#define FIELD_BYTES 4096
#define DIGITS 20 /* of a time, at the most */

void rb_dead_write_fate(struct rb_buffer *out, const struct rb_dead_fate *fate) {
    char end[RB_STREAM_ID_MAX + 1];
    if (fate->channel.len > 0) {
        rb_buffer_string(out, " channel=");
        rb_envelope_encode(out, fate->channel);
        rb_buffer_string(out, " end=");
        rb_buffer_text(out, rb_text(end, rb_stream_id_write(fate->end, end)));
    }
    rb_buffer_printf(out, " reason=%s error=", fate->reason);
    rb_envelope_encode(out, rb_text_of(fate->error));
}

bool rb_dead_is(struct rb_text member, struct rb_text id) {
    struct rb_envelope envelope;
    struct rb_job job;
    if (rb_envelope_parse(member, &envelope) != RB_OK)
        return false;
    if (rb_text_equal(envelope.id, id))
        return true;
    (void)!rb_job_parse(envelope.job, &job, NULL);
    bool is = job.id && rb_text_is(id, job.id);
    rb_job_fini(&job);
    return is;
}

static void write_field(struct rb_buffer *out, const struct rb_envelope *envelope,
                        const char *name) {
    struct rb_text encoded;
    struct rb_buffer plain;
    rb_buffer_init(&plain, FIELD_BYTES);
    if (envelope->id.len > 0 && rb_envelope_field(envelope, name, &encoded) &&
        rb_envelope_decode(&plain, encoded) == RB_OK)
        rb_buffer_json(out, rb_buffer_view(&plain));
    else
        rb_buffer_string(out, "null");
    rb_buffer_fini(&plain);
}

static void write_job(struct rb_buffer *out, struct rb_text text) {
    json_t *job =
        json_loadb(text.at, text.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    rb_buffer_string(out, ",\"job\":");
    if (job)
        rb_json_write(out, job);
    else
        rb_buffer_json(out, text);
    json_decref(job);
}

static void write_names(struct rb_buffer *out, struct rb_text text) {
    struct rb_job job;
    (void)!rb_job_parse(text, &job, NULL);
    const char *const names[][2] = {
        {"job_id", job.id}, {"service", job.service}, {"channel", job.channel}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        rb_buffer_printf(out, ",\"%s\":", names[i][0]);
        if (names[i][1])
            rb_buffer_json(out, rb_text_of(names[i][1]));
        else
            rb_buffer_string(out, "null");
    }
    rb_job_fini(&job);
}

void rb_dead_write(struct rb_buffer *out, struct rb_text member, double died_ms,
                   enum rb_dead_detail detail) {
    static const char *const fields[] = {"id", "queue", "reason", "error", "deliveries"};
    struct rb_envelope envelope;
    if (rb_envelope_parse(member, &envelope) != RB_OK)
        envelope = (struct rb_envelope){.job = member};
    rb_buffer_printf(out, "{\"died\":%.0f", died_ms);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        rb_buffer_printf(out, ",\"%s\":", fields[i]);
        write_field(out, &envelope, fields[i]);
    }
    if (detail == RB_DEAD_NAMES)
        write_names(out, envelope.job);
    if (detail == RB_DEAD_JOB)
        write_job(out, envelope.job);
    rb_buffer_char(out, '}');
}

/* Where the job says when it was asked. One that is as large as may be is not made
 * larger.
 */
static bool find_at(struct rb_text text, struct rb_text *at) {
    struct rb_job job;
    bool has = rb_job_parse(text, &job, NULL) == RB_OK && job.at &&
               text.len <= RB_JOB_MAX_BYTES - DIGITS &&
               rb_json_check(text, NULL) == RB_OK &&
               rb_json_find(text, RB_TEXT("/at"), at) == RB_OK;
    rb_job_fini(&job);
    return has;
}

static void write_asked(struct rb_buffer *out, struct rb_text text, int64_t now_ms) {
    struct rb_text at;
    if (!find_at(text, &at)) {
        rb_buffer_text(out, text);
        return;
    }
    const char *behind = at.at + at.len;
    rb_buffer_text(out, rb_text(text.at, (size_t)(at.at - text.at)));
    rb_buffer_int(out, now_ms);
    rb_buffer_text(out, rb_text(behind, (size_t)(text.at + text.len - behind)));
}

enum rb_status rb_dead_revive(const struct rb_keys *keys, struct rb_text member,
                              int64_t now_unix_ms, struct rb_buffer *text,
                              struct rb_key *queue) {
    struct rb_envelope envelope;
    if (rb_envelope_parse(member, &envelope) != RB_OK ||
        !rb_name_is_queue(envelope.queue))
        return RB_INVALID;
    struct rb_text job = envelope.job;
    envelope.deliveries = envelope.attempts = envelope.until = 0;
    envelope.at = now_unix_ms;
    envelope.job = rb_text(NULL, 0);
    rb_envelope_write(text, &envelope);
    write_asked(text, job, now_unix_ms);
    rb_key_retry(keys, envelope.queue, queue);
    return text->status;
}

static bool take_end(const struct rb_keys *keys, struct rb_text channel,
                     struct rb_text job, struct rb_dead_end *end) {
    if (!rb_name_is_channel(channel) || !rb_name_is_job_id(job))
        return false;
    rb_key_meta(keys, channel, &end->meta);
    snprintf(end->marker, sizeof end->marker, RB_META_MARKER RB_TEXT_FMT,
             RB_TEXT_ARG(job));
    snprintf(end->receipt, sizeof end->receipt, RB_META_RECEIPT RB_TEXT_FMT,
             RB_TEXT_ARG(job));
    return true;
}

bool rb_dead_end(const struct rb_keys *keys, struct rb_text member,
                 struct rb_dead_end *end) {
    struct rb_envelope envelope;
    struct rb_text channel;
    struct rb_buffer plain;
    struct rb_job job;
    if (rb_envelope_parse(member, &envelope) != RB_OK)
        return false;
    (void)!rb_job_parse(envelope.job, &job, NULL); /* a wrong one has ended as well */
    struct rb_text id = job.id ? rb_text_of(job.id) : envelope.id;
    rb_buffer_init(&plain, RB_CHANNEL_MAX);
    end->id = rb_text(NULL, 0);
    bool noted = rb_envelope_field(&envelope, "channel", &channel) &&
                 rb_envelope_field(&envelope, "end", &end->id) &&
                 rb_envelope_decode(&plain, channel) == RB_OK;
    bool told =
        take_end(keys, noted ? rb_buffer_view(&plain) : rb_text_of(job.channel), id, end);
    rb_buffer_fini(&plain);
    rb_job_fini(&job);
    return told;
}

/* Before it is queued: who dies in between leaves one of the dead that is not marked, as
 * good as before. */
static void forget_end(struct rb_link *link, const struct rb_keys *keys,
                       struct rb_text member) {
    struct rb_dead_end end;
    if (!rb_dead_end(keys, member, &end))
        return;
    const struct rb_text meta = rb_key_text(&end.meta);
    const struct rb_text args[] = {rb_text_of(end.marker), end.id,
                                   rb_text_of(end.receipt)};
    rb_link_script(link, &rb_script_unmark, 1, &meta, 3, args, NULL, NULL);
}

void rb_dead_retry(struct rb_link *link, const struct rb_keys *keys,
                   struct rb_text member, int64_t now_unix_ms, rb_link_reply_fn *fn,
                   void *ctx) {
    struct rb_buffer text;
    struct rb_key dead, queue;
    rb_buffer_init(&text, RB_DEAD_ENVELOPE_BYTES);
    enum rb_status status = rb_dead_revive(keys, member, now_unix_ms, &text, &queue);
    if (status == RB_OK) {
        forget_end(link, keys, member);
        rb_key_dead(keys, &dead);
        const struct rb_text names[] = {rb_key_text(&dead), rb_key_text(&queue)};
        const struct rb_text args[] = {member, rb_buffer_view(&text)};
        rb_link_script(link, &rb_script_exhume, 2, names, 2, args, fn, ctx);
    } else {
        fn(ctx, status, NULL);
    }
    rb_buffer_fini(&text);
}

void rb_dead_drop(struct rb_link *link, const struct rb_keys *keys, struct rb_text member,
                  rb_link_reply_fn *fn, void *ctx) {
    struct rb_key dead;
    rb_key_dead(keys, &dead);
    const struct rb_text names[] = {rb_key_text(&dead)};
    const struct rb_text args[] = {member};
    rb_link_script(link, &rb_script_exhume, 1, names, 1, args, fn, ctx);
}
