/* Bodies: counted ones are copied, chunked ones are unwrapped. */
#include "notifier/http_body.h"

#define SIZE_DIGITS 15 /* hex digits that fit in 64 bits with room to spare */

void rb_http_body_counted(struct rb_http_body *body, uint64_t len) {
    *body = (struct rb_http_body){
        .state = len > 0 ? RB_HTTP_BODY_COUNTED : RB_HTTP_BODY_WHOLE, .left = len};
}

void rb_http_body_chunked(struct rb_http_body *body) {
    *body = (struct rb_http_body){.state = RB_HTTP_BODY_SIZE};
}

static int hex(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static const char *size_step(struct rb_http_body *b, char c) {
    int digit = hex(c);
    if (digit >= 0) {
        if (++b->digits > SIZE_DIGITS)
            return "A chunk's size has too many digits.";
        b->left = b->left << 4 | (unsigned)digit;
        return NULL;
    }
    if (b->digits == 0)
        return "A chunk's size is not a hexadecimal number.";
    b->digits = 0;
    if (c == '\r')
        b->state = RB_HTTP_BODY_SIZE_LF;
    else if (c == ';')
        b->state = RB_HTTP_BODY_EXTENSION;
    else if (c == ' ' || c == '\t')
        b->state = RB_HTTP_BODY_BLANK;
    else
        return "A chunk's size is not a hexadecimal number.";
    return NULL;
}

static const char *extension_step(struct rb_http_body *b, char c) {
    if (++b->waste >= RB_HTTP_CHUNK_WASTE)
        return "The chunk extensions and trailers are too long.";
    if (b->state == RB_HTTP_BODY_BLANK) {
        if (c == ';')
            b->state = RB_HTTP_BODY_EXTENSION;
        else if (c != ' ' && c != '\t')
            return "A chunk's size is followed by something else than an extension.";
    } else if (c == '\r') {
        b->state = RB_HTTP_BODY_SIZE_LF;
    } else if (((unsigned char)c < 0x20 && c != '\t') || c == 0x7f) {
        return "A chunk extension holds a control character.";
    }
    return NULL;
}

/* Returns how many bytes were taken. */
static size_t take_trailers(struct rb_http_body *b, const char *bytes, size_t len,
                            const char **problem) {
    size_t room = RB_HTTP_CHUNK_WASTE - b->waste;
    size_t n = rb_http_lines_feed(&b->trailers, bytes, len < room ? len : room, problem);
    b->waste += n;
    if (b->trailers.over)
        b->state = RB_HTTP_BODY_WHOLE;
    else if (n == room && !*problem)
        *problem = "The chunk extensions and trailers are too long.";
    return n;
}

/* One byte of what stands around the data. */
static const char *step(struct rb_http_body *b, char c) {
    switch (b->state) {
    case RB_HTTP_BODY_SIZE:
        return size_step(b, c);
    case RB_HTTP_BODY_BLANK:
    case RB_HTTP_BODY_EXTENSION:
        return extension_step(b, c);
    case RB_HTTP_BODY_SIZE_LF:
        if (c != '\n')
            return "A chunk's size does not end with CRLF.";
        rb_http_lines_trailers(&b->trailers);
        b->state = b->left > 0 ? RB_HTTP_BODY_DATA : RB_HTTP_BODY_TRAILERS;
        return NULL;
    case RB_HTTP_BODY_DATA_CR:
    case RB_HTTP_BODY_DATA_LF:
        if (c != (b->state == RB_HTTP_BODY_DATA_CR ? '\r' : '\n'))
            return "A chunk's data does not end with CRLF.";
        b->state =
            b->state == RB_HTTP_BODY_DATA_CR ? RB_HTTP_BODY_DATA_LF : RB_HTTP_BODY_SIZE;
        return NULL;
    default: /* whole ranges, not steps */
        return NULL;
    }
}

/* Of a counted body or of one chunk. Returns how many bytes were taken. */
static size_t take_data(struct rb_http_body *b, const char *bytes, size_t len,
                        struct rb_buffer *out, int *status, const char **problem) {
    size_t n = b->left < len ? (size_t)b->left : len;
    /* Told from the size alone, before the bytes have come. */
    if (b->left > out->limit - out->len) {
        *status = 413;
        *problem = "The body is too large.";
        return 0;
    }
    rb_buffer_add(out, bytes, n);
    if (out->status != RB_OK) {
        *status = 503;
        *problem = "Out of memory.";
        return 0;
    }
    b->left -= n;
    if (b->left == 0)
        b->state =
            b->state == RB_HTTP_BODY_COUNTED ? RB_HTTP_BODY_WHOLE : RB_HTTP_BODY_DATA_CR;
    return n;
}

size_t rb_http_body_feed(struct rb_http_body *b, const char *bytes, size_t len,
                         struct rb_buffer *out, int *status, const char **problem) {
    size_t at = 0;
    *status = 0;
    *problem = NULL;
    while (at < len && b->state != RB_HTTP_BODY_WHOLE && !*problem) {
        if (b->state == RB_HTTP_BODY_COUNTED || b->state == RB_HTTP_BODY_DATA)
            at += take_data(b, bytes + at, len - at, out, status, problem);
        else if (b->state == RB_HTTP_BODY_TRAILERS)
            at += take_trailers(b, bytes + at, len - at, problem);
        else
            *problem = step(b, bytes[at++]);
    }
    if (*problem && *status == 0)
        *status = 400;
    return at;
}
