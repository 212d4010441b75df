/* Results: JSON byte for byte, other bodies wrapped, parts picked out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "definitions.h"

#define BASE "service: test\nrequest: {url: \"http://x\"}\n"

static void assert_result(const char *select, const char *type, struct rb_text body,
                          const char *expected) {
    char text[256];
    struct rb_error error;
    struct rb_buffer out;
    snprintf(text, sizeof text, BASE "%s%s%s", select ? "result: {select: " : "",
             select ? select : "", select ? "}\n" : "");
    struct rb_definition *d = definition_of(text);
    rb_buffer_init(&out, 4096);
    if (rb_definition_result(d, rb_text_of(type), body, &out, &error) != RB_OK)
        fail_msg("%s", error.text);
    assert_string_equal(out.at, expected);
    rb_buffer_fini(&out);
    rb_definition_free(d);
}

static void assert_no_result(const char *select, const char *type, struct rb_text body,
                             const char *sentence) {
    char text[256];
    struct rb_error error;
    struct rb_buffer out;
    snprintf(text, sizeof text, BASE "%s%s%s", select ? "result: {select: " : "",
             select ? select : "", select ? "}\n" : "");
    struct rb_definition *d = definition_of(text);
    rb_buffer_init(&out, 4096);
    assert_int_equal(rb_definition_result(d, rb_text_of(type), body, &out, &error),
                     RB_INVALID);
    assert_string_equal(error.text, sentence);
    rb_buffer_fini(&out);
    rb_definition_free(d);
}

static void json_passes(void **state) {
    (void)state;
    static const char body[] =
        "{ \"p\": 0.10, \"n\": 123456789012345678901234567890,\r\n\"p\": 1e400, "
        "\"s\":\"\\ud800\" }\n";
    static const char *const types[] = {"application/json",
                                        "Application/JSON; charset=utf-8",
                                        "application/problem+json",
                                        "application/vnd.api+JSON ;v=1",
                                        "text/json",
                                        "",
                                        NULL};
    for (size_t i = 0; i < 7; i++)
        assert_result(NULL, types[i], rb_text_of(body), body);
    assert_result(NULL, "application/json", RB_TEXT("5"), "5");
    assert_result(NULL, "application/json", RB_TEXT("\xef\xbb\xbf{}"), "{}");
}

static void empty_is_null(void **state) {
    (void)state;
    assert_result(NULL, "application/json", RB_TEXT(""), "null");
    assert_result(NULL, "text/html", RB_TEXT(""), "null");
    assert_result(NULL, NULL, rb_text(NULL, 0), "null");
    assert_result(NULL, "application/json", RB_TEXT("\xef\xbb\xbf"), "null");
}

static void not_json(void **state) {
    (void)state;
    assert_no_result(NULL, "application/json", RB_TEXT("<html>"),
                     "the service's answer is not JSON at byte 1: expected a value");
    assert_no_result(
        NULL, "application/json", RB_TEXT("{\"a\":1"),
        "the service's answer is not JSON at byte 7: expected \",\" or \"}\"");
    assert_no_result(NULL, "a/b+json", RB_TEXT(" "),
                     "the service's answer is not JSON at byte 2: expected a value");
}

static void text_is_wrapped(void **state) {
    (void)state;
    assert_result(NULL, "text/html; charset=utf-8", RB_TEXT("<b>\"\xc3\xa4\"\n</b>"),
                  "{\"content_type\":\"text/html; charset=utf-8\",\"text\":"
                  "\"<b>\\\"\xc3\xa4\\\"\\n</b>\"}");
    static const char *const types[] = {"application/xml",       "application/soap+xml",
                                        "image/svg+xml",         "application/yaml",
                                        "application/x-ndjson",  "text/javascript",
                                        "application/javascript"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        char expected[128];
        snprintf(expected, sizeof expected, "{\"content_type\":\"%s\",\"text\":\"1\"}",
                 types[i]);
        assert_result(NULL, types[i], RB_TEXT("1"), expected);
    }
    assert_result(NULL, "", RB_TEXT("hello"),
                  "{\"content_type\":\"\",\"text\":\"hello\"}");
}

static void bytes_are_wrapped(void **state) {
    (void)state;
    assert_result(NULL, "image/png", rb_text("\x89PNG\0", 5),
                  "{\"content_type\":\"image/png\",\"base64\":\"iVBORwA=\"}");
    assert_result(NULL, "application/octet-stream", RB_TEXT("{}"),
                  "{\"content_type\":\"application/octet-stream\",\"base64\":\"e30=\"}");
    assert_result(
        NULL, "application/octet-stream",
        RB_TEXT("\xef\xbb\xbf"
                "a"),
        "{\"content_type\":\"application/octet-stream\",\"base64\":\"77u/YQ==\"}");
    assert_result(
        NULL, "text/plain; charset=latin1", RB_TEXT("\xe4"),
        "{\"content_type\":\"text/plain; charset=latin1\",\"base64\":\"5A==\"}");
    assert_result(NULL, NULL, RB_TEXT("\xff"),
                  "{\"content_type\":\"\",\"base64\":\"/w==\"}");
    /* Whatever the service says about its type is still a JSON string. */
    assert_result(NULL, "a\"\xff/b", RB_TEXT("x"),
                  "{\"content_type\":\"a\\\"\xef\xbf\xbd/b\",\"base64\":\"eA==\"}");
}

static void picks(void **state) {
    (void)state;
    static const char body[] =
        "{\"data\":{\"quote\":{\"p\":0.10, \"n\":18446744073709551616},\"l\":[1,2.50]}}";
    assert_result("/data/quote", "application/json", rb_text_of(body),
                  "{\"p\":0.10, \"n\":18446744073709551616}");
    assert_result("/data/l/1", "application/json", rb_text_of(body), "2.50");
    assert_result("\"\"", "application/json", RB_TEXT(" [1] "), "[1]");
    /* Many services call their JSON something else. */
    assert_result("/a", "text/html", RB_TEXT("{\"a\":1}"), "1");
    assert_result("/a", "", RB_TEXT("\xef\xbb\xbf{\"a\":1}"), "1");
    assert_result("{n: /data/quote/n, \"\\\"\": /data/l, all: \"\"}", "application/json",
                  RB_TEXT("{\"data\":{\"quote\":{\"n\":1e400},\"l\":[ ]}}"),
                  "{\"n\":1e400,\"\\\"\":[ ],\"all\":{\"data\":{\"quote\":{\"n\":1e400},"
                  "\"l\":[ ]}}}");
}

static void picks_nothing(void **state) {
    (void)state;
    assert_no_result("/a/b", "application/json", RB_TEXT("{\"a\":{}}"),
                     "the service's answer has nothing at /a/b");
    assert_no_result("{x: /a, y: /b}", "application/json", RB_TEXT("{\"a\":1}"),
                     "the service's answer has nothing at /b");
    assert_no_result("/a", "application/json", RB_TEXT(""),
                     "the service's answer is not JSON at byte 1: expected a value");
    assert_no_result(
        "/a", "text/plain", RB_TEXT("{\"a\":1} x"),
        "the service's answer is not JSON at byte 9: expected nothing behind "
        "the value");
}

static void ceiling(void **state) {
    (void)state;
    struct rb_definition *d = definition_of(BASE);
    static const char *const types[] = {"application/json", "text/plain", "image/png"};
    for (size_t i = 0; i < 3; i++) {
        struct rb_buffer out;
        rb_buffer_init(&out, 5);
        assert_int_equal(
            rb_definition_result(d, rb_text_of(types[i]), RB_TEXT("[1,2,3]"), &out, NULL),
            RB_TOO_LARGE);
        rb_buffer_fini(&out);
    }
    rb_definition_free(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_passes),       cmocka_unit_test(empty_is_null),
        cmocka_unit_test(not_json),          cmocka_unit_test(text_is_wrapped),
        cmocka_unit_test(bytes_are_wrapped), cmocka_unit_test(picks),
        cmocka_unit_test(picks_nothing),     cmocka_unit_test(ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
