/* Pages in a browser before the admin listener. */
#include "notifier/admin_browser.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { YES, NO };

/* fields: "Name: value" lines. */
static struct rb_http_request request_of(enum rb_http_method method, const char *path,
                                         const char *fields) {
    struct rb_http_request request = {.method = method, .path = rb_text_of(path)};
    struct rb_text rest = rb_text_of(fields), line, name;
    while (rb_text_next(&rest, '\n', &line)) {
        struct rb_text value = line;
        assert_true(rb_text_next(&value, ':', &name));
        request.headers[request.header_count++] =
            (struct rb_http_header){name, rb_text_trim(value)};
    }
    return request;
}

static void check_over(bool tls, int refused, enum rb_http_method method,
                       const char *path, const char *fields) {
    static char name[] = "admin.example.com", other[] = "ops.example.com";
    char *items[] = {name, other};
    const struct rb_list hosts = {items, 2};
    const struct rb_http_request request = request_of(method, path, fields);
    const char *why = rb_admin_browser(&request, &hosts, tls);
    if ((why != NULL) != refused)
        fail_msg("%s\n%s: %s", path, fields, why ? why : "let in");
}

static void check(int refused, enum rb_http_method method, const char *fields) {
    check_over(false, refused, method, "/status", fields);
}

#define HERE "Host: 127.0.0.1:8081\n"
#define OURS HERE "Origin: http://127.0.0.1:8081\n"

static void programs_pass(void **unused) {
    (void)unused;
    check(YES, RB_HTTP_POST, HERE);
    check(YES, RB_HTTP_DELETE, "Host: ringback.internal:8081");
    check(YES, RB_HTTP_GET, "Host: evil.example\nUser-Agent: curl/8");
    check(YES, RB_HTTP_POST, HERE "Accept-Language: *\nSec-Fetch-Mode: cors"); /* Node */
    check(YES, RB_HTTP_POST, "Host: ringback:8081\nAccept-Language: *");
}

static void names_of_strangers_are_refused(void **unused) {
    (void)unused;
    static const char *const good[] = {
        "127.0.0.1", "127.0.0.1:8081", "[::1]:8081",        "[::1]",
        "localhost", "localhost:8081", "admin.example.com", "OPS.example.com:8443",
        "10.1.2.3"};
    static const char *const bad[] = {"evil.example:8081",
                                      "admin.example.com.evil.example",
                                      "127.0.0.1.evil.example",
                                      "[::1",
                                      "[evil.example]:8081",
                                      "localhost.",
                                      "localhost.example",
                                      "1.2.3.4.5",
                                      ":8081",
                                      "127.0.0.1.",
                                      "[127.0.0.1]",
                                      "xadmin.example.com",
                                      "admin.example.com."};
    static const char *const marks[] = {"Accept-Language: en",
                                        "Accept-Language:", "Sec-Fetch-Site: same-origin",
                                        "Sec-Fetch-Site: none"};
    char fields[256];
    for (size_t m = 0; m < sizeof marks / sizeof marks[0]; m++) {
        for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
            snprintf(fields, sizeof fields, "Host: %s\n%s", good[i], marks[m]);
            check(YES, RB_HTTP_GET, fields);
        }
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
            snprintf(fields, sizeof fields, "Host: %s\n%s", bad[i], marks[m]);
            check(NO, RB_HTTP_GET, fields);
            snprintf(fields, sizeof fields, "Host: %s\nOrigin: http://%s", bad[i],
                     bad[i]);
            check(NO, RB_HTTP_GET, fields);
        }
    }
}

static void other_origins_are_refused(void **unused) {
    (void)unused;
    static const char *const bad[] = {"null",
                                      "",
                                      "http://evil.example",
                                      "http://127.0.0.1",
                                      "http://127.0.0.1:80811",
                                      "http://127.0.0.1:8081/",
                                      "http://localhost:8081",
                                      "ftp://127.0.0.1:8081",
                                      "127.0.0.1:8081",
                                      "http://",
                                      "https://127.0.0.1:8082"};
    char fields[256];
    check(YES, RB_HTTP_GET, OURS);
    check(YES, RB_HTTP_POST, OURS);
    check(YES, RB_HTTP_DELETE, OURS "Sec-Fetch-Site: same-origin");
    check(YES, RB_HTTP_POST,
          "Host: admin.example.com\nOrigin: https://admin.example.com");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(fields, sizeof fields, HERE "Origin: %s", bad[i]);
        check(NO, RB_HTTP_GET, fields);
        check(NO, RB_HTTP_POST, fields);
    }
    check_over(true, NO, RB_HTTP_POST, "/dead/x", OURS);
    check_over(true, YES, RB_HTTP_POST, "/dead/x", HERE "Origin: https://127.0.0.1:8081");
}

static void other_sites_are_refused(void **unused) {
    (void)unused;
    check(YES, RB_HTTP_GET, HERE "Sec-Fetch-Site: same-origin");
    check(YES, RB_HTTP_GET, HERE "Sec-Fetch-Site: none");
    check(NO, RB_HTTP_GET, HERE "Sec-Fetch-Site: same-site");
    check(NO, RB_HTTP_GET, HERE "Sec-Fetch-Site: cross-site");
    check(NO, RB_HTTP_GET, HERE "Sec-Fetch-Site:");
    check(NO, RB_HTTP_POST, OURS "Sec-Fetch-Site: cross-site");
}

static void a_change_brings_its_origin(void **unused) {
    (void)unused;
    check(NO, RB_HTTP_POST, HERE "Sec-Fetch-Site: same-origin");
    check(NO, RB_HTTP_DELETE, HERE "Sec-Fetch-Site: none");
    check(NO, RB_HTTP_PUT, HERE "Sec-Fetch-Site: none");
}

#define LINK HERE "Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: navigate\n"

static void a_link_to_the_page_is_followed(void **unused) {
    (void)unused;
    check_over(false, YES, RB_HTTP_GET, "/", LINK "Sec-Fetch-Dest: document");
    check_over(false, NO, RB_HTTP_GET, "/", LINK "Sec-Fetch-Dest: iframe");
    check_over(false, NO, RB_HTTP_GET, "/status", LINK "Sec-Fetch-Dest: document");
    check_over(false, NO, RB_HTTP_POST, "/", LINK "Sec-Fetch-Dest: document");
    check_over(false, NO, RB_HTTP_GET, "/",
               HERE "Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: cors");
    check_over(false, NO, RB_HTTP_GET, "/",
               "Host: evil.example\nSec-Fetch-Site: cross-site\n"
               "Sec-Fetch-Mode: navigate\nSec-Fetch-Dest: document");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(programs_pass),
        cmocka_unit_test(names_of_strangers_are_refused),
        cmocka_unit_test(other_origins_are_refused),
        cmocka_unit_test(other_sites_are_refused),
        cmocka_unit_test(a_change_brings_its_origin),
        cmocka_unit_test(a_link_to_the_page_is_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
