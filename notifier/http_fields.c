/* Finding things in a request: fields, lists, media types, the query, cookies. */
#include "notifier/http_request.h"

struct rb_text rb_http_header(const struct rb_http_request *request, const char *name) {
    struct rb_text want = rb_text_of(name);
    for (size_t i = 0; i < request->header_count; i++)
        if (rb_text_equal_nocase(request->headers[i].name, want))
            return request->headers[i].value;
    return (struct rb_text){NULL, 0};
}

bool rb_http_next(struct rb_text *rest, char separator, struct rb_text *piece) {
    bool quoted = false;
    size_t i = 0;
    if (rest->len == 0)
        return false;
    for (; i < rest->len && (quoted || rest->at[i] != separator); i++) {
        if (rest->at[i] == '"')
            quoted = !quoted;
        else if (quoted && rest->at[i] == '\\' && i + 1 < rest->len)
            i++;
    }
    *piece = rb_text_trim(rb_text(rest->at, i));
    size_t used = i < rest->len ? i + 1 : i;
    *rest = rb_text(rest->at + used, rest->len - used);
    return true;
}

bool rb_http_list_has(struct rb_text list, const char *token) {
    struct rb_text item, name;
    while (rb_http_next(&list, ',', &item))
        if (rb_http_next(&item, ';', &name) &&
            rb_text_equal_nocase(name, rb_text_of(token)))
            return true;
    return false;
}

/* q=0, q=0.0, q=0.00, q=0.000 (RFC 9110 §12.4.2). */
static bool is_zero_weight(struct rb_text parameter) {
    if (parameter.len < 3 || (parameter.at[0] | 0x20) != 'q' || parameter.at[1] != '=' ||
        parameter.at[2] != '0')
        return false;
    for (size_t i = 3; i < parameter.len; i++)
        if (parameter.at[i] != (i == 3 ? '.' : '0'))
            return false;
    return true;
}

bool rb_http_accepts(struct rb_text accept, const char *media_type) {
    struct rb_text item, part;
    while (rb_http_next(&accept, ',', &item)) {
        if (!rb_http_next(&item, ';', &part) ||
            !rb_text_equal_nocase(part, rb_text_of(media_type)))
            continue;
        bool wanted = true;
        while (rb_http_next(&item, ';', &part))
            wanted = wanted && !is_zero_weight(part);
        if (wanted)
            return true;
    }
    return false;
}

bool rb_http_query_raw(struct rb_text query, const char *name, struct rb_text *value) {
    const struct rb_text want = rb_text_of(name);
    struct rb_text pair;
    while (rb_text_next(&query, '&', &pair)) {
        if (pair.len < want.len || memcmp(pair.at, want.at, want.len) != 0 ||
            (pair.len > want.len && pair.at[want.len] != '='))
            continue;
        size_t used = pair.len > want.len ? want.len + 1 : want.len;
        *value = rb_text(pair.at + used, pair.len - used);
        return true;
    }
    return false;
}

static int hex(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum rb_status rb_http_decode(struct rb_text text, char *out, size_t room, size_t *len) {
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (c == '%') {
            int high = text.len - i >= 3 ? hex(text.at[i + 1]) : -1;
            int low = high >= 0 ? hex(text.at[i + 2]) : -1;
            if (low < 0)
                return RB_INVALID;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (c == '\0')
            return RB_INVALID;
        if (n + 1 >= room)
            return RB_TOO_LARGE;
        out[n++] = c;
    }
    if (room == 0)
        return RB_TOO_LARGE;
    out[n] = '\0';
    *len = n;
    return RB_OK;
}

bool rb_http_query(struct rb_text query, const char *name, char *out, size_t room) {
    struct rb_text value;
    size_t len;
    return rb_http_query_raw(query, name, &value) &&
           rb_http_decode(value, out, room, &len) == RB_OK;
}

struct rb_text rb_http_cookie(const struct rb_http_request *request, const char *name) {
    for (size_t i = 0; i < request->header_count; i++) {
        struct rb_text rest = request->headers[i].value, pair, key;
        if (!rb_text_equal_nocase(request->headers[i].name, RB_TEXT("cookie")))
            continue;
        while (rb_text_next(&rest, ';', &pair)) {
            pair = rb_text_trim(pair);
            if (rb_text_next(&pair, '=', &key) && rb_text_is(key, name))
                return pair;
        }
    }
    return (struct rb_text){NULL, 0};
}
