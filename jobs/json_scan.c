/* A strict, iterative JSON scanner over borrowed bytes. */
#include "jobs/json_scan.h"

struct scan {
    const char *at;
    const char *end;
    const char *expected; /* set when a step failed at `at` */
};

static bool wrong(struct scan *s, const char *expected) {
    s->expected = expected;
    return false;
}

static void skip_space(struct scan *s) {
    while (s->at < s->end &&
           (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r'))
        s->at++;
}

static bool next_is(const struct scan *s, char c) {
    return s->at < s->end && *s->at == c;
}

static bool digit(const struct scan *s) {
    return s->at < s->end && *s->at >= '0' && *s->at <= '9';
}

static bool hex_digit(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool escape(struct scan *s) {
    s->at++;
    if (s->at == s->end)
        return wrong(s, "the end of a string");
    if (*s->at == 'u') {
        for (int i = 1; i <= 4; i++)
            if (s->end - s->at <= i || !hex_digit(s->at[i]))
                return wrong(s, "four hexadecimal digits behind \\u");
        s->at += 5;
        return true;
    }
    if (*s->at == '\0' || !strchr("\"\\/bfnrt", *s->at))
        return wrong(s, "one of \"\\/bfnrtu behind a backslash");
    s->at++;
    return true;
}

/* Is any of eight bytes a control character, a quote, a backslash, or not ASCII? (What
 * one that is borrows from its neighbour may tell of that one too, which is harmless.) */
static bool needs_look(uint64_t bytes) {
    const uint64_t each = UINT64_C(0x0101010101010101), high = each * 0x80;
    uint64_t quote = bytes ^ each * '"', backslash = bytes ^ each * '\\';
    return (bytes | (bytes - each * 0x20) | (quote - each) | (backslash - each)) & high;
}

static void skip_plain(struct scan *s) {
    for (uint64_t bytes; (size_t)(s->end - s->at) >= sizeof bytes;
         s->at += sizeof bytes) {
        memcpy(&bytes, s->at, sizeof bytes);
        if (needs_look(bytes))
            return;
    }
}

static bool string(struct scan *s) {
    if (!next_is(s, '"'))
        return wrong(s, "a string");
    s->at++;
    while (s->at < s->end) {
        unsigned char c = (unsigned char)*s->at;
        if (c == '"') {
            s->at++;
            return true;
        }
        if (c == '\\') {
            if (!escape(s))
                return false;
        } else if (c < 0x20) {
            return wrong(s, "no raw control character in a string");
        } else if (c < 0x80) {
            s->at++;
            skip_plain(s);
        } else {
            size_t step = rb_text_utf8_step(rb_text(s->at, (size_t)(s->end - s->at)));
            if (step == 0)
                return wrong(s, "UTF-8");
            s->at += step;
        }
    }
    return wrong(s, "the end of a string");
}

static bool digits(struct scan *s) {
    if (!digit(s))
        return wrong(s, "a digit");
    while (digit(s))
        s->at++;
    return true;
}

static bool number(struct scan *s) {
    if (next_is(s, '-'))
        s->at++;
    if (next_is(s, '0')) {
        s->at++;
        if (digit(s))
            return wrong(s, "no digit behind a leading zero");
    } else if (!digits(s)) {
        return false;
    }
    if (next_is(s, '.')) {
        s->at++;
        if (!digits(s))
            return false;
    }
    if (next_is(s, 'e') || next_is(s, 'E')) {
        s->at++;
        if (next_is(s, '+') || next_is(s, '-'))
            s->at++;
        return digits(s);
    }
    return true;
}

static bool literal(struct scan *s, struct rb_text word) {
    if (!rb_text_starts(rb_text(s->at, (size_t)(s->end - s->at)), word))
        return wrong(s, "a value");
    s->at += word.len;
    return true;
}

static bool scalar(struct scan *s) {
    if (s->at == s->end)
        return wrong(s, "a value");
    switch (*s->at) {
    case '"':
        return string(s);
    case 't':
        return literal(s, RB_TEXT("true"));
    case 'f':
        return literal(s, RB_TEXT("false"));
    case 'n':
        return literal(s, RB_TEXT("null"));
    default:
        return *s->at == '-' || digit(s) ? number(s) : wrong(s, "a value");
    }
}

/* From the name of a member to its value. */
static bool member_name(struct scan *s, struct rb_text *name) {
    skip_space(s);
    const char *begin = s->at;
    if (!string(s))
        return false;
    *name = rb_text(begin, (size_t)(s->at - begin));
    skip_space(s);
    if (!next_is(s, ':'))
        return wrong(s, "\":\"");
    s->at++;
    return true;
}

/* One bit a level: set in an object. */
struct nest {
    size_t depth;
    size_t limit;
    uint64_t objects[RB_JSON_DEPTH / 64];
};

static bool in_object(const struct nest *n) {
    return n->objects[(n->depth - 1) / 64] >> ((n->depth - 1) % 64) & 1;
}

static bool enter(struct scan *s, struct nest *n, bool object) {
    if (n->depth == n->limit)
        return wrong(s, "at most 512 levels");
    uint64_t bit = UINT64_C(1) << (n->depth % 64);
    if (object)
        n->objects[n->depth / 64] |= bit;
    else
        n->objects[n->depth / 64] &= ~bit;
    n->depth++;
    s->at++;
    skip_space(s);
    return true;
}

/* Behind a value: leaves what ends here; true when nothing is open any more or when,
 * behind a comma, the next value comes. */
static bool leave(struct scan *s, struct nest *n) {
    while (n->depth > 0) {
        bool object = in_object(n);
        skip_space(s);
        if (next_is(s, ',')) {
            s->at++;
            return object ? member_name(s, &(struct rb_text){0}) : true;
        }
        if (!next_is(s, object ? '}' : ']'))
            return wrong(s, object ? "\",\" or \"}\"" : "\",\" or \"]\"");
        s->at++;
        n->depth--;
    }
    return true;
}

static bool value(struct scan *s, size_t levels) {
    struct nest n;
    n.depth = 0;
    n.limit = levels;
    do {
        skip_space(s);
        bool object = next_is(s, '{');
        if (object || next_is(s, '[')) {
            if (!enter(s, &n, object))
                return false;
            if (!next_is(s, object ? '}' : ']')) {
                if (object && !member_name(s, &(struct rb_text){0}))
                    return false;
                continue;
            }
        } else {
            if (!scalar(s))
                return false;
        }
        if (!leave(s, &n))
            return false;
    } while (n.depth > 0);
    return true;
}

static struct scan scan_of(struct rb_text json) {
    const char *at = json.at ? json.at : "";
    return (struct scan){at, at + json.len, NULL};
}

enum rb_status rb_json_check(struct rb_text json, struct rb_error *error) {
    struct scan s = scan_of(json);
    const char *begin = s.at;
    if (value(&s, RB_JSON_DEPTH)) {
        skip_space(&s);
        if (s.at == s.end)
            return RB_OK;
        s.expected = "nothing behind the value";
    }
    return rb_error_set(error, NULL, 0, 0, "not JSON at byte %zu: expected %s",
                        (size_t)(s.at - begin) + 1, s.expected);
}

static struct rb_text rest_of(const struct scan *s) {
    return rb_text(s->at, (size_t)(s->end - s->at));
}

enum rb_status rb_json_walk(struct rb_text json, struct rb_json_walk *walk) {
    struct scan s = scan_of(json);
    skip_space(&s);
    if (!next_is(&s, '{') && !next_is(&s, '['))
        return RB_INVALID;
    walk->end = *s.at == '{' ? '}' : ']';
    walk->started = false;
    s.at++;
    walk->rest = rest_of(&s);
    return RB_OK;
}

enum rb_status rb_json_next(struct rb_json_walk *walk, struct rb_text *key,
                            struct rb_text *out) {
    struct scan s = scan_of(walk->rest);
    skip_space(&s);
    if (next_is(&s, walk->end)) {
        s.at++;
        skip_space(&s);
        walk->rest = rest_of(&s);
        return RB_NOT_FOUND;
    }
    if (walk->started) {
        if (!next_is(&s, ','))
            return RB_INVALID;
        s.at++;
    }
    walk->started = true;
    *key = rb_text(NULL, 0);
    if (walk->end == '}' && !member_name(&s, key))
        return RB_INVALID;
    skip_space(&s);
    const char *begin = s.at;
    if (!value(&s, RB_JSON_DEPTH - 1)) /* it stands within another */
        return RB_INVALID;
    *out = rb_text(begin, (size_t)(s.at - begin));
    walk->rest = rest_of(&s);
    return RB_OK;
}

static unsigned hex4(const char *at) {
    unsigned n = 0;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        n = n << 4 | (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return n;
}

static size_t write_utf8(unsigned code, char out[4]) {
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    out[0] = (char)((0xf00 >> len & 0xff) | code);
    return len;
}

/* Reads one escape of a checked string; what it stands for goes to out. */
static size_t read_escape(const char **at, const char *end, char out[4]) {
    static const char named[] = "b\bf\fn\nr\rt\t";
    char c = (*at)[1];
    if (c != 'u') {
        *at += 2;
        for (const char *n = named; *n; n += 2)
            if (n[0] == c)
                c = n[1];
        out[0] = c;
        return 1;
    }
    unsigned code = hex4(*at + 2);
    *at += 6;
    if (code >= 0xd800 && code < 0xdc00 && end - *at >= 6 && (*at)[0] == '\\' &&
        (*at)[1] == 'u') {
        unsigned low = hex4(*at + 2);
        if (low >= 0xdc00 && low < 0xe000) {
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            *at += 6;
        }
    }
    return write_utf8(code, out);
}

bool rb_json_string_is(struct rb_text json, struct rb_text text) {
    struct scan s = scan_of(json);
    if (!string(&s) || s.at != s.end)
        return false;
    const char *at = json.at + 1, *end = json.at + json.len - 1;
    while (at < end) {
        char out[4];
        size_t len = 1;
        if (*at == '\\')
            len = read_escape(&at, end, out);
        else
            out[0] = *at++;
        if (text.len < len || memcmp(text.at, out, len) != 0)
            return false;
        text = rb_text(text.at + len, text.len - len);
    }
    return text.len == 0;
}

bool rb_json_plain_string(struct rb_text json, struct rb_text *text) {
    struct scan s = scan_of(json);
    if (!string(&s) || s.at != s.end || memchr(json.at, '\\', json.len))
        return false;
    *text = rb_text(json.at + 1, json.len - 2);
    return true;
}

void rb_json_line(struct rb_buffer *out, struct rb_text json) {
    char *to = rb_buffer_reserve(out, json.len);
    if (!to)
        return;
    for (size_t i = 0; i < json.len; i++)
        to[i] = json.at[i] == '\n' || json.at[i] == '\r' ? ' ' : json.at[i];
    rb_buffer_commit(out, json.len);
}
