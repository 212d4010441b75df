/* The framing of a request's body: so many bytes, or chunks (RFC 9112 §6, §7.1). */
#ifndef RB_NOTIFIER_HTTP_BODY_H
#define RB_NOTIFIER_HTTP_BODY_H

#include <stdint.h>

#include "config/buffer.h"
#include "notifier/http_line.h"

/* Chunk extensions and trailers are read and thrown away, up to so many bytes. */
#define RB_HTTP_CHUNK_WASTE 8192

enum rb_http_body_state {
    RB_HTTP_BODY_COUNTED,
    RB_HTTP_BODY_SIZE,      /* hex digits */
    RB_HTTP_BODY_BLANK,     /* behind the size, before a semicolon */
    RB_HTTP_BODY_EXTENSION, /* up to the CR */
    RB_HTTP_BODY_SIZE_LF,
    RB_HTTP_BODY_DATA,
    RB_HTTP_BODY_DATA_CR,
    RB_HTTP_BODY_DATA_LF,
    RB_HTTP_BODY_TRAILERS,
    RB_HTTP_BODY_WHOLE
};

struct rb_http_body {
    enum rb_http_body_state state;
    uint64_t left; /* of the body or of the chunk */
    unsigned digits;
    size_t waste;
    struct rb_http_lines trailers;
};

void rb_http_body_counted(struct rb_http_body *body, uint64_t len);
void rb_http_body_chunked(struct rb_http_body *body);

/* Takes bytes up to the body's end and adds its data to `out`, whose limit is the
 * ceiling; returns how many were taken. On a mistake *status is the HTTP status to
 * answer (400, 413, 503) with a sentence in *problem, else 0. Check .state for
 * RB_HTTP_BODY_WHOLE. */
size_t rb_http_body_feed(struct rb_http_body *body, const char *bytes, size_t len,
                         struct rb_buffer *out, int *status, const char **problem);

#endif
