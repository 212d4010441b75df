/* Cancelling: a note, and a walk through the jobs that wait for a time. */
#include "jobs/cancel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jobs/envelope.h"
#include "jobs/job.h"
#include "jobs/name.h"

#define SCAN_COUNT "200" /* each may be of a megabyte, and an answer of 256 */

struct cancelling {
    struct rb_link *link;
    struct rb_keys keys;
    char id[RB_JOB_ID_MAX + 1];
    rb_cancel_fn *fn;
    void *ctx;
    size_t open; /* commands that are not answered */
    bool scanned;
    struct rb_cancelled result;
    char error[256];
};

static void note_failure(struct cancelling *c, enum rb_status status,
                         const struct redisReply *reply) {
    if (status == RB_OK || c->result.status != RB_OK)
        return;
    c->result.status = status;
    if (status == RB_REFUSED) {
        snprintf(c->error, sizeof c->error, "%s", reply->str);
        c->result.error = c->error;
    }
}

static void finish_when_done(struct cancelling *c) {
    if (c->open > 0 || !c->scanned)
        return;
    c->fn(c->ctx, &c->result);
    free(c);
}

static void on_hastened(void *ctx, enum rb_status status,
                        const struct redisReply *reply) {
    struct cancelling *c = ctx;
    c->open--;
    note_failure(c, status, reply);
    if (status == RB_OK && reply->type == REDIS_REPLY_INTEGER && reply->integer == 1)
        c->result.hastened++;
    finish_when_done(c);
}

static bool is_meant(const struct cancelling *c, struct rb_text text) {
    struct rb_envelope envelope;
    struct rb_job job;
    if (rb_envelope_parse(text, &envelope) != RB_OK)
        return false;
    enum rb_status status = rb_job_parse(envelope.job, &job, NULL);
    bool meant = status == RB_OK && job.id ? strcmp(job.id, c->id) == 0
                                           : rb_text_is(envelope.id, c->id);
    rb_job_fini(&job);
    return meant;
}

static void hasten(struct cancelling *c, struct rb_text envelope) {
    struct rb_key due, retry;
    rb_key_due(&c->keys, &due);
    rb_key_retry(&c->keys, rb_text(NULL, 0), &retry);
    const struct rb_text keys[] = {rb_key_text(&due)};
    const struct rb_text args[] = {rb_key_text(&retry), envelope};
    c->open++;
    rb_link_script(c->link, &rb_script_hasten, 1, keys, 2, args, on_hastened, c);
}

static void scan(struct cancelling *c, struct rb_text cursor);

static void on_scanned(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct cancelling *c = ctx;
    note_failure(c, status, reply);
    bool readable = status == RB_OK && reply->type == REDIS_REPLY_ARRAY &&
                    reply->elements == 2 &&
                    reply->element[0]->type == REDIS_REPLY_STRING &&
                    reply->element[1]->type == REDIS_REPLY_ARRAY;
    const struct redisReply *members = readable ? reply->element[1] : NULL;
    for (size_t i = 0; members && i + 1 < members->elements; i += 2) {
        const struct redisReply *member = members->element[i];
        if (member->type == REDIS_REPLY_STRING &&
            is_meant(c, rb_text(member->str, member->len)))
            hasten(c, rb_text(member->str, member->len));
    }
    if (readable && strcmp(reply->element[0]->str, "0") != 0)
        scan(c, rb_text(reply->element[0]->str, reply->element[0]->len));
    else
        c->scanned = true;
    c->open--;
    finish_when_done(c);
}

static void scan(struct cancelling *c, struct rb_text cursor) {
    struct rb_key due;
    rb_key_due(&c->keys, &due);
    const struct rb_text argv[] = {RB_TEXT("ZSCAN"), rb_key_text(&due), cursor,
                                   RB_TEXT("COUNT"), RB_TEXT(SCAN_COUNT)};
    c->open++;
    rb_link_call(c->link, 0, on_scanned, c, 5, argv);
}

static void on_noted(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct cancelling *c = ctx;
    note_failure(c, status, reply);
    if (status == RB_OK) {
        c->result.workers = reply->integer;
        scan(c, RB_TEXT("0"));
    } else {
        c->scanned = true;
    }
    c->open--;
    finish_when_done(c);
}

void rb_cancel(struct rb_link *link, const struct rb_keys *keys, struct rb_text id,
               rb_cancel_fn *fn, void *ctx) {
    struct rb_key cancelled;
    struct cancelling *c = calloc(1, sizeof *c);
    if (!c || !rb_name_is_job_id(id)) {
        const struct rb_cancelled failed = {c ? RB_INVALID : RB_NOMEM, "", 0, 0};
        free(c);
        fn(ctx, &failed);
        return;
    }
    *c =
        (struct cancelling){.link = link, .keys = *keys, .fn = fn, .ctx = ctx, .open = 1};
    c->result.error = "";
    memcpy(c->id, id.at, id.len);
    rb_key_cancelled(keys, &cancelled);
    const struct rb_text names[] = {rb_key_text(&cancelled)};
    const struct rb_text args[] = {id, RB_TEXT(RB_CANCEL_KEPT),
                                   RB_TEXT(RB_CANCEL_KEPT_MS), names[0]};
    rb_link_script(link, &rb_script_cancel, 1, names, 4, args, on_noted, c);
}
