/* Reading requests: good ones, about a hundred malformed ones, and each of them fed whole
 * and in pieces with the same outcome. */
#include "notifier/http_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "config/buffer.h"

#define HEAD_BYTES 1024
#define BODY_BYTES 64
#define H "Host: a\r\n"
#define GET "GET / HTTP/1.1\r\n" H
#define POST "POST / HTTP/1.1\r\n" H
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

static const struct rb_http_limits limits = {HEAD_BYTES, BODY_BYTES};

struct outcome {
    enum rb_http_progress progress;
    size_t taken;
    size_t continues;
    int status;
    const char *problem;
};

/* Feeds copies of exactly the piece's size, so that a sanitizer sees every step
 * outside. */
static struct outcome feed(struct rb_http_parser *p, struct rb_text wire, size_t piece) {
    struct outcome o = {.progress = RB_HTTP_MORE};
    while (o.taken < wire.len &&
           (o.progress == RB_HTTP_MORE || o.progress == RB_HTTP_CONTINUE)) {
        size_t n = wire.len - o.taken < piece ? wire.len - o.taken : piece, taken = 0;
        char *bytes = malloc(n);
        assert_non_null(bytes);
        memcpy(bytes, wire.at + o.taken, n);
        o.progress = rb_http_feed(p, bytes, n, &taken, &o.status, &o.problem);
        free(bytes);
        if (o.progress == RB_HTTP_MORE || o.progress == RB_HTTP_CONTINUE)
            assert_int_equal(taken, n);
        o.continues += o.progress == RB_HTTP_CONTINUE;
        o.taken += taken;
    }
    return o;
}

static struct rb_http_parser *parser(void) {
    struct rb_http_parser *p = rb_http_parser_new(&limits);
    assert_non_null(p);
    return p;
}

struct malformed {
    int status;
    struct rb_text wire;
};

static void refused(const struct malformed *cases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct rb_text wire = cases[i].wire;
        struct outcome whole = {.progress = RB_HTTP_MORE};
        for (size_t piece = wire.len; piece > 0; piece = piece > 9 ? 9 : piece - 1) {
            struct rb_http_parser *p = parser();
            struct outcome o = feed(p, wire, piece);
            if (o.progress != RB_HTTP_BAD || o.status != cases[i].status)
                fail_msg("case %zu, pieces of %zu: progress %d status %d (%s)\n%.*s", i,
                         piece, (int)o.progress, o.status, o.problem ? o.problem : "",
                         RB_TEXT_ARG(wire));
            assert_true(o.problem && strlen(o.problem) > 10);
            if (piece == wire.len)
                whole = o;
            assert_string_equal(o.problem, whole.problem);
            rb_http_parser_free(p);
        }
    }
}

#define REFUSED(...)                                                                     \
    do {                                                                                 \
        static const struct malformed cases_[] = {__VA_ARGS__};                          \
        refused(cases_, sizeof cases_ / sizeof *cases_);                                 \
    } while (0)
/* A static table wants constants: no compound literal. */
#define T(literal)                                                                       \
    { "" literal, sizeof(literal) - 1 }

static void bad_request_lines(void **unused) {
    (void)unused;
    REFUSED({400, T(" GET / HTTP/1.1\r\n" H "\r\n")}, {400, T("\tGET / HTTP/1.1\r\n")},
            {400, T("GET\t/\tHTTP/1.1\r\n" H "\r\n")},
            {400, T("GET  / HTTP/1.1\r\n" H "\r\n")},
            {400, T("GET /  HTTP/1.1\r\n" H "\r\n")},
            {400, T("GET / HTTP/1.1 \r\n" H "\r\n")},
            {400, T("GET / HTTP/1.1 x\r\n" H "\r\n")}, {400, T("GET /\r\n\r\n")},
            {400, T("GET\r\n\r\n")}, {400, T("GET / http/1.1\r\n" H "\r\n")},
            {400, T("GET / HTTP/11\r\n" H "\r\n")}, {400, T("GET / HTTP/1.\r\n")},
            {400, T("GET / HTTP/1.12\r\n" H "\r\n")}, {400, T("GET / HTTP/1,1\r\n")},
            {400, T("GET / HTTP/a.b\r\n")}, {400, T("GET / HTTPS/1.1\r\n")},
            {505, T("GET / HTTP/2.0\r\n" H "\r\n")}, {505, T("GET / HTTP/0.9\r\n\r\n")},
            {505, T("GET / HTTP/3.0\r\n" H "\r\n")},
            {505, T("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")},
            {501, T("BREW /pot HTTP/1.1\r\n" H "\r\n")},
            {501, T("get / HTTP/1.1\r\n" H "\r\n")},
            {501, T("GETT / HTTP/1.1\r\n" H "\r\n")},
            {501, T("CONNECT a:443 HTTP/1.1\r\n" H "\r\n")}, {400, T("{\"a\":1}\r\n")},
            {400, T("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")},
            {400, T("\x80GET / HTTP/1.1\r\n")}, {400, T("G\0T / HTTP/1.1\r\n")},
            {400, T("\nGET / HTTP/1.1\r\n")}, {400, T("\r\rGET / HTTP/1.1\r\n")});
}

static void bad_targets(void **unused) {
    (void)unused;
    REFUSED({400, T("GET a HTTP/1.1\r\n" H "\r\n")},
            {400, T("GET * HTTP/1.1\r\n" H "\r\n")},
            {400, T("GET ?a HTTP/1.1\r\n" H "\r\n")},
            {400, T("GET /a#b HTTP/1.1\r\n" H "\r\n")},
            {400, T("GET /a?b#c HTTP/1.1\r\n" H "\r\n")},
            {400, T("GET /a\"b HTTP/1.1\r\n" H "\r\n")},
            {400, T("GET /a<b HTTP/1.1\r\n" H "\r\n")},
            {400, T("GET /a\\b HTTP/1.1\r\n" H "\r\n")},
            {400, T("GET /a^b HTTP/1.1\r\n" H "\r\n")},
            {400, T("GET /a`b HTTP/1.1\r\n" H "\r\n")},
            {400, T("GET /a{b HTTP/1.1\r\n" H "\r\n")},
            {400, T("GET /a|b HTTP/1.1\r\n" H "\r\n")},
            {400, T("GET /a[b HTTP/1.1\r\n" H "\r\n")},
            {400, T("GET /?a{b HTTP/1.1\r\n" H "\r\n")},
            {400, T("GET /\xc3\xa9 HTTP/1.1\r\n" H "\r\n")},
            {400, T("GET /\x01 HTTP/1.1\r\n" H "\r\n")},
            {400, T("GET /\x7f HTTP/1.1\r\n" H "\r\n")},
            {400, T("GET /a\0b HTTP/1.1\r\n" H "\r\n")},
            {400, T("GET /% HTTP/1.1\r\n" H "\r\n")},
            {400, T("GET /%4 HTTP/1.1\r\n" H "\r\n")},
            {400, T("GET /%4g HTTP/1.1\r\n" H "\r\n")},
            {400, T("GET /?%zz HTTP/1.1\r\n" H "\r\n")},
            {400, T("GET ftp://a/ HTTP/1.1\r\n" H "\r\n")},
            {400, T("GET http:///x HTTP/1.1\r\n" H "\r\n")},
            {400, T("GET http://u:p@a/ HTTP/1.1\r\n" H "\r\n")},
            {400, T("GET http:/x HTTP/1.1\r\n" H "\r\n")},
            {400, T("GET a:80 HTTP/1.1\r\n" H "\r\n")});
}

static void bad_lines(void **unused) {
    (void)unused;
    REFUSED({400, T("GET / HTTP/1.1\n" H "\r\n")},
            {400, T("GET / HTTP/1.1\r\nHost: a\n\n")}, {400, T(GET "\n")},
            {400, T(GET "A: b\nC: d\r\n\r\n")}, {400, T("GET / HTTP/1.1\rHost: a\r\r")},
            {400, T(GET "A: b\rC: d\r\n\r\n")}, {400, T(GET "A: b\r\r\n\r\n")},
            {400, T(GET "A: b\r\n c\r\n\r\n")}, {400, T(GET "A: b\r\n\tc\r\n\r\n")},
            {400, T("GET / HTTP/1.1\r\n Host: a\r\n\r\n")}, {400, T(GET "A : b\r\n\r\n")},
            {400, T(GET "A\t: b\r\n\r\n")}, {400, T(GET ": b\r\n\r\n")},
            {400, T(GET "A\r\n\r\n")}, {400, T(GET "A b\r\n\r\n")},
            {400, T(GET "A b: c\r\n\r\n")}, {400, T(GET "A\0: b\r\n\r\n")},
            {400, T(GET "A: b\0c\r\n\r\n")}, {400, T(GET "A: b\x01\r\n\r\n")},
            {400, T(GET "A: b\x7f\r\n\r\n")}, {400, T(GET "\x80: b\r\n\r\n")},
            {400, T(GET "A(: b\r\n\r\n")}, {400, T(GET "A=: b\r\n\r\n")},
            {400, T(GET "A\": b\r\n\r\n")}, {400, T(GET "A/: b\r\n\r\n")},
            {400, T(GET "[a]: b\r\n\r\n")});
}

static void bad_hosts(void **unused) {
    (void)unused;
    REFUSED({400, T("GET / HTTP/1.1\r\n\r\n")}, {400, T(GET "Host: a\r\n\r\n")},
            {400, T(GET "host: b\r\n\r\n")}, {400, T("GET / HTTP/1.0\r\n" H H "\r\n")},
            {400, T("GET / HTTP/1.1\r\nHost:\r\n\r\n")},
            {400, T("GET / HTTP/1.1\r\nHost: \r\n\r\n")},
            {400, T("GET / HTTP/1.1\r\nHost: a b\r\n\r\n")},
            {400, T("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n")},
            {400, T("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n")},
            {400, T("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n")},
            {400, T("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n")},
            {400, T("GET / HTTP/1.1\r\nHost: http://a\r\n\r\n")},
            {400, T("GET / HTTP/1.1\r\nHost: a?b\r\n\r\n")},
            {400, T("GET / HTTP/1.1\r\nHost: a#b\r\n\r\n")},
            {400, T("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n")},
            {400, T("GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n")},
            {400, T("GET / HTTP/1.1\r\nHost: a:123456\r\n\r\n")},
            {400, T("GET / HTTP/1.1\r\nHost: :80\r\n\r\n")},
            {400, T("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n")},
            {400, T("GET / HTTP/1.1\r\nHost: []\r\n\r\n")},
            {400, T("GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n")},
            {400, T("GET / HTTP/1.1\r\nHost: [1.2.3.4]\r\n\r\n")},
            {400, T("GET / HTTP/1.1\r\nHost: ::1\r\n\r\n")},
            {400, T("GET / HTTP/1.1\r\nHost: \xc3\xa9\r\n\r\n")},
            {400, T("GET / HTTP/1.1\r\nHost: a%zz\r\n\r\n")},
            {400, T("GET http://b/ HTTP/1.1\r\n\r\n")},
            {400, T("GET http://b/ HTTP/1.1\r\nHost: a b\r\n\r\n")});
}

static void bad_framing(void **unused) {
    (void)unused;
    REFUSED(
        {400, T(POST "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx")},
        {400, T(POST "Content-Length: 1\r\nContent-Length: 2\r\n\r\nx")},
        {400, T(POST "Content-Length: 1, 1\r\n\r\nx")},
        {400, T(POST "Content-Length: +1\r\n\r\nx")},
        {400, T(POST "Content-Length: -1\r\n\r\nx")},
        {400, T(POST "Content-Length: 0x1\r\n\r\nx")},
        {400, T(POST "Content-Length: 1 1\r\n\r\nx")},
        {400, T(POST "Content-Length: 1.0\r\n\r\nx")},
        {400, T(POST "Content-Length: one\r\n\r\nx")},
        {400, T(POST "Content-Length:\r\n\r\n")},
        {400, T(POST "Content-Length: 18446744073709551616\r\n\r\n")},
        {400, T(POST "Content-Length: 99999999999999999999999\r\n\r\n")},
        {413, T(POST "Content-Length: 9223372036854775807\r\n\r\n")},
        {413, T(POST "Content-Length: 65\r\n\r\n")},
        {400, T(POST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n")},
        {400, T(POST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n")},
        {400, T(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n")},
        {400, T(POST "Transfer-Encoding: chunked, gzip\r\n\r\n")},
        {400, T(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n")},
        {501, T(POST "Transfer-Encoding: gzip, chunked\r\n\r\n")},
        {501, T(POST "Transfer-Encoding: gzip\r\n\r\n")},
        {501, T(POST "Transfer-Encoding: identity\r\n\r\n")},
        {501, T(POST "Transfer-Encoding: xchunked\r\n\r\n")},
        {501, T(POST "Transfer-Encoding:\r\n\r\n")},
        {501, T(POST "Transfer-Encoding: \"chunked\"\r\n\r\n")},
        {400, T(POST "Transfer-Encoding : chunked\r\n\r\n")},
        {400, T("POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n")},
        {417, T(POST "Content-Length: 1\r\nExpect: tea\r\n\r\n")});
}

static void bad_chunks(void **unused) {
    (void)unused;
    REFUSED({400, T(CHUNKED "\r\n")}, {400, T(CHUNKED "x\r\n")},
            {400, T(CHUNKED " 1\r\n")}, {400, T(CHUNKED "-1\r\n")},
            {400, T(CHUNKED "+1\r\n")}, {400, T(CHUNKED "0x1\r\n")},
            {400, T(CHUNKED ";a\r\n")}, {400, T(CHUNKED "1\na\r\n0\r\n\r\n")},
            {400, T(CHUNKED "1\r\nab\r\n")}, {400, T(CHUNKED "1\r\na\n0\r\n\r\n")},
            {400, T(CHUNKED "1\r\na\rb")}, {400, T(CHUNKED "1\r\na0\r\n\r\n")},
            {400, T(CHUNKED "1 x\r\na\r\n")}, {400, T(CHUNKED "1 \r\na\r\n")},
            {400, T(CHUNKED "1;a\nb\r\n")}, {400, T(CHUNKED "1;a\0b\r\n")},
            {400, T(CHUNKED "1\rx")}, {400, T(CHUNKED "ffffffffffffffff\r\n")},
            {400, T(CHUNKED "0000000000000001\r\n")},
            {413, T(CHUNKED "41\r\n"
                            "a")},
            {413, T(CHUNKED "fffffffffffffff\r\na")},
            {413, T(CHUNKED "40\r\n"
                            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n1\r\nb")},
            {400, T(CHUNKED "0\r\n\n")}, {400, T(CHUNKED "0\r\nA: b\n\r\n")},
            {400, T(CHUNKED "0\r\nA\r\n\r\n")}, {400, T(CHUNKED "0\r\n A: b\r\n\r\n")},
            {400, T(CHUNKED "0\r\nA : b\r\n\r\n")},
            {400, T(CHUNKED "0\r\nA: b\r\n c\r\n\r\n")},
            {400, T(CHUNKED "0\r\nA: \0\r\n\r\n")});
}

static void too_large(void **unused) {
    (void)unused;
    struct rb_buffer line, fields, few, extension, trailers;
    struct rb_buffer *all[] = {&line, &fields, &few, &extension, &trailers};
    for (size_t i = 0; i < 5; i++)
        rb_buffer_init(all[i], 100000);
    rb_buffer_string(&line, "GET /");
    rb_buffer_string(&fields, GET "A: ");
    rb_buffer_string(&extension, CHUNKED "1;");
    rb_buffer_string(&trailers, CHUNKED "0\r\nA: ");
    for (int i = 0; i < 9000; i++)
        for (size_t j = 0; j < 5; j++)
            if (all[j] != &few)
                rb_buffer_char(all[j], 'a');
    rb_buffer_string(&few, GET);
    for (int i = 0; i < RB_HTTP_HEADERS; i++)
        rb_buffer_string(&few, "a:\r\n");
    rb_buffer_string(&few, "\r\n");
    const struct malformed cases[] = {{414, rb_buffer_view(&line)},
                                      {431, rb_buffer_view(&fields)},
                                      {431, rb_buffer_view(&few)},
                                      {400, rb_buffer_view(&extension)},
                                      {400, rb_buffer_view(&trailers)}};
    refused(cases, 5);
    /* One field fewer, and a head of exactly the limit, are fine. */
    struct rb_http_parser *p = parser();
    rb_buffer_clear(&few);
    rb_buffer_string(&few, GET);
    for (int i = 1; i < RB_HTTP_HEADERS; i++)
        rb_buffer_string(&few, "a:\r\n");
    rb_buffer_string(&few, "\r\n");
    assert_int_equal(feed(p, rb_buffer_view(&few), few.len).progress, RB_HTTP_WHOLE);
    assert_int_equal(rb_http_parser_request(p)->header_count, RB_HTTP_HEADERS);
    rb_http_parser_free(p);
    for (int more = 0; more < 2; more++) {
        p = parser();
        rb_buffer_clear(&fields);
        rb_buffer_string(&fields, GET "A: ");
        while (fields.len < HEAD_BYTES - 4 + (size_t)more)
            rb_buffer_char(&fields, 'a');
        rb_buffer_string(&fields, "\r\n\r\n");
        struct outcome o = feed(p, rb_buffer_view(&fields), fields.len);
        assert_int_equal(o.progress, more ? RB_HTTP_BAD : RB_HTTP_WHOLE);
        rb_http_parser_free(p);
    }
    for (size_t i = 0; i < 5; i++)
        rb_buffer_fini(all[i]);
}

static void no_body_wanted(void **unused) {
    (void)unused;
    const struct rb_http_limits none = {HEAD_BYTES, 0};
    static const struct {
        const char *wire;
        enum rb_http_progress progress;
    } cases[] = {{POST "Content-Length: 1\r\n\r\n", RB_HTTP_BAD},
                 {CHUNKED, RB_HTTP_BAD},
                 {POST "Content-Length: 0\r\n\r\n", RB_HTTP_WHOLE},
                 {POST "\r\n", RB_HTTP_WHOLE}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rb_http_parser *p = rb_http_parser_new(&none);
        assert_non_null(p);
        struct rb_text wire = rb_text_of(cases[i].wire);
        struct outcome o = feed(p, wire, wire.len);
        assert_int_equal(o.progress, cases[i].progress);
        if (o.progress == RB_HTTP_BAD)
            assert_int_equal(o.status, 413);
        rb_http_parser_free(p);
    }
}

/* Everything of a request as text, to compare. */
static char *dump(const struct rb_http_request *r) {
    struct rb_buffer out;
    rb_buffer_init(&out, 100000);
    rb_buffer_printf(&out, "%d " RB_TEXT_FMT "?" RB_TEXT_FMT " 1.%d%s%s%s\n",
                     (int)r->method, RB_TEXT_ARG(r->path), RB_TEXT_ARG(r->query),
                     r->minor, r->keep_alive ? " keep" : "",
                     r->upgrade_websocket ? " ws" : "", r->expect_continue ? " 100" : "");
    for (size_t i = 0; i < r->header_count; i++)
        rb_buffer_printf(&out, RB_TEXT_FMT "=" RB_TEXT_FMT "\n",
                         RB_TEXT_ARG(r->headers[i].name),
                         RB_TEXT_ARG(r->headers[i].value));
    rb_buffer_printf(&out, "[" RB_TEXT_FMT "]", RB_TEXT_ARG(r->body));
    return rb_buffer_detach(&out, NULL);
}

static void good_requests(void **unused) {
    (void)unused;
    static const struct {
        const char *wire, *dump;
    } cases[] = {
        {GET "\r\n", "0 /? 1.1 keep\nHost=a\n[]"},
        {"\r\n\r\n" GET "\r\n", "0 /? 1.1 keep\nHost=a\n[]"},
        {"GET / HTTP/1.0\r\n\r\n", "0 /? 1.0\n[]"},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
         "0 /? 1.0\nConnection=keep-alive\n[]"},
        {"GET / HTTP/1.2\r\n" H "\r\n", "0 /? 1.1 keep\nHost=a\n[]"},
        {GET "Connection: x, Close\r\n\r\n", "0 /? 1.1\nHost=a\nConnection=x, Close\n[]"},
        {"HEAD /a/%20b;c=d?e=f&g[]=%5B?/ HTTP/1.1\r\n" H "\r\n",
         "1 /a/%20b;c=d?e=f&g[]=%5B?/ 1.1 keep\nHost=a\n[]"},
        {"PUT /? HTTP/1.1\r\n" H "\r\n", "3 /? 1.1 keep\nHost=a\n[]"},
        {"PATCH / HTTP/1.1\r\n" H "\r\n", "4 /? 1.1 keep\nHost=a\n[]"},
        {"DELETE / HTTP/1.1\r\n" H "\r\n", "5 /? 1.1 keep\nHost=a\n[]"},
        {"OPTIONS * HTTP/1.1\r\n" H "\r\n", "6 *? 1.1 keep\nHost=a\n[]"},
        {"TRACE / HTTP/1.1\r\n" H "\r\n", "7 /? 1.1 keep\nHost=a\n[]"},
        {"PROPFIND / HTTP/1.1\r\n" H "\r\n", "7 /? 1.1 keep\nHost=a\n[]"},
        {"GET http://b:80/x?y HTTP/1.1\r\n" H "\r\n", "0 /x?y 1.1 keep\nHost=b:80\n[]"},
        {"GET HTTP://b HTTP/1.1\r\n" H "\r\n", "0 /? 1.1 keep\nHost=b\n[]"},
        {"GET https://b?q HTTP/1.1\r\n" H "\r\n", "0 /?q 1.1 keep\nHost=b\n[]"},
        {"GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n",
         "0 /? 1.1 keep\nHost=[::1]:8080\n[]"},
        {"GET / HTTP/1.1\r\nhOST:\t 1.2.3.4: \t\r\n\r\n",
         "0 /? 1.1 keep\nhOST=1.2.3.4:\n[]"},
        {GET "A:\r\nB: \r\nC:x\r\nD: \xc3\xa9 \t y \r\n\r\n",
         "0 /? 1.1 keep\nHost=a\nA=\nB=\nC=x\nD=\xc3\xa9 \t y\n[]"},
        {GET "Upgrade: h2c, WebSocket\r\nConnection: keep-alive, Upgrade\r\n\r\n",
         "0 /? 1.1 keep ws\nHost=a\nUpgrade=h2c, WebSocket\nConnection=keep-alive, "
         "Upgrade\n[]"},
        {GET "Upgrade: websocket\r\n\r\n",
         "0 /? 1.1 keep\nHost=a\nUpgrade=websocket\n[]"},
        {"GET / HTTP/1.0\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
         "0 /? 1.0\nUpgrade=websocket\nConnection=upgrade\n[]"},
        {POST "Content-Length: 3\r\n\r\nabc",
         "2 /? 1.1 keep\nHost=a\nContent-Length=3\n[abc]"},
        {POST "Content-Length: 003\r\n\r\nabc",
         "2 /? 1.1 keep\nHost=a\nContent-Length=003\n[abc]"},
        {POST "Content-Length: 0\r\n\r\n", "2 /? 1.1 keep\nHost=a\nContent-Length=0\n[]"},
        {POST "Expect: 100-Continue\r\nContent-Length: 3\r\n\r\nabc",
         "2 /? 1.1 keep 100\nHost=a\nExpect=100-Continue\nContent-Length=3\n[abc]"},
        {POST "Expect: 100-continue\r\n\r\n",
         "2 /? 1.1 keep\nHost=a\nExpect=100-continue\n[]"},
        {POST "Transfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\nA ; x=\"y\r\n0123456789\r\n"
              "02;z\r\nde\r\n0\r\n\r\n",
         "2 /? 1.1 keep\nHost=a\nTransfer-Encoding=Chunked\n[abc0123456789de]"},
        {CHUNKED "0;x\r\nTrailer: a\r\nOther:\r\n\r\n",
         "2 /? 1.1 keep\nHost=a\nTransfer-Encoding=chunked\n[]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rb_text wire = rb_text_of(cases[i].wire);
        /* "y without its end quote is an extension all the same: we read none of them. */
        for (size_t piece = wire.len; piece > 0; piece--) {
            struct rb_http_parser *p = parser();
            struct outcome o = feed(p, wire, piece);
            if (o.progress != RB_HTTP_WHOLE)
                fail_msg("%s: %d (%s)", cases[i].wire, o.status,
                         o.problem ? o.problem : "not whole");
            char *text = dump(rb_http_parser_request(p));
            assert_string_equal(text, cases[i].dump);
            assert_int_equal(o.taken, wire.len);
            free(text);
            rb_http_parser_free(p);
        }
    }
}

static void half_requests_are_not_whole(void **unused) {
    (void)unused;
    struct rb_text wire = RB_TEXT(CHUNKED "3\r\nabc\r\n0\r\nA: b\r\n\r\n");
    for (size_t len = 1; len < wire.len; len++) {
        struct rb_http_parser *p = parser();
        assert_false(rb_http_parser_begun(p));
        assert_int_equal(feed(p, rb_text(wire.at, len), len).progress, RB_HTTP_MORE);
        assert_true(rb_http_parser_begun(p));
        rb_http_parser_free(p);
    }
    struct rb_http_parser *p = parser();
    assert_int_equal(feed(p, RB_TEXT("\r\n"), 2).progress, RB_HTTP_MORE);
    assert_false(rb_http_parser_begun(p));
    rb_http_parser_free(p);
}

static void pipelining(void **unused) {
    (void)unused;
    struct rb_text first = RB_TEXT(POST "Content-Length: 3\r\n\r\nabc");
    struct rb_text wire =
        RB_TEXT(POST "Content-Length: 3\r\n\r\nabc" CHUNKED "1\r\nx\r\n0\r\n\r\n" GET
                     "Upgrade: websocket\r\n"
                     "Connection: upgrade\r\n\r\n\x81\x80" GET
                     "Connection: close\r\n\r\nGET /2 HTTP/1.1\r\n" H "\r\nPOST");
    static const char *const paths[] = {"/", "/", "/", "/", "/2"};
    for (size_t piece = wire.len; piece > 0; piece = piece > 30 ? 30 : piece - 1) {
        struct rb_http_parser *p = parser();
        struct rb_text rest = wire;
        for (size_t i = 0; i < 5; i++) {
            struct outcome o = feed(p, rest, piece);
            assert_int_equal(o.progress, RB_HTTP_WHOLE);
            const struct rb_http_request *r = rb_http_parser_request(p);
            assert_true(rb_text_is(r->path, paths[i]));
            if (i == 0)
                assert_int_equal(o.taken, first.len);
            assert_true(rb_text_is(r->body, i == 0 ? "abc" : i == 1 ? "x" : ""));
            assert_int_equal(r->upgrade_websocket, i == 2);
            rest = rb_text(rest.at + o.taken, rest.len - o.taken);
            if (i == 2) { /* bytes behind an upgrade are not ours to read */
                assert_memory_equal(rest.at, "\x81\x80", 2);
                rest = rb_text(rest.at + 2, rest.len - 2);
            }
            rb_http_parser_reset(p);
            assert_false(rb_http_parser_begun(p));
        }
        assert_int_equal(feed(p, rest, piece).progress, RB_HTTP_MORE);
        rb_http_parser_free(p);
    }
}

static void expect_continue(void **unused) {
    (void)unused;
    struct rb_text head =
        RB_TEXT(POST "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    struct rb_http_parser *p = parser();
    assert_int_equal(feed(p, head, head.len).progress, RB_HTTP_CONTINUE);
    assert_int_equal(rb_http_parser_request(p)->method, RB_HTTP_POST);
    assert_int_equal(feed(p, RB_TEXT("ab"), 2).progress, RB_HTTP_MORE);
    assert_int_equal(feed(p, RB_TEXT("c"), 1).progress, RB_HTTP_WHOLE);
    rb_http_parser_reset(p);
    /* A client that sends its body at once is not waiting. */
    struct rb_text both =
        RB_TEXT(POST "Content-Length: 3\r\nExpect: 100-continue\r\n\r\na");
    assert_int_equal(feed(p, both, both.len).progress, RB_HTTP_MORE);
    rb_http_parser_reset(p);
    struct outcome o = feed(p, head, 1);
    assert_int_equal(o.continues, 1);
    rb_http_parser_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_request_lines),
        cmocka_unit_test(bad_targets),
        cmocka_unit_test(bad_lines),
        cmocka_unit_test(bad_hosts),
        cmocka_unit_test(bad_framing),
        cmocka_unit_test(bad_chunks),
        cmocka_unit_test(too_large),
        cmocka_unit_test(no_body_wanted),
        cmocka_unit_test(good_requests),
        cmocka_unit_test(half_requests_are_not_whole),
        cmocka_unit_test(pipelining),
        cmocka_unit_test(expect_continue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
