/* Reading one HTTP/1.x request: bytes in, a head and a body out, no socket inside. llhttp
 * in strict mode does the grammar (RFC 9112); the policy it leaves open is ours: exactly
 * one valid Host, one framing header, no folding, no empty names, an origin-form target
 * without raw bytes outside RFC 3986, at most RB_HTTP_HEADERS fields.
 *
 * A parser exists only while a head or a body is being read; the head goes with it. */
#ifndef RB_NOTIFIER_HTTP_REQUEST_H
#define RB_NOTIFIER_HTTP_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "config/status.h"
#include "config/text.h"

#define RB_HTTP_HEADERS 64

enum rb_http_method {
    RB_HTTP_GET,
    RB_HTTP_HEAD,
    RB_HTTP_POST,
    RB_HTTP_PUT,
    RB_HTTP_PATCH,
    RB_HTTP_DELETE,
    RB_HTTP_OPTIONS,
    RB_HTTP_OTHER
};

struct rb_http_header {
    struct rb_text name, value; /* value without the blanks around it */
};

/* Borrowed from the parser until it is freed or reset. */
struct rb_http_request {
    enum rb_http_method method;
    struct rb_text path;  /* still percent-encoded, begins with '/'; "*" with OPTIONS */
    struct rb_text query; /* behind '?', still encoded; "" when none */
    int minor;            /* HTTP/1.minor */
    bool keep_alive;
    bool upgrade_websocket; /* Upgrade names websocket and Connection names upgrade */
    bool expect_continue;
    struct rb_text body;
    size_t header_count;
    struct rb_http_header headers[RB_HTTP_HEADERS]; /* header_count of them are set */
};

struct rb_http_limits {
    size_t head_bytes; /* all of request line and fields, 431 or 414 beyond */
    size_t body_bytes; /* 413 beyond; 0 = a body is refused */
};

struct rb_http_parser;
struct rb_http_parser *
rb_http_parser_new(const struct rb_http_limits *limits); /* or NULL */
void rb_http_parser_free(struct rb_http_parser *parser);

enum rb_http_progress {
    RB_HTTP_MORE,     /* all bytes taken, the request is not whole */
    RB_HTTP_CONTINUE, /* all taken, the head is whole, no byte of the body has come, and
                         the client waits for "100 Continue": send it and feed on */
    RB_HTTP_WHOLE,    /* request is whole; *taken says where the next one's bytes begin */
    RB_HTTP_BAD       /* answer *problem_status and close */
};

/* *problem: one sentence for the problem document; static text. */
enum rb_http_progress rb_http_feed(struct rb_http_parser *parser, const char *bytes,
                                   size_t len, size_t *taken, int *problem_status,
                                   const char **problem);
const struct rb_http_request *rb_http_parser_request(const struct rb_http_parser *parser);
/* True once at least one byte of a request was fed: an idle connection may end silently.
 */
bool rb_http_parser_begun(const struct rb_http_parser *parser);
/* The head is whole, the body is not: the request may be looked at already. */
bool rb_http_parser_in_body(const struct rb_http_parser *parser);
void rb_http_parser_reset(struct rb_http_parser *parser); /* for the next request */

/* The field's value by name, any case; the empty text with at == NULL when absent. Where
 * a list field came several times the first is given. */
struct rb_text rb_http_header(const struct rb_http_request *request, const char *name);
/* Takes the next piece, without the blanks around it, up to a separator that is not
 * within a quoted string; false at the end. */
bool rb_http_next(struct rb_text *rest, char separator, struct rb_text *piece);
/* Does a comma list hold the token (any case, parameters ignored)? */
bool rb_http_list_has(struct rb_text list, const char *token);
/* Is the media type acceptable to this Accept field with q > 0, named exactly (no
 * wildcard)? */
bool rb_http_accepts(struct rb_text accept, const char *media_type);

/* The query's or cookie's value by name; false when absent. The query's is
 * percent-decoded into out (room bytes, NUL-terminated); false too when it does not fit
 * or is malformed. */
bool rb_http_query(struct rb_text query, const char *name, char *out, size_t room);
/* The query's value as it stands, still encoded: to tell an absent one from one that is
 * malformed. */
bool rb_http_query_raw(struct rb_text query, const char *name, struct rb_text *value);
struct rb_text rb_http_cookie(const struct rb_http_request *request, const char *name);
/* Percent-decodes a path segment; RB_INVALID on a broken escape or NUL, RB_TOO_LARGE. */
RB_MUST_CHECK enum rb_status rb_http_decode(struct rb_text text, char *out, size_t room,
                                            size_t *len);

#endif
