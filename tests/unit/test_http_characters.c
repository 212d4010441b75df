/* What may stand where in a request, character by character. */
#include "notifier/http_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define H "Host: a\r\n"

static bool is_taken(const char *before, char c, const char *behind) {
    static const struct rb_http_limits limits = {1024, 64};
    char wire[128];
    int len = snprintf(wire, sizeof wire, "%s%c%s", before, c, behind);
    struct rb_http_parser *p = rb_http_parser_new(&limits);
    assert_non_null(p);
    size_t taken = 0;
    int status = 0;
    const char *problem = NULL;
    enum rb_http_progress progress =
        rb_http_feed(p, wire, (size_t)len, &taken, &status, &problem);
    rb_http_parser_free(p);
    return progress == RB_HTTP_WHOLE;
}

static void all_characters(void **unused) {
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    static const char path[] = "-._~!$&'()*+,;=:@/", token[] = "!#$%&'*+-.^_`|~";
    (void)unused;
    for (int i = 1; i < 256; i++) {
        char c = (char)i;
        bool plain = strchr(letters, c) != NULL;
        bool of_path = plain || strchr(path, c) != NULL;
        /* A mark begins the query. */
        assert_int_equal(is_taken("GET /a", c, "b HTTP/1.1\r\n" H "\r\n"),
                         of_path || c == '?');
        assert_int_equal(is_taken("GET /?a", c, "b HTTP/1.1\r\n" H "\r\n"),
                         of_path || strchr("?[]", c) != NULL);
        assert_int_equal(is_taken("GET / HTTP/1.1\r\nHost: a", c, "b\r\n\r\n"),
                         plain || strchr("-._~", c) != NULL);
        assert_int_equal(is_taken("GET / HTTP/1.1\r\n" H "a", c, "b: x\r\n\r\n"),
                         plain || c == ':' || strchr(token, c) != NULL);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_characters)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
