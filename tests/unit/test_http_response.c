/* Heads, answers, problem documents and chunks, byte for byte. */
#include "notifier/http_response.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct rb_buffer out;

static void expect(const char *bytes) {
    assert_int_equal(out.status, RB_OK);
    assert_string_equal(out.at, bytes);
    rb_buffer_clear(&out);
}

static int setup(void **unused) {
    (void)unused;
    rb_buffer_init(&out, 100000);
    return 0;
}

#define NO_DATE RB_TEXT("")

static int teardown(void **unused) {
    (void)unused;
    rb_buffer_fini(&out);
    return 0;
}

static void heads(void **unused) {
    (void)unused;
    rb_http_head(&out, 200, "text/plain", 5, true, NO_DATE, RB_TEXT(""));
    expect("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n");
    rb_http_head(&out, 200, NULL, 0, false, NO_DATE, RB_TEXT("A: b\r\nC: d\r\n"));
    expect("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\nA: b\r\n"
           "C: d\r\n\r\n");
    rb_http_head(&out, 200, "text/event-stream", -1, false, NO_DATE,
                 RB_TEXT("Transfer-Encoding: chunked\r\n"));
    expect("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
           "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n");
    rb_http_head(&out, 204, "text/plain", 0, true, NO_DATE, RB_TEXT(""));
    expect("HTTP/1.1 204 No Content\r\n\r\n");
    rb_http_head(&out, 304, NULL, 0, false, NO_DATE, RB_TEXT(""));
    expect("HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n");
    rb_http_head(&out, 101, NULL, 0, true, NO_DATE, RB_TEXT("Upgrade: websocket\r\n"));
    expect("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n");
    rb_http_head(&out, 100, NULL, -1, true, NO_DATE, RB_TEXT(""));
    expect("HTTP/1.1 100 Continue\r\n\r\n");
}

static void answers(void **unused) {
    (void)unused;
    rb_http_answer(&out, 200, "a/b", RB_TEXT("body"), true, false, NO_DATE, RB_TEXT(""));
    expect("HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 4\r\n\r\nbody");
    rb_http_answer(&out, 200, "a/b", RB_TEXT("body"), true, true, NO_DATE, RB_TEXT(""));
    expect("HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 4\r\n\r\n");
    rb_http_answer(&out, 200, "a/b", RB_TEXT(""), false, true, NO_DATE, RB_TEXT(""));
    expect("HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nConnection: close\r\n\r\n");
    rb_http_answer(&out, 200, "a/b", RB_TEXT(""), true, false, NO_DATE, RB_TEXT(""));
    expect("HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 0\r\n\r\n");
    rb_http_answer(&out, 204, NULL, RB_TEXT("body"), true, false, NO_DATE, RB_TEXT(""));
    expect("HTTP/1.1 204 No Content\r\n\r\n");
}

static void dates(void **unused) {
    char line[RB_HTTP_DATE_LEN + 1];
    (void)unused;
    /* The example of RFC 9110 §5.6.7. */
    struct rb_text date = rb_http_date(784111777, line);
    assert_true(rb_text_is(date, "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
    assert_int_equal(date.len, RB_HTTP_DATE_LEN);
    rb_http_answer(&out, 204, NULL, RB_TEXT(""), true, false, date, RB_TEXT("A: b\r\n"));
    expect("HTTP/1.1 204 No Content\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
           "A: b\r\n\r\n");
}

static void problems(void **unused) {
    (void)unused;
    rb_http_problem(&out, 404, "No \"such\" thing.", false, false, NO_DATE,
                    RB_TEXT("X: y\r\n"));
    char *body = strstr(out.at, "\r\n\r\n");
    assert_non_null(body);
    assert_non_null(strstr(out.at, "Content-Type: application/problem+json\r\n"));
    assert_non_null(strstr(out.at, "Connection: close\r\nX: y\r\n"));
    json_t *json = json_loads(body, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "type")), "about:blank");
    assert_string_equal(json_string_value(json_object_get(json, "title")), "Not Found");
    assert_int_equal(json_integer_value(json_object_get(json, "status")), 404);
    assert_string_equal(json_string_value(json_object_get(json, "detail")),
                        "No \"such\" thing.");
    json_decref(json);
    rb_buffer_clear(&out);
    rb_http_problem(&out, 413, NULL, true, true, NO_DATE, RB_TEXT(""));
    expect("HTTP/1.1 413 Content Too Large\r\nContent-Type: application/problem+json\r\n"
           "Content-Length: 63\r\n\r\n");
}

static void chunks(void **unused) {
    (void)unused;
    rb_http_chunk(&out, RB_TEXT("0123456789abcdef"));
    rb_http_chunk(&out, RB_TEXT("\r\n"));
    rb_http_chunk(&out, RB_TEXT(""));
    expect("10\r\n0123456789abcdef\r\n2\r\n\r\n\r\n0\r\n\r\n");
}

static void reasons(void **unused) {
    (void)unused;
    assert_string_equal(rb_http_reason(431), "Request Header Fields Too Large");
    assert_string_equal(rb_http_reason(299), "Unknown");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads),    cmocka_unit_test(answers), cmocka_unit_test(dates),
        cmocka_unit_test(problems), cmocka_unit_test(chunks),  cmocka_unit_test(reasons),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
