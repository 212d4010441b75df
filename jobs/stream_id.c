/* Ids of stream entries, to and from text. */
#include "jobs/stream_id.h"

#include <string.h>

/* Redis reads "007-1" as 7-1; two spellings of one cursor are one too many. */
static enum rb_status parse_part(struct rb_text text, uint64_t *value) {
    if (text.len > 1 && text.at[0] == '0')
        return RB_INVALID;
    return rb_text_uint64(text, value);
}

enum rb_status rb_stream_id_parse(struct rb_text text, struct rb_stream_id *id) {
    const char *dash = text.len > 0 ? memchr(text.at, '-', text.len) : NULL;
    struct rb_stream_id parsed;
    if (!dash)
        return RB_INVALID;
    struct rb_text ms = rb_text(text.at, (size_t)(dash - text.at));
    struct rb_text seq = rb_text(dash + 1, text.len - ms.len - 1);
    if (parse_part(ms, &parsed.ms) != RB_OK || parse_part(seq, &parsed.seq) != RB_OK)
        return RB_INVALID;
    *id = parsed;
    return RB_OK;
}

static size_t write_part(uint64_t value, char *out) {
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    memcpy(out, digits + at, sizeof digits - at);
    return sizeof digits - at;
}

size_t rb_stream_id_write(struct rb_stream_id id, char out[RB_STREAM_ID_MAX + 1]) {
    size_t len = write_part(id.ms, out);
    out[len++] = '-';
    len += write_part(id.seq, out + len);
    out[len] = '\0';
    return len;
}
