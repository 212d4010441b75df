/* The lines of a head or of trailers, byte by byte, before any parser sees them: each
 * ends with CRLF and nothing else does, none is folded, the request line has its two
 * spaces and no more, and a field line is a token, a colon and a value (RFC 9112 §2.2,
 * §3, §5). What two parsers could read in two ways ends here. */
#ifndef RB_NOTIFIER_HTTP_LINE_H
#define RB_NOTIFIER_HTTP_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rb_http_lines {
    bool request_line;    /* the next or running line is the request line */
    bool in_line;         /* the line has at least one byte */
    bool in_value;        /* the colon was seen */
    unsigned char spaces; /* of the request line */
    bool after_cr;
    bool over; /* the empty line at the end was seen */
};

void rb_http_lines_head(struct rb_http_lines *lines); /* a request line, then fields */
void rb_http_lines_trailers(struct rb_http_lines *lines); /* fields alone */

/* Takes bytes up to the end of the empty line, or up to a mistake, whose byte is not
 * counted: *problem is a sentence about it then (static), else NULL. Empty lines before
 * the request line are taken silently (RFC 9112 §2.2). */
size_t rb_http_lines_feed(struct rb_http_lines *lines, const char *bytes, size_t len,
                          const char **problem);

/* Some of ASCII's characters, a bit each. */
struct rb_http_chars {
    uint64_t bits[2];
};
static inline bool rb_http_has_char(struct rb_http_chars chars, char c) {
    unsigned char u = (unsigned char)c;
    return u < 128 && (chars.bits[u / 64] >> u % 64 & 1) != 0;
}

/* RFC 9110 §5.6.2: letters, digits, and ! # $ % & ' * + - . ^ _ ` | ~ */
static inline bool rb_http_is_token_char(char c) {
    const struct rb_http_chars token = {
        {UINT64_C(0x03ff6cfa00000000), UINT64_C(0x57ffffffc7fffffe)}};
    return rb_http_has_char(token, c);
}

#endif
