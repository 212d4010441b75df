/* The one line of text in front of a job. */
#include "jobs/envelope.h"

#include "jobs/name.h"

#define MAGIC "rb1 "
#define COUNT_MAX (INT64_C(1) << 53) /* the scripts count no further */

/* What may stand in a value as it is. '=' is taken too when reading: behind the first one
 * it means nothing. */
static bool plain(char c) { return c > 0x20 && c < 0x7f && c != '%' && c != '='; }

static int hex_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool escape_at(struct rb_text value, size_t i) {
    return value.len - i >= 3 && hex_value(value.at[i + 1]) >= 0 &&
           hex_value(value.at[i + 2]) >= 0;
}

static bool is_value(struct rb_text value) {
    for (size_t i = 0; i < value.len; i++) {
        char c = value.at[i];
        if (c == '%' ? !escape_at(value, i) : c != '=' && !plain(c))
            return false;
    }
    return true;
}

static bool split(struct rb_text field, struct rb_text *name, struct rb_text *value) {
    const char *sign = field.len > 0 ? memchr(field.at, '=', field.len) : NULL;
    if (!sign || sign == field.at)
        return false;
    *name = rb_text(field.at, (size_t)(sign - field.at));
    *value = rb_text(sign + 1, field.len - name->len - 1);
    return is_value(*name) && is_value(*value);
}

static enum rb_status read_count(struct rb_text value, int64_t *count) {
    enum rb_status status = rb_text_int64(value, count);
    return status == RB_OK && (*count < 0 || *count > COUNT_MAX) ? RB_INVALID : status;
}

static enum rb_status read_name(struct rb_text value, bool legal, struct rb_text *name) {
    if (!legal || name->len > 0)
        return RB_INVALID;
    *name = value;
    return RB_OK;
}

static enum rb_status read_field(struct rb_envelope *e, struct rb_text field) {
    struct rb_text name, value;
    if (!split(field, &name, &value))
        return RB_INVALID;
    if (rb_text_is(name, "id"))
        return read_name(value, rb_name_is_job_id(value), &e->id);
    if (rb_text_is(name, "queue"))
        return read_name(value, rb_name_is_queue(value), &e->queue);
    if (rb_text_is(name, "deliveries"))
        return read_count(value, &e->deliveries);
    if (rb_text_is(name, "attempts"))
        return read_count(value, &e->attempts);
    if (rb_text_is(name, "at"))
        return read_count(value, &e->at);
    if (rb_text_is(name, "until"))
        return read_count(value, &e->until);
    return RB_OK;
}

enum rb_status rb_envelope_parse(struct rb_text text, struct rb_envelope *envelope) {
    *envelope = (struct rb_envelope){0};
    if (!rb_text_starts(text, RB_TEXT(MAGIC)))
        return RB_INVALID;
    const char *end = memchr(text.at, '\n', text.len);
    if (!end || end[-1] == ' ')
        return RB_INVALID;

    struct rb_envelope e = {0};
    size_t magic = sizeof MAGIC - 1;
    e.fields = rb_text(text.at + magic, (size_t)(end - text.at) - magic);
    e.job = rb_text(end + 1, text.len - (size_t)(end + 1 - text.at));
    struct rb_text rest = e.fields, field;
    while (rb_text_next(&rest, ' ', &field)) {
        enum rb_status status = read_field(&e, field);
        if (status != RB_OK)
            return status;
    }
    if (e.id.len == 0 || e.queue.len == 0)
        return RB_INVALID;
    *envelope = e;
    return RB_OK;
}

/* What was parsed is made of fields that are whole. */
bool rb_envelope_field(const struct rb_envelope *envelope, const char *name,
                       struct rb_text *value) {
    struct rb_text rest = envelope->fields, field;
    size_t len = strlen(name);
    while (rb_text_next(&rest, ' ', &field)) {
        if (field.len > len && field.at[len] == '=' && memcmp(field.at, name, len) == 0) {
            *value = rb_text(field.at + len + 1, field.len - len - 1);
            return true;
        }
    }
    return false;
}

void rb_envelope_write(struct rb_buffer *out, const struct rb_envelope *envelope) {
    rb_buffer_string(out, MAGIC "id=");
    rb_buffer_text(out, envelope->id);
    rb_buffer_string(out, " queue=");
    rb_buffer_text(out, envelope->queue);
    rb_buffer_string(out, " deliveries=");
    rb_buffer_int(out, envelope->deliveries);
    if (envelope->attempts > 0) {
        rb_buffer_string(out, " attempts=");
        rb_buffer_int(out, envelope->attempts);
    }
    rb_buffer_string(out, " at=");
    rb_buffer_int(out, envelope->at);
    if (envelope->until > 0) {
        rb_buffer_string(out, " until=");
        rb_buffer_int(out, envelope->until);
    }
    rb_buffer_char(out, '\n');
    rb_buffer_text(out, envelope->job);
}

void rb_envelope_encode(struct rb_buffer *out, struct rb_text value) {
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.at[i];
        if (plain((char)c))
            rb_buffer_char(out, (char)c);
        else
            rb_buffer_add(out, (char[]){'%', hex[c >> 4], hex[c & 15]}, 3);
    }
}

enum rb_status rb_envelope_decode(struct rb_buffer *out, struct rb_text value) {
    for (size_t i = 0; i < value.len; i++) {
        char c = value.at[i];
        if (c == '%') {
            if (!escape_at(value, i))
                return RB_INVALID;
            c = (char)(hex_value(value.at[i + 1]) << 4 | hex_value(value.at[i + 2]));
            i += 2;
        }
        rb_buffer_char(out, c);
    }
    return out->status;
}
