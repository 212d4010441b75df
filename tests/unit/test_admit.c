/* Origins: who is on the list, and what is told to the browser. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "config/buffer.h"
#include "notifier/admit.h"

static char *everybody[] = {"https://a.example", "*"};
static char *some[] = {"https://a.example", "http://localhost:3000"};
static const struct rb_list open_list = {everybody, 2}, list = {some, 2},
                            none = {NULL, 0};

static void origins(void **state) {
    (void)state;
    assert_true(rb_admit_origin(&open_list, RB_TEXT("https://evil.example")));
    assert_true(rb_admit_origin(&list, RB_TEXT("https://a.example")));
    assert_true(rb_admit_origin(&list, RB_TEXT("HTTPS://A.example")));
    assert_true(rb_admit_origin(&list, RB_TEXT("http://localhost:3000")));
    assert_false(rb_admit_origin(&list, RB_TEXT("http://localhost")));
    assert_false(rb_admit_origin(&list, RB_TEXT("https://a.example.evil.example")));
    assert_false(rb_admit_origin(&list, RB_TEXT("null")));
    assert_false(rb_admit_origin(&list, RB_TEXT("")));
    assert_false(rb_admit_origin(&none, RB_TEXT("https://a.example")));
    assert_true(rb_admit_origin(&none, (struct rb_text){NULL, 0})); /* no browser */
}

static struct rb_http_request asked_by(const char *origin) {
    struct rb_http_request request = {.header_count = origin ? 1 : 0};
    request.headers[0].name = RB_TEXT("Origin");
    request.headers[0].value = rb_text_of(origin);
    return request;
}

static void assert_cors(const struct rb_list *origins, const char *origin,
                        const char *expected) {
    struct rb_http_request request = asked_by(origin);
    struct rb_buffer fields;
    rb_buffer_init(&fields, 1000);
    rb_admit_cors(origins, &request, &fields);
    assert_string_equal(fields.at, expected);
    rb_buffer_fini(&fields);
}

static void cors(void **state) {
#define EXPOSE "Access-Control-Expose-Headers: ETag, Retry-After\r\n"
    (void)state;
    assert_cors(&open_list, NULL, "Access-Control-Allow-Origin: *\r\n" EXPOSE);
    assert_cors(&open_list, "https://a.example",
                "Access-Control-Allow-Origin: *\r\n" EXPOSE);
    assert_cors(&list, "http://localhost:3000",
                "Vary: Origin\r\n"
                "Access-Control-Allow-Origin: http://localhost:3000\r\n"
                "Access-Control-Allow-Credentials: true\r\n" EXPOSE);
    assert_cors(&list, "https://evil.example", "Vary: Origin\r\n");
    assert_cors(&list, NULL, "Vary: Origin\r\n");
}

static void preflight(void **state) {
    struct rb_http_request request = asked_by("https://evil.example");
    struct rb_buffer fields;
    (void)state;
    rb_buffer_init(&fields, 1000);
    rb_admit_preflight(&list, &request, &fields);
    assert_string_equal(fields.at, "Vary: Origin\r\n");
    rb_buffer_clear(&fields);
    request = asked_by("https://a.example");
    rb_admit_preflight(&list, &request, &fields);
    assert_non_null(
        strstr(fields.at, "Access-Control-Allow-Methods: GET, HEAD, OPTIONS"));
    assert_non_null(strstr(fields.at, "Last-Event-ID"));
    rb_buffer_fini(&fields);
}

/* Host, Origin and Sec-Fetch-Site; NULL: not there. */
static bool cookies_count(const struct rb_list *origins, const char *host,
                          const char *origin, const char *site) {
    const char *const fields[][2] = {
        {"host", host}, {"origin", origin}, {"sec-fetch-site", site}};
    struct rb_http_request request = {.header_count = 0};
    for (size_t i = 0; i < 3; i++)
        if (fields[i][1])
            request.headers[request.header_count++] = (struct rb_http_header){
                rb_text_of(fields[i][0]), rb_text_of(fields[i][1])};
    return rb_admit_cookies(origins, &request);
}

static void cookies(void **state) {
    (void)state;
    const char *host = "shop.example";
    assert_true(cookies_count(&open_list, host, NULL, NULL));
    assert_true(cookies_count(&open_list, host, NULL, "same-origin"));
    assert_true(cookies_count(&open_list, host, NULL, "same-site"));
    assert_true(cookies_count(&open_list, host, NULL, "none"));
    assert_false(cookies_count(&open_list, host, NULL, "cross-site"));
    assert_true(cookies_count(&open_list, host, "https://shop.example", NULL));
    assert_true(cookies_count(&open_list, host, "https://Shop.Example", NULL));
    assert_true(cookies_count(&open_list, host, "https://shop.example:8443", NULL));
    assert_true(
        cookies_count(&open_list, "shop.example:80", "http://shop.example:80", NULL));
    assert_false(
        cookies_count(&open_list, "shop.example:80", "http://shop.example:81", NULL));
    assert_false(cookies_count(&open_list, host, "https://evil.example", NULL));
    assert_false(cookies_count(&open_list, host, "https://b.example", NULL));
    assert_false(cookies_count(&open_list, host, "https://shop.example.evil", NULL));
    assert_false(cookies_count(&open_list, host, "https://evilshop.example", NULL));
    assert_false(cookies_count(&open_list, host, "null", NULL));
    assert_false(cookies_count(&open_list, host, "", NULL));
    assert_false(cookies_count(&open_list, NULL, "https://", NULL));
    assert_true(cookies_count(&open_list, "[::1]", "http://[::1]:8080", NULL));
    assert_false(cookies_count(&open_list, "[::1]", "http://[::2]", NULL));
    assert_true(cookies_count(&list, host, "https://a.example", NULL));
    assert_false(cookies_count(&list, host, "https://evil.example", NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(origins), cmocka_unit_test(cors),
                                       cmocka_unit_test(preflight),
                                       cmocka_unit_test(cookies)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
