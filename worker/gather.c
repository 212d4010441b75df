/* Counting answers, and writing them side by side. */
#include "worker/gather.h"

#include <assert.h>
#include <stdlib.h>

struct part {
    char *data; /* JSON; NULL when there is none */
    size_t len;
    char *message; /* why there is none */
    struct rb_event_error error;
};

struct rb_gather {
    const struct rb_leg *legs;
    int64_t need;
    size_t count, answered, failed;
    const struct rb_event_error *first_error;
    struct part parts[];
};

struct rb_gather *rb_gather_new(const struct rb_leg *legs, size_t count, int64_t need) {
    struct rb_gather *gather =
        calloc(1, sizeof *gather + count * sizeof gather->parts[0]);
    if (!gather)
        return NULL;
    gather->legs = legs;
    gather->count = count;
    gather->need = need;
    return gather;
}

void rb_gather_free(struct rb_gather *gather) {
    if (!gather)
        return;
    for (size_t i = 0; i < gather->count; i++) {
        free(gather->parts[i].data);
        free(gather->parts[i].message);
    }
    free(gather);
}

bool rb_gather_ended(const struct rb_gather *gather, size_t leg) {
    return gather->parts[leg].data || gather->parts[leg].message;
}

enum rb_status rb_gather_answered(struct rb_gather *gather, size_t leg,
                                  struct rb_text data) {
    struct part *part = &gather->parts[leg];
    assert(!rb_gather_ended(gather, leg));
    part->data = rb_text_copy(data);
    if (!part->data)
        return RB_NOMEM;
    part->len = data.len;
    gather->answered++;
    return RB_OK;
}

enum rb_status rb_gather_failed(struct rb_gather *gather, size_t leg,
                                const struct rb_event_error *error) {
    struct part *part = &gather->parts[leg];
    assert(!rb_gather_ended(gather, leg));
    part->message = rb_text_copy(rb_text_of(error->message));
    if (!part->message)
        return RB_NOMEM;
    part->error = (struct rb_event_error){error->code, part->message, error->status};
    if (!gather->first_error)
        gather->first_error = &part->error;
    gather->failed++;
    return RB_OK;
}

enum rb_gather_verdict rb_gather_verdict(const struct rb_gather *gather) {
    size_t open = gather->count - gather->answered - gather->failed;
    if (gather->need == RB_NEED_SETTLED)
        return open > 0 ? RB_GATHER_WAIT : rb_gather_close(gather);
    if (gather->answered >= (size_t)gather->need)
        return RB_GATHER_DONE;
    return gather->answered + open < (size_t)gather->need ? RB_GATHER_FAILED
                                                          : RB_GATHER_WAIT;
}

enum rb_gather_verdict rb_gather_close(const struct rb_gather *gather) {
    return gather->answered > 0 ? RB_GATHER_DONE : RB_GATHER_FAILED;
}

const struct rb_event_error *rb_gather_error(const struct rb_gather *gather) {
    return gather->first_error;
}

static void write_part(const struct part *part, struct rb_buffer *out) {
    if (part->data) {
        rb_buffer_add(out, part->data, part->len);
        return;
    }
    rb_buffer_string(out, "{\"error\":");
    rb_event_error_json(out, &part->error);
    rb_buffer_char(out, '}');
}

void rb_gather_write(const struct rb_gather *gather, struct rb_buffer *out) {
    char before = '{';
    for (size_t i = 0; i < gather->count; i++) {
        if (!rb_gather_ended(gather, i))
            continue;
        rb_buffer_char(out, before);
        rb_buffer_json(out, rb_text_of(gather->legs[i].name));
        rb_buffer_char(out, ':');
        write_part(&gather->parts[i], out);
        before = ',';
    }
    rb_buffer_string(out, before == '{' ? "{}" : "}");
}

void rb_gather_write_missing(const struct rb_gather *gather, struct rb_buffer *out) {
    char before = '[';
    for (size_t i = 0; i < gather->count; i++) {
        if (rb_gather_ended(gather, i))
            continue;
        rb_buffer_char(out, before);
        rb_buffer_json(out, rb_text_of(gather->legs[i].name));
        before = ',';
    }
    if (before == ',')
        rb_buffer_char(out, ']');
}
