/* Reading a request: the lines' discipline first, then llhttp, then our policy. */
#include "notifier/http_request.h"

#include <arpa/inet.h>
#include <llhttp.h>
#include <stdlib.h>

#include "config/buffer.h"
#include "notifier/http_body.h"
#include "notifier/http_line.h"

/* A piece of the head by its place, since the head moves while it grows. */
struct span {
    uint32_t at, len;
};

enum phase { IN_HEAD, IN_BODY, WHOLE };

struct rb_http_parser {
    llhttp_t llhttp;
    struct rb_http_limits limits;
    enum phase phase;
    struct rb_http_lines lines;
    struct rb_buffer head; /* its raw bytes; all texts of the request point into it */
    struct rb_buffer data;
    struct rb_http_body framing;
    struct span target, names[RB_HTTP_HEADERS], values[RB_HTTP_HEADERS];
    bool in_name; /* the last span was a name: the next byte of a name continues it */
    int status;   /* of the answer to a bad request */
    const char *problem;
    struct rb_http_request request;
};

static int bad(struct rb_http_parser *p, int status, const char *problem) {
    p->status = status;
    p->problem = problem;
    return -1;
}

/* llhttp gives a text in as many pieces as it was fed in; in our copy they are one. */
static void extend(struct rb_http_parser *p, struct span *span, const char *at,
                   size_t len) {
    if (span->len == 0)
        span->at = (uint32_t)(at - p->head.at);
    span->len += (uint32_t)len;
}

static int on_url(llhttp_t *llhttp, const char *at, size_t len) {
    struct rb_http_parser *p = llhttp->data;
    extend(p, &p->target, at, len);
    return 0;
}

static int on_name(llhttp_t *llhttp, const char *at, size_t len) {
    struct rb_http_parser *p = llhttp->data;
    size_t count = p->request.header_count;
    if (!p->in_name && count == RB_HTTP_HEADERS)
        return bad(p, 431, "The head has too many fields.");
    if (!p->in_name) {
        p->names[count] = p->values[count] = (struct span){0, 0};
        p->request.header_count = ++count;
    }
    p->in_name = true;
    extend(p, &p->names[count - 1], at, len);
    return 0;
}

static int on_value(llhttp_t *llhttp, const char *at, size_t len) {
    struct rb_http_parser *p = llhttp->data;
    p->in_name = false;
    extend(p, &p->values[p->request.header_count - 1], at, len);
    return 0;
}

static int on_value_complete(llhttp_t *llhttp) {
    struct rb_http_parser *p = llhttp->data;
    p->in_name = false;
    return 0;
}

static int on_head(llhttp_t *llhttp) {
    (void)llhttp;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_header_field = on_name,
    .on_header_value = on_value,
    .on_header_value_complete = on_value_complete,
    .on_headers_complete = on_head,
};

struct rb_http_parser *rb_http_parser_new(const struct rb_http_limits *limits) {
    struct rb_http_parser *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->limits = *limits;
    rb_buffer_init(&p->head, limits->head_bytes);
    rb_buffer_init(&p->data, limits->body_bytes);
    rb_http_parser_reset(p);
    return p;
}

void rb_http_parser_free(struct rb_http_parser *p) {
    if (!p)
        return;
    rb_buffer_fini(&p->head);
    rb_buffer_fini(&p->data);
    free(p);
}

void rb_http_parser_reset(struct rb_http_parser *p) {
    llhttp_init(&p->llhttp, HTTP_REQUEST, &settings);
    p->llhttp.data = p;
    /* Any d.d goes through llhttp, so that we can treat HTTP/1.2 as HTTP/1.1 and refuse
     * HTTP/2.0 by its right name (RFC 9110 §2.5, §15.6.6). */
    p->llhttp.lenient_flags |= LENIENT_VERSION;
    p->phase = IN_HEAD;
    rb_http_lines_head(&p->lines);
    rb_buffer_clear(&p->head);
    rb_buffer_clear(&p->data);
    p->target = (struct span){0, 0};
    p->in_name = false;
    memset(&p->request, 0, offsetof(struct rb_http_request, headers));
    p->request.method = RB_HTTP_OTHER;
}

bool rb_http_parser_in_body(const struct rb_http_parser *p) {
    return p->phase == IN_BODY;
}

bool rb_http_parser_begun(const struct rb_http_parser *p) {
    return p->lines.in_line || !p->lines.request_line;
}

const struct rb_http_request *rb_http_parser_request(const struct rb_http_parser *p) {
    return &p->request;
}

/* What llhttp did not like, in our words. */
static int explain(struct rb_http_parser *p, llhttp_errno_t error) {
    switch (error) {
    case HPE_INVALID_METHOD: {
        /* It stops at the first character by which the method is none of those it knows;
         * within a token that is an unknown method, else no request at all. */
        const char *at = llhttp_get_error_pos(&p->llhttp);
        if (at && at < p->head.at + p->head.len && rb_http_is_token_char(*at))
            return bad(p, 501, "The method is not known.");
        return bad(p, 400, "The request line does not begin with a method.");
    }
    case HPE_PAUSED_H2_UPGRADE:
        return bad(p, 505, "Only HTTP/1.0 and HTTP/1.1 are spoken here.");
    case HPE_INVALID_URL:
        return bad(p, 400, "The request target is malformed.");
    case HPE_INVALID_VERSION:
    case HPE_INVALID_CONSTANT:
        return bad(p, 400, "The request line is malformed.");
    case HPE_INVALID_CONTENT_LENGTH:
        return bad(p, 400, "Content-Length is not a number.");
    case HPE_UNEXPECTED_CONTENT_LENGTH:
        return bad(p, 400, "The body's length is told more than once.");
    case HPE_INVALID_TRANSFER_ENCODING:
        return bad(p, 400, "Transfer-Encoding is not just chunked.");
    default:
        return bad(p, 400, "The head is malformed.");
    }
}

static enum rb_http_method method_of(uint8_t method) {
    switch (method) {
    case HTTP_GET:
        return RB_HTTP_GET;
    case HTTP_HEAD:
        return RB_HTTP_HEAD;
    case HTTP_POST:
        return RB_HTTP_POST;
    case HTTP_PUT:
        return RB_HTTP_PUT;
    case HTTP_PATCH:
        return RB_HTTP_PATCH;
    case HTTP_DELETE:
        return RB_HTTP_DELETE;
    case HTTP_OPTIONS:
        return RB_HTTP_OPTIONS;
    default:
        return RB_HTTP_OTHER;
    }
}

/* RFC 3986 §2.3: letters, digits, and - . _ ~; then what §3.3 and §3.4 let a path and a
 * query hold beside them (! $ & ' ( ) * + , ; = : @ / and ?), and [ ], which many send.
 */
static const struct rb_http_chars unreserved = {
    {UINT64_C(0x03ff600000000000), UINT64_C(0x47fffffe87fffffe)}};
static const struct rb_http_chars of_path = {
    {UINT64_C(0x2fffffd200000000), UINT64_C(0x47fffffe87ffffff)}};
static const struct rb_http_chars of_query = {
    {UINT64_C(0xafffffd200000000), UINT64_C(0x47fffffeafffffff)}};

static bool is_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* These characters, and whole percent escapes. */
static bool spelled_with(struct rb_text text, struct rb_http_chars chars) {
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (c == '%') {
            if (text.len - i < 3 || !is_hex(text.at[i + 1]) || !is_hex(text.at[i + 2]))
                return false;
            i += 2;
        } else if (!rb_http_has_char(chars, c)) {
            return false;
        }
    }
    return true;
}

/* host[:port]. RFC 3986 lets a name hold commas and brackets of all kinds; no name that
 * resolves does, so they are refused as what they are: somebody's trick. */
static bool is_host(struct rb_text text) {
    struct rb_text host = text, port = {"", 0};
    char address[INET6_ADDRSTRLEN];
    unsigned char binary[16];

    if (text.len > 0 && text.at[0] == '[') {
        const char *end = memchr(text.at, ']', text.len);
        size_t len = end ? (size_t)(end - text.at) - 1 : 0;
        if (len == 0 || len >= sizeof address)
            return false;
        memcpy(address, text.at + 1, len);
        address[len] = '\0';
        if (strlen(address) != len || inet_pton(AF_INET6, address, binary) != 1)
            return false;
        port = rb_text(end + 1, text.len - len - 2);
    } else {
        const char *colon = text.len > 0 ? memchr(text.at, ':', text.len) : NULL;
        if (colon) {
            host.len = (size_t)(colon - text.at);
            port = rb_text(colon, text.len - host.len);
        }
        if (host.len == 0 || host.len > 255 || !spelled_with(host, unreserved))
            return false;
    }
    if (port.len == 0)
        return true;
    if (port.at[0] != ':' || port.len > 6)
        return false;
    for (size_t i = 1; i < port.len; i++)
        if (port.at[i] < '0' || port.at[i] > '9')
            return false;
    return true;
}

static bool take_prefix(struct rb_text *text, const char *prefix) {
    struct rb_text want = rb_text_of(prefix);
    if (text->len < want.len || !rb_text_equal_nocase(rb_text(text->at, want.len), want))
        return false;
    *text = rb_text(text->at + want.len, text->len - want.len);
    return true;
}

/* Origin-form, or absolute-form whose authority then stands for Host (RFC 9112 §3.2). */
static int read_target(struct rb_http_parser *p, struct rb_text target,
                       struct rb_text *authority) {
    struct rb_http_request *r = &p->request;
    if (rb_text_is(target, "*") && r->method == RB_HTTP_OPTIONS) {
        r->path = target;
        return 0;
    }
    if (take_prefix(&target, "http://") || take_prefix(&target, "https://")) {
        size_t len = 0;
        while (len < target.len && target.at[len] != '/' && target.at[len] != '?')
            len++;
        *authority = rb_text(target.at, len);
        if (!is_host(*authority))
            return bad(p, 400, "The request target's host is malformed.");
        target = rb_text(target.at + len, target.len - len);
    } else if (target.len == 0 || target.at[0] != '/') {
        return bad(p, 400, "The request target is not a path.");
    }
    const char *mark = target.len > 0 ? memchr(target.at, '?', target.len) : NULL;
    r->path = rb_text(target.at, mark ? (size_t)(mark - target.at) : target.len);
    if (mark)
        r->query = rb_text(mark + 1, target.len - r->path.len - 1);
    if (!spelled_with(r->path, of_path) || !spelled_with(r->query, of_query))
        return bad(p, 400, "The request target holds a character that it must not.");
    if (r->path.len == 0)
        r->path = RB_TEXT("/");
    return 0;
}

static int read_host(struct rb_http_parser *p, struct rb_text authority) {
    struct rb_http_request *r = &p->request;
    size_t hosts = 0;
    for (size_t i = 0; i < r->header_count; i++) {
        struct rb_http_header *h = &r->headers[i];
        if (!rb_text_equal_nocase(h->name, RB_TEXT("host")))
            continue;
        if (++hosts > 1)
            return bad(p, 400, "There is more than one Host.");
        if (!is_host(h->value))
            return bad(p, 400, "Host is malformed.");
        if (authority.len > 0)
            h->value = authority;
    }
    if (hosts == 0 && r->minor > 0)
        return bad(p, 400, "Host is missing.");
    return 0;
}

/* Does any field of that name list the token? */
static bool lists(const struct rb_http_request *r, const char *name, const char *token) {
    for (size_t i = 0; i < r->header_count; i++)
        if (rb_text_equal_nocase(r->headers[i].name, rb_text_of(name)) &&
            rb_http_list_has(r->headers[i].value, token))
            return true;
    return false;
}

/* RFC 9112 §6.3, of which only what cannot be misread is left. */
static int read_framing(struct rb_http_parser *p) {
    struct rb_http_request *r = &p->request;
    struct rb_text length = {NULL, 0}, coding = {NULL, 0};
    uint64_t bytes = 0;
    for (size_t i = 0; i < r->header_count; i++) {
        const struct rb_http_header *h = &r->headers[i];
        bool is_length = rb_text_equal_nocase(h->name, RB_TEXT("content-length"));
        if (!is_length && !rb_text_equal_nocase(h->name, RB_TEXT("transfer-encoding")))
            continue;
        if (length.at || coding.at)
            return bad(p, 400, "The body's length is told more than once.");
        *(is_length ? &length : &coding) = h->value;
    }
    if (coding.at) {
        if (r->minor == 0)
            return bad(p, 400, "HTTP/1.0 has no Transfer-Encoding.");
        if (!rb_text_equal_nocase(coding, RB_TEXT("chunked")))
            return bad(p, 501, "The only transfer coding known is chunked.");
        if (p->limits.body_bytes == 0)
            return bad(p, 413, "This request must not have a body.");
        rb_http_body_chunked(&p->framing);
        return 0;
    }
    if (length.at && rb_text_uint64(length, &bytes) != RB_OK)
        return bad(p, 400, "Content-Length is not a number.");
    if (bytes > p->limits.body_bytes)
        return bad(p, 413, "The body is too large.");
    rb_http_body_counted(&p->framing, bytes);
    return 0;
}

/* The head is whole: spans become texts, and what llhttp leaves open is decided. */
static int read_head(struct rb_http_parser *p) {
    struct rb_http_request *r = &p->request;
    const char *base = p->head.at;
    struct rb_text authority = {NULL, 0};

    if (p->llhttp.http_major != 1)
        return bad(p, 505, "Only HTTP/1.0 and HTTP/1.1 are spoken here.");
    if (p->llhttp.method == HTTP_CONNECT)
        return bad(p, 501, "This is not a proxy.");
    for (size_t i = 0; i < r->header_count; i++) {
        struct span name = p->names[i], value = p->values[i];
        r->headers[i].name = rb_text(base + name.at, name.len);
        /* An empty value stands behind its name: present, and nobody's NULL. */
        size_t at = value.len > 0 ? value.at : (size_t)name.at + name.len;
        r->headers[i].value = rb_text_trim(rb_text(base + at, value.len));
    }
    r->minor = p->llhttp.http_minor > 0 ? 1 : 0;
    if (read_target(p, rb_text(base + p->target.at, p->target.len), &authority) != 0 ||
        read_host(p, authority) != 0 || read_framing(p) != 0)
        return -1;
    r->keep_alive = r->minor > 0 && !lists(r, "connection", "close");
    r->upgrade_websocket = r->minor > 0 && lists(r, "connection", "upgrade") &&
                           lists(r, "upgrade", "websocket");
    struct rb_text expect = rb_http_header(r, "expect");
    if (expect.at && r->minor > 0) {
        if (!rb_text_equal_nocase(expect, RB_TEXT("100-continue")))
            return bad(p, 417, "The only expectation known is 100-continue.");
        r->expect_continue = p->framing.state != RB_HTTP_BODY_WHOLE;
    }
    return 0;
}

/* Returns how many bytes of the head were taken; p->status is set on a mistake. The
 * order of events is the same however the bytes are cut: llhttp hears all bytes before
 * the first one that breaks the lines' discipline or passes the limit. */
static size_t feed_head(struct rb_http_parser *p, const char *bytes, size_t len) {
    size_t room = p->limits.head_bytes - p->head.len;
    const char *problem;
    size_t n = rb_http_lines_feed(&p->lines, bytes, len < room ? len : room, &problem);
    size_t before = p->head.len;
    rb_buffer_add(&p->head, bytes, n);
    if (p->head.status != RB_OK) {
        (void)bad(p, 503, "Out of memory.");
        return n;
    }
    llhttp_errno_t error = llhttp_execute(&p->llhttp, p->head.at + before, n);
    if (!p->lines.request_line) /* known from here on: HEAD is refused without a body */
        p->request.method = method_of(p->llhttp.method);
    if (p->status != 0)
        return n;
    if (error != HPE_OK && !(error == HPE_PAUSED && p->lines.over))
        (void)explain(p, error);
    else if (problem)
        (void)bad(p, 400, problem);
    else if (p->lines.over && error != HPE_PAUSED) /* the preface of HTTP/2 goes on */
        (void)explain(p, HPE_PAUSED_H2_UPGRADE);
    else if (p->lines.over)
        (void)read_head(p);
    else if (n == room && p->lines.request_line)
        (void)bad(p, 414, "The request line is too long.");
    else if (n == room)
        (void)bad(p, 431, "The head is too large.");
    if (p->status == 0 && p->lines.over)
        p->phase = p->framing.state == RB_HTTP_BODY_WHOLE ? WHOLE : IN_BODY;
    return n;
}

enum rb_http_progress rb_http_feed(struct rb_http_parser *p, const char *bytes,
                                   size_t len, size_t *taken, int *problem_status,
                                   const char **problem) {
    bool head_now = p->phase == IN_HEAD && len > 0;
    p->status = 0;
    *taken = 0;
    if (head_now)
        *taken = feed_head(p, bytes, len);
    if (p->status == 0 && p->phase == IN_BODY && *taken < len) {
        *taken += rb_http_body_feed(&p->framing, bytes + *taken, len - *taken, &p->data,
                                    &p->status, &p->problem);
        p->request.body = rb_buffer_view(&p->data);
        if (p->framing.state == RB_HTTP_BODY_WHOLE)
            p->phase = WHOLE;
        head_now = false;
    }
    if (p->status != 0) {
        *problem_status = p->status;
        *problem = p->problem;
        return RB_HTTP_BAD;
    }
    if (p->phase == WHOLE)
        return RB_HTTP_WHOLE;
    /* Whoever sends the body along does not wait for our word (RFC 9110 §10.1.1). */
    if (head_now && p->phase == IN_BODY && p->request.expect_continue)
        return RB_HTTP_CONTINUE;
    return RB_HTTP_MORE;
}
