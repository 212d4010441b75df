/* What the meta hash of a channel says of its jobs' ends. */
#include "notifier/receipt_list.h"

#include <stdlib.h>

#include "jobs/publish.h"
#include "jobs/stream_id.h"

struct ended {
    struct rb_text job;
    struct rb_stream_id event;
};

struct written {
    struct rb_text job;
    int64_t at;
};

struct rows {
    struct ended *ended;
    struct written *written;
    size_t ended_count, written_count;
};

static int compare_text(struct rb_text a, struct rb_text b) {
    int order = memcmp(a.at, b.at, a.len < b.len ? a.len : b.len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int newest_first(const void *a, const void *b) {
    return rb_stream_id_compare(((const struct ended *)b)->event,
                                ((const struct ended *)a)->event);
}

static int by_job(const void *a, const void *b) {
    return compare_text(((const struct written *)a)->job,
                        ((const struct written *)b)->job);
}

/* "t:<job>": the job. */
static bool is_of(struct rb_text field, struct rb_text kind, struct rb_text *job) {
    if (field.len <= kind.len || memcmp(field.at, kind.at, kind.len) != 0)
        return false;
    *job = rb_text(field.at + kind.len, field.len - kind.len);
    return true;
}

static void take(struct rows *rows, struct rb_text field, struct rb_text value) {
    struct ended *ended = &rows->ended[rows->ended_count];
    struct written *written = &rows->written[rows->written_count];
    if (is_of(field, RB_TEXT(RB_META_MARKER), &ended->job)) {
        if (rb_stream_id_parse(value, &ended->event) == RB_OK)
            rows->ended_count++;
    } else if (is_of(field, RB_TEXT(RB_META_RECEIPT), &written->job)) {
        if (rb_text_int64(value, &written->at) == RB_OK)
            rows->written_count++;
    }
}

static void write_row(const struct rows *rows, const struct ended *ended,
                      struct rb_buffer *out) {
    char id[RB_STREAM_ID_MAX + 1];
    const struct written key = {.job = ended->job};
    const struct written *written =
        bsearch(&key, rows->written, rows->written_count, sizeof *rows->written, by_job);
    rb_stream_id_write(ended->event, id);
    rb_buffer_string(out, "{\"job\":");
    rb_buffer_json(out, ended->job);
    rb_buffer_printf(out, ",\"event\":\"%s\",\"delivered_at\":", id);
    if (written)
        rb_buffer_printf(out, "%lld}", (long long)written->at);
    else
        rb_buffer_string(out, "null}");
}

enum rb_status rb_receipt_list_write(const struct redisReply *hash,
                                     struct rb_buffer *out) {
    if (hash->type != REDIS_REPLY_ARRAY || hash->elements % 2 != 0)
        return RB_INVALID;
    size_t pairs = hash->elements / 2;
    struct rows rows = {.ended = calloc(pairs + 1, sizeof *rows.ended),
                        .written = calloc(pairs + 1, sizeof *rows.written)};
    enum rb_status status = rows.ended && rows.written ? RB_OK : RB_NOMEM;
    for (size_t i = 0; i < pairs && status == RB_OK; i++) {
        const struct redisReply *field = hash->element[2 * i];
        const struct redisReply *value = hash->element[2 * i + 1];
        if (field->type == REDIS_REPLY_STRING && value->type == REDIS_REPLY_STRING)
            take(&rows, rb_text(field->str, field->len), rb_text(value->str, value->len));
    }
    if (status == RB_OK) {
        qsort(rows.ended, rows.ended_count, sizeof *rows.ended, newest_first);
        qsort(rows.written, rows.written_count, sizeof *rows.written, by_job);
        rb_buffer_char(out, '[');
        for (size_t i = 0; i < rows.ended_count && i < RB_RECEIPTS_SHOWN; i++) {
            if (i > 0)
                rb_buffer_char(out, ',');
            write_row(&rows, &rows.ended[i], out);
        }
        rb_buffer_char(out, ']');
        status = out->status;
    }
    free(rows.ended);
    free(rows.written);
    return status;
}
