/* Whose request it is behind proxies. */
#include "notifier/forwarded.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct rb_access access_of(const char *rules) {
    struct rb_access access = {0};
    struct rb_text rest = rb_text_of(rules), rule;
    if (rest.len > 0)
        access.proxies = rb_network_new();
    while (rb_text_next(&rest, ' ', &rule))
        assert_int_equal(rb_network_add(access.proxies, rule, NULL), RB_OK);
    return access;
}

static void client_is(const char *proxies, const char *peer, const char *first,
                      const char *second, const char *expected) {
    struct rb_access access = access_of(proxies);
    struct sockaddr_storage at = {0};
    struct rb_http_request request = {.header_count = 0};
    char text[INET6_ADDRSTRLEN] = "unix";
    request.headers[0] = (struct rb_http_header){RB_TEXT("Host"), RB_TEXT("10.0.0.99")};
    request.headers[1] =
        (struct rb_http_header){RB_TEXT("X-Forwarded-For"), rb_text_of(first)};
    request.headers[2] =
        (struct rb_http_header){RB_TEXT("x-forwarded-for"), rb_text_of(second)};
    request.header_count = second ? 3 : first ? 2 : 1;
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&at;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&at;
    at.ss_family = AF_UNIX;
    if (inet_pton(AF_INET, peer, &v4->sin_addr) == 1)
        at.ss_family = AF_INET;
    else if (inet_pton(AF_INET6, peer, &v6->sin6_addr) == 1)
        at.ss_family = AF_INET6;
    rb_forwarded_client(&access, &request, &at);
    if (at.ss_family == AF_INET)
        inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
    else if (at.ss_family == AF_INET6)
        inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
    if (strcmp(text, expected) != 0)
        fail_msg("%s, %s: got %s, expected %s", peer, first, text, expected);
    rb_network_free(access.proxies);
}

static void only_from_trusted(void **unused) {
    (void)unused;
    client_is("", "10.0.0.1", "192.0.2.7", NULL, "10.0.0.1");
    client_is("10.0.0.1", "10.0.0.2", "192.0.2.7", NULL, "10.0.0.2");
    client_is("10.0.0.1", "10.0.0.1", "192.0.2.7", NULL, "192.0.2.7");
    client_is("10.0.0.1", "10.0.0.1", NULL, NULL, "10.0.0.1");
    client_is("", "unix", "192.0.2.7", NULL, "unix");
    client_is("loopback", "unix", "192.0.2.7", NULL, "192.0.2.7");
}

static void from_the_right(void **unused) {
    (void)unused;
    client_is("10.0.0.0/8", "10.0.0.1", "6.6.6.6, 192.0.2.7", NULL, "192.0.2.7");
    client_is("10.0.0.0/8", "10.0.0.1", "192.0.2.7, 10.0.0.2", NULL, "192.0.2.7");
    client_is("10.0.0.0/8", "10.0.0.1", "192.0.2.7,10.0.0.2,10.0.0.3", NULL, "192.0.2.7");
    client_is("10.0.0.0/8", "10.0.0.1", "10.0.0.3, 10.0.0.2", NULL, "10.0.0.3");
    client_is("10.0.0.0/8", "10.0.0.1", "192.0.2.7", "10.0.0.2", "192.0.2.7");
    client_is("10.0.0.0/8", "10.0.0.1", "6.6.6.6", "192.0.2.7", "192.0.2.7");
}

static void garbage_ends_it(void **unused) {
    (void)unused;
    static const char *const garbage[] = {
        "",          " ",
        "unknown",   "1.2.3",
        "1.2.3.4.5", "[::1",
        "1.2.3.4 5", "_x",
        "::1::",     "00000000000000000000000000000000000000000000001"};
    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        char both[200];
        snprintf(both, sizeof both, "192.0.2.7,%s", garbage[i]);
        client_is("10.0.0.0/8", "10.0.0.1", both, NULL, "10.0.0.1");
        client_is("10.0.0.0/8", "10.0.0.1", "192.0.2.7", garbage[i], "10.0.0.1");
        snprintf(both, sizeof both, "192.0.2.7,%s, 10.0.0.2", garbage[i]);
        client_is("10.0.0.0/8", "10.0.0.1", both, NULL, "10.0.0.2");
    }
}

static void spellings(void **unused) {
    (void)unused;
    client_is("::1", "::1", "192.0.2.7:4711", NULL, "192.0.2.7");
    client_is("::1", "::1", "2001:db8::7", NULL, "2001:db8::7");
    client_is("::1", "::1", "[2001:db8::7]", NULL, "2001:db8::7");
    client_is("::1", "::1", "[2001:db8::7]:4711", NULL, "2001:db8::7");
    client_is("::1", "::1", "::ffff:192.0.2.7", NULL, "::ffff:192.0.2.7");
    client_is("10.0.0.0/8", "::ffff:10.0.0.1", "192.0.2.7", NULL, "192.0.2.7");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_from_trusted), cmocka_unit_test(from_the_right),
        cmocka_unit_test(garbage_ends_it), cmocka_unit_test(spellings)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
