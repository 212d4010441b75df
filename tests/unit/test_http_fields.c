/* What fields, queries and cookies say, once a request is read. */
#include "notifier/http_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void lists(void **unused) {
    (void)unused;
    assert_true(rb_http_list_has(RB_TEXT("keep-alive, Upgrade"), "upgrade"));
    assert_true(rb_http_list_has(RB_TEXT(" ,,upgrade;q=1 ,"), "upgrade"));
    assert_false(rb_http_list_has(RB_TEXT("upgraded"), "upgrade"));
    assert_false(rb_http_list_has(RB_TEXT("up, grade"), "upgrade"));
    assert_false(rb_http_list_has(RB_TEXT(""), "upgrade"));
    assert_false(rb_http_list_has(RB_TEXT("x=\"a, upgrade, b\""), "upgrade"));
    assert_true(rb_http_accepts(RB_TEXT("text/event-stream"), "text/event-stream"));
    assert_true(rb_http_accepts(RB_TEXT("a/b;q=0, Text/Event-Stream ; charset=x;q=0.5"),
                                "text/event-stream"));
    static const char *const refused[] = {"",
                                          "*/*",
                                          "text/*",
                                          "text/event-stream;q=0",
                                          "text/event-stream; Q=0.000",
                                          "text/event-streams",
                                          "x=\"text/event-stream\""};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        assert_false(rb_http_accepts(rb_text_of(refused[i]), "text/event-stream"));
    assert_true(rb_http_accepts(RB_TEXT("a/b;q=0.001"), "a/b"));
}

static void queries_and_cookies(void **unused) {
    (void)unused;
    char out[8];
    struct rb_text raw,
        query = RB_TEXT("a=1&&b&c=%41%2c=x&a=2&d=%zz&e=12345678&f=%00&=z");
    assert_true(rb_http_query(query, "a", out, sizeof out));
    assert_string_equal(out, "1");
    assert_true(rb_http_query(query, "b", out, sizeof out));
    assert_string_equal(out, "");
    assert_true(rb_http_query(query, "c", out, sizeof out));
    assert_string_equal(out, "A,=x");
    assert_false(rb_http_query(query, "d", out, sizeof out));
    assert_false(rb_http_query(query, "e", out, sizeof out));
    assert_true(rb_http_query_raw(query, "e", &raw));
    assert_true(rb_text_is(raw, "12345678"));
    assert_false(rb_http_query(query, "f", out, sizeof out));
    assert_false(rb_http_query(query, "g", out, sizeof out));
    assert_false(rb_http_query_raw(query, "g", &raw));
    assert_false(rb_http_query(RB_TEXT(""), "a", out, sizeof out));

    struct rb_http_request r = {.header_count = 3};
    r.headers[0] = (struct rb_http_header){RB_TEXT("Cookie"), RB_TEXT("a=1; sid=x=y;b")};
    r.headers[1] = (struct rb_http_header){RB_TEXT("X"), RB_TEXT("sid2=no")};
    r.headers[2] =
        (struct rb_http_header){RB_TEXT("cookie"), RB_TEXT("sid=2;sid2=3; c=")};
    assert_true(rb_text_is(rb_http_cookie(&r, "sid"), "x=y"));
    assert_true(rb_text_is(rb_http_cookie(&r, "sid2"), "3"));
    assert_non_null(rb_http_cookie(&r, "c").at);
    assert_null(rb_http_cookie(&r, "d").at);
    assert_null(rb_http_header(&r, "nope").at);
    assert_true(rb_text_is(rb_http_header(&r, "COOKIE"), "a=1; sid=x=y;b"));
}

static void decoding(void **unused) {
    (void)unused;
    char out[4];
    size_t len;
    assert_int_equal(rb_http_decode(RB_TEXT("a%4Ab"), out, sizeof out, &len), RB_OK);
    assert_int_equal(len, 3);
    assert_string_equal(out, "aJb");
    assert_int_equal(rb_http_decode(RB_TEXT(""), out, sizeof out, &len), RB_OK);
    assert_int_equal(rb_http_decode(RB_TEXT("abcd"), out, sizeof out, &len),
                     RB_TOO_LARGE);
    static const char *const bad[] = {"%", "%4", "%4g", "%g4", "%00", "a%"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(rb_http_decode(rb_text_of(bad[i]), out, sizeof out, &len),
                         RB_INVALID);
    assert_int_equal(rb_http_decode(rb_text("a\0b", 3), out, sizeof out, &len),
                     RB_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists),
        cmocka_unit_test(queries_and_cookies),
        cmocka_unit_test(decoding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
