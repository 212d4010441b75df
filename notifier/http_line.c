/* The discipline of lines. */
#include "notifier/http_line.h"

#include <stdint.h>
#include <string.h>

void rb_http_lines_head(struct rb_http_lines *lines) {
    *lines = (struct rb_http_lines){.request_line = true};
}

void rb_http_lines_trailers(struct rb_http_lines *lines) {
    *lines = (struct rb_http_lines){.request_line = false};
}

static const char not_three_words[] =
    "The request line is not three words with one space between them.";

static const char *end_line(struct rb_http_lines *lines) {
    lines->after_cr = false;
    if (!lines->in_line) {
        lines->over = !lines->request_line;
        return NULL;
    }
    if (lines->request_line && lines->spaces != 2)
        return not_three_words;
    if (!lines->request_line && !lines->in_value)
        return "A field line has no colon.";
    lines->request_line = false;
    lines->in_line = false;
    lines->in_value = false;
    return NULL;
}

static const char *step(struct rb_http_lines *lines, char c) {
    if (lines->after_cr)
        return c == '\n' ? end_line(lines) : "A CR stands without its LF.";
    if (c == '\r') {
        lines->after_cr = true;
        return NULL;
    }
    if (c == '\n')
        return "A line ends with LF alone.";
    if (((unsigned char)c < 0x20 && c != '\t') || c == 0x7f)
        return "The head holds a control character.";
    if (lines->request_line) {
        if (c == '\t' || (c == ' ' && ++lines->spaces > 2))
            return not_three_words;
    } else if (!lines->in_value) {
        if (c == ':' && lines->in_line)
            lines->in_value = true;
        else if (!lines->in_line && (c == ' ' || c == '\t'))
            return "A field line is folded or starts with a blank.";
        else if (!rb_http_is_token_char(c))
            return "A field name is empty or holds a character that it must not.";
    }
    lines->in_line = true;
    return NULL;
}

/* Does any of eight bytes stand below 0x20, or is it DEL? */
static bool has_control(uint64_t bytes) {
    const uint64_t each = 0x0101010101010101, high = each * 0x80;
    uint64_t del = bytes ^ (each * 0x7f);
    return (((bytes - each * 0x20) & ~bytes) | ((del - each) & ~del)) & high;
}

/* Most bytes of a head are those of values. */
static size_t skip_value(const char *bytes, size_t len) {
    size_t n = 0;
    for (uint64_t word; len - n >= sizeof word; n += sizeof word) {
        memcpy(&word, bytes + n, sizeof word);
        if (has_control(word))
            break;
    }
    while (n < len && (unsigned char)bytes[n] >= 0x20 && bytes[n] != 0x7f)
        n++;
    return n;
}

/* Within a word of the request line, or a name: bytes that change nothing. */
static size_t skip_word(const char *bytes, size_t len, bool name) {
    size_t n = 0;
    if (name)
        while (n < len && rb_http_is_token_char(bytes[n]))
            n++;
    else
        while (n < len && (unsigned char)bytes[n] > 0x20 && bytes[n] != 0x7f)
            n++;
    return n;
}

size_t rb_http_lines_feed(struct rb_http_lines *lines, const char *bytes, size_t len,
                          const char **problem) {
    size_t n = 0;
    *problem = NULL;
    while (!lines->over) {
        if (lines->in_value && !lines->after_cr)
            n += skip_value(bytes + n, len - n);
        else if (lines->in_line && !lines->after_cr)
            n += skip_word(bytes + n, len - n, !lines->request_line);
        if (n == len || (*problem = step(lines, bytes[n])) != NULL)
            break;
        n++;
    }
    return n;
}
