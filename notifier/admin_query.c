/* Limits and patterns in the queries of the admin listener. */
#include "notifier/admin_query.h"

#include "jobs/name.h"
#include "notifier/http_request.h"

bool rb_admin_limit(struct rb_text query, uint64_t standard, uint64_t most,
                    uint64_t *limit) {
    struct rb_text raw;
    char text[16] = "";
    *limit = standard;
    return !rb_http_query_raw(query, "limit", &raw) ||
           (rb_http_query(query, "limit", text, sizeof text) &&
            rb_text_uint64(rb_text_of(text), limit) == RB_OK && *limit >= 1 &&
            *limit <= most);
}

bool rb_admin_is_pattern(struct rb_text text) {
    if (text.len > 0 && text.at[text.len - 1] == '*') {
        text.len--;
        return text.len == 0 || rb_name_is_channel(text);
    }
    return rb_name_is_channel(text);
}

void rb_admin_glob_escape(struct rb_buffer *out, struct rb_text text) {
    for (size_t i = 0; i < text.len; i++) {
        if (memchr("*?[]\\", text.at[i], 5))
            rb_buffer_char(out, '\\');
        rb_buffer_char(out, text.at[i]);
    }
}
