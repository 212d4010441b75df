/* The syntax of addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/address.h"

static void check_all(bool (*is)(struct rb_text), const char *const *texts,
                      bool expected) {
    for (; *texts; texts++)
        if (is(rb_text_of(*texts)) != expected)
            fail_msg("\"%s\" should be %s", *texts, expected ? "accepted" : "refused");
}

static void listen_addresses(void **state) {
    (void)state;
    static const char *const right[] = {
        "127.0.0.1:8080", "0.0.0.0:0",      "*:80",     "[::1]:9401",
        "[::]:65535",     "localhost:1",    "a-b.c:22", "unix:/run/ringback.sock",
        "h_1:80",         "[fe80::1:2]:80", "1host:80", NULL};
    static const char *const wrong[] = {"",
                                        "8080",
                                        ":8080",
                                        "127.0.0.1",
                                        "127.0.0.1:",
                                        "127.0.0.1:x",
                                        "127.0.0.1:65536",
                                        "127.0.0.1:-1",
                                        "256.0.0.1:80",
                                        "1.2.3:80",
                                        "::1:80",
                                        "[::1]",
                                        "[::1:80",
                                        "[]:80",
                                        "[127.0.0.1]:80",
                                        "a b:80",
                                        "-a:80",
                                        ".a:80",
                                        "unix:",
                                        "unix:run/x",
                                        "unix:/",
                                        "tcp://a:80",
                                        "a:80 ",
                                        "a:000080",
                                        "**:80",
                                        "[::1%eth0]:80",
                                        "a/b:80",
                                        NULL};
    check_all(rb_address_is_listen, right, true);
    check_all(rb_address_is_listen, wrong, false);

    char path[200] = "unix:/";
    memset(path + 6, 'x', 107 - 1);
    assert_true(rb_address_is_listen(rb_text(path, 5 + 107)));
    memset(path + 6, 'x', 108 - 1);
    assert_false(rb_address_is_listen(rb_text(path, 5 + 108)));
    assert_false(rb_address_is_listen(rb_text("unix:/a\0b", 9)));
    assert_false(rb_address_is_listen(rb_text("a\0b:80", 6)));
}

static void listen_addresses_of_the_notifier(void **state) {
    (void)state;
    static const char *const right[] = {"tls://127.0.0.1:8443",
                                        "tls://*:443",
                                        "tls://[::1]:0",
                                        "tls://localhost:1",
                                        "127.0.0.1:8080",
                                        "unix:/run/x.sock",
                                        NULL};
    static const char *const wrong[] = {"tls://",
                                        "tls://a",
                                        "tls:a:80",
                                        "tls:/a:80",
                                        "TLS://a:80",
                                        "tls://unix:/x",
                                        "systemd:",
                                        "systemd:a:b",
                                        "systemd:a b",
                                        "systemd:/a",
                                        "tls://tls://a:1",
                                        "https://a:443",
                                        "",
                                        NULL};
    check_all(rb_address_is_notifier_listen, right, true);
    check_all(rb_address_is_notifier_listen, wrong, false);
    assert_false(rb_address_is_listen(RB_TEXT("127.0.0.1:80?proxy=on")));
    assert_false(rb_address_is_listen(RB_TEXT("tls://127.0.0.1:8443")));
    assert_false(rb_address_is_listen(RB_TEXT("systemd:web")));
}

static void proxies(void **state) {
    (void)state;
    static const char *const right[] = {"127.0.0.1:8080?proxy=on",
                                        "[::1]:80?proxy=on",
                                        "*:80?proxy=on",
                                        "tls://*:8443?proxy=on",
                                        "systemd:web?proxy=on",
                                        "tls://systemd:web?proxy=on",
                                        "unix:/run/x.sock?proxy=on",
                                        "unix:/run/x.sock?mode=0660&proxy=on",
                                        NULL};
    static const char *const wrong[] = {"127.0.0.1:8080?proxy=off",
                                        "127.0.0.1:8080?proxy=on ",
                                        "127.0.0.1:8080?proxy",
                                        "127.0.0.1:8080&proxy=on",
                                        "127.0.0.1?proxy=on",
                                        "127.0.0.1:8080?proxy=on?proxy=on",
                                        "?proxy=on",
                                        NULL};
    check_all(rb_address_is_notifier_listen, right, true);
    check_all(rb_address_is_notifier_listen, wrong, false);
    struct rb_text text = RB_TEXT("unix:/run/x.sock?mode=0660&proxy=on");
    assert_true(rb_address_take_proxy(&text));
    assert_true(rb_text_is(text, "unix:/run/x.sock?mode=0660"));
    assert_false(rb_address_take_proxy(&text));
}

static void origins(void **state) {
    (void)state;
    static const char *const right[] = {"*",
                                        "https://shop.example.com",
                                        "http://localhost:3000",
                                        "http://[::1]:80",
                                        "http://[::1]",
                                        "http://127.0.0.1",
                                        "chrome-extension://abcdef",
                                        NULL};
    static const char *const wrong[] = {"",
                                        "**",
                                        "https://",
                                        "https://a/",
                                        "https://a/b",
                                        "a.com",
                                        "https:/a",
                                        "HTTPS://a",
                                        "https://A.de",
                                        "https://a:",
                                        "https://a:x",
                                        "https://a:99999",
                                        "https://u@a",
                                        "://a",
                                        "https://a?x",
                                        "https://*.a",
                                        "https://:80",
                                        "null",
                                        NULL};
    check_all(rb_address_is_origin, right, true);
    check_all(rb_address_is_origin, wrong, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listen_addresses),
        cmocka_unit_test(listen_addresses_of_the_notifier),
        cmocka_unit_test(proxies),
        cmocka_unit_test(origins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
