/* The PROXY protocol: bytes in, an address out. Each header is fed whole, byte by byte,
 * and with the client's own bytes behind it. */
#include "notifier/proxy_protocol.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define HEAD(command, family, len) SIGNATURE command family "\0" len
#define BYTES(text) (text), sizeof(text) - 1

/* "192.0.2.1:80", "[::1]:80", "local", "bad", "more" */
static void describe(enum rb_proxy_result result, const struct sockaddr_storage *at,
                     char *out, size_t room) {
    static const char *const words[] = {
        [RB_PROXY_MORE] = "more", [RB_PROXY_LOCAL] = "local", [RB_PROXY_BAD] = "bad"};
    char host[INET6_ADDRSTRLEN];
    if (result != RB_PROXY_KNOWN) {
        snprintf(out, room, "%s", words[result]);
    } else if (at->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)at;
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
        snprintf(out, room, "%s:%d", host, ntohs(v4->sin_port));
    } else {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)at;
        assert_int_equal(at->ss_family, AF_INET6);
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
        snprintf(out, room, "[%s]:%d", host, ntohs(v6->sin6_port));
    }
}

/* In steps of so many bytes. *taken: all that was. */
static enum rb_proxy_result feed(const char *bytes, size_t len, size_t step,
                                 size_t *taken, struct sockaddr_storage *at) {
    struct rb_proxy_header header = {0};
    enum rb_proxy_result result = RB_PROXY_MORE;
    for (*taken = 0; result == RB_PROXY_MORE && *taken < len;) {
        size_t some = len - *taken < step ? len - *taken : step, used;
        result = rb_proxy_feed(&header, bytes + *taken, some, &used, at);
        assert_true(used <= some);
        assert_true(result != RB_PROXY_MORE || used == some);
        *taken += used;
    }
    return result;
}

static void is(const char *bytes, size_t len, const char *expected) {
    for (size_t step = 1; step <= len; step += step < 20 ? 1 : len) {
        struct sockaddr_storage at;
        char found[INET6_ADDRSTRLEN + 16];
        size_t taken;
        enum rb_proxy_result result = feed(bytes, len, step, &taken, &at);
        describe(result, &at, found, sizeof found);
        assert_string_equal(found, expected);
        if (result == RB_PROXY_KNOWN || result == RB_PROXY_LOCAL)
            assert_int_equal(taken, len);
    }
}

/* The header, and that what is behind it stays where it is. */
static void whole(const char *bytes, size_t len, const char *expected) {
    static const char behind[] = "GET / HTTP/1.1\r\n\r\n";
    char *both = malloc(len + sizeof behind);
    struct sockaddr_storage at;
    size_t taken;
    is(bytes, len, expected);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(feed(bytes, cut, 7, &taken, &at), RB_PROXY_MORE);
    memcpy(both, bytes, len);
    memcpy(both + len, behind, sizeof behind);
    for (size_t step = 1; step < len + sizeof behind; step += 5) {
        enum rb_proxy_result result = feed(both, len + sizeof behind, step, &taken, &at);
        assert_true(result == RB_PROXY_KNOWN || result == RB_PROXY_LOCAL);
        assert_int_equal(taken, len);
    }
    free(both);
}

static void test_lines(void **state) {
    (void)state;
    whole(BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1024 80\r\n"), "192.0.2.1:1024");
    whole(BYTES("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
          "255.255.255.255:65535");
    whole(BYTES("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n"), "0.0.0.0:0");
    whole(BYTES("PROXY TCP6 2001:db8::1 ::1 1024 80\r\n"), "[2001:db8::1]:1024");
    whole(BYTES("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
          "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
    whole(BYTES("PROXY UNKNOWN\r\n"), "local");
    whole(BYTES("PROXY UNKNOWN whatever is here\r\n"), "local");
    whole(BYTES("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
          "local"); /* 107 bytes */
}

static void test_malformed_lines(void **state) {
    static const char *const lines[] = {"GET / HTTP/1.1\r\n",
                                        "proxy TCP4 192.0.2.1 192.0.2.2 1024 80\r\n",
                                        "PROXY  TCP4 192.0.2.1 192.0.2.2 1024 80\r\n",
                                        "PROXY TCP4  192.0.2.1 192.0.2.2 1024 80\r\n",
                                        "PROXY TCP4 192.0.2.1 192.0.2.2 1024 80 \r\n",
                                        "PROXY TCP4 192.0.2.1 192.0.2.2 1024 80\n",
                                        "PROXY TCP4 192.0.2.1 192.0.2.2 1024 80\rx",
                                        "PROXY TCP4 192.0.2.1 192.0.2.2 1024\r\n",
                                        "PROXY TCP4 192.0.2.1 192.0.2.2\r\n",
                                        "PROXY TCP4 192.0.2.1 192.0.2.2 1024 80 90\r\n",
                                        "PROXY TCP4 192.0.2.256 192.0.2.2 1024 80\r\n",
                                        "PROXY TCP4 192.0.2 192.0.2.2 1024 80\r\n",
                                        "PROXY TCP4 192.0.2.1 ::1 1024 80\r\n",
                                        "PROXY TCP4 2001:db8::1 ::1 1024 80\r\n",
                                        "PROXY TCP6 192.0.2.1 192.0.2.2 1024 80\r\n",
                                        "PROXY TCP6 2001:db8::1%lo ::1 1024 80\r\n",
                                        "PROXY TCP4 192.0.2.1 192.0.2.2 65536 80\r\n",
                                        "PROXY TCP4 192.0.2.1 192.0.2.2 01024 80\r\n",
                                        "PROXY TCP4 192.0.2.1 192.0.2.2 -1 80\r\n",
                                        "PROXY TCP4 192.0.2.1 192.0.2.2 +1 80\r\n",
                                        "PROXY TCP4 192.0.2.1 192.0.2.2 1024 100000\r\n",
                                        "PROXY UDP4 192.0.2.1 192.0.2.2 1024 80\r\n",
                                        "PROXY UNKNOWNS\r\n",
                                        "PROXY unknown\r\n",
                                        "PROXY \r\n",
                                        "PROXY\r\n",
                                        "x"};
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        is(lines[i], strlen(lines[i]), "bad");
    is(BYTES("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
             "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535 \r\n"),
       "bad"); /* 108 bytes */
    is(BYTES("PROXY TCP4 192.0.2.1\0 192.0.2.2 1024 80\r\n"), "bad");
}

#define V4 "\xc0\0\2\1\xc0\0\2\2\4\0\0\x50"
#define V6                                                                               \
    "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\2"         \
    "\4\0\0\x50"

static void test_binary(void **state) {
    (void)state;
    whole(BYTES(HEAD("\x21", "\x11", "\x0c") V4), "192.0.2.1:1024");
    whole(BYTES(HEAD("\x21", "\x21", "\x24") V6), "[2001:db8::1]:1024");
    whole(BYTES(HEAD("\x20", "\x00", "\x00")), "local");
    whole(BYTES(HEAD("\x20", "\x11", "\x0c") V4), "local"); /* a health check */
    whole(BYTES(HEAD("\x20", "\xff", "\x03") "abc"), "local");
    whole(BYTES(HEAD("\x21", "\x00", "\x00")), "local");
    whole(BYTES(HEAD("\x21", "\x00", "\x05") "12345"), "local");
    whole(BYTES(HEAD("\x21", "\x12", "\x0c") V4), "local"); /* datagrams */
    /* Behind the addresses stand things that are not looked at (§2.2, TLV). */
    whole(BYTES(HEAD("\x21", "\x11", "\x14") V4 "\3\0\5\1\2\3\4\5"), "192.0.2.1:1024");
    whole(BYTES(HEAD("\x21", "\x21", "\x27") V6 "\4\0\0"), "[2001:db8::1]:1024");
}

static void test_unix_sockets_and_much_behind(void **state) {
    char bytes[16 + 0xffff] = SIGNATURE "\x21\x31";
    struct sockaddr_storage at;
    size_t taken;
    (void)state;
    bytes[15] = (char)216;
    whole(bytes, 16 + 216, "local");
    memcpy(bytes + 12, "\x21\x11\xff\xff" V4, 16);
    for (size_t step = 1; step < sizeof bytes; step += 4099) {
        assert_int_equal(feed(bytes, sizeof bytes, step, &taken, &at), RB_PROXY_KNOWN);
        assert_int_equal(taken, sizeof bytes);
    }
    assert_int_equal(feed(bytes, sizeof bytes - 1, 100, &taken, &at), RB_PROXY_MORE);
}

static void test_malformed_binary(void **state) {
    (void)state;
    is(BYTES(HEAD("\x11", "\x11", "\x0c") V4), "bad"); /* version 1 in binary */
    is(BYTES(HEAD("\x31", "\x11", "\x0c") V4), "bad");
    is(BYTES(HEAD("\x22", "\x11", "\x0c") V4), "bad"); /* no such command */
    is(BYTES(HEAD("\x21", "\x41", "\x0c") V4), "bad"); /* no such family */
    is(BYTES(HEAD("\x21", "\x13", "\x0c") V4), "bad"); /* no such transport */
    is(BYTES(HEAD("\x21", "\x10", "\x0c") V4), "bad");
    is(BYTES(HEAD("\x21", "\x01", "\x0c") V4), "bad");
    is(BYTES(HEAD("\x21", "\x11", "\x0b") V4), "bad"); /* shorter than two addresses */
    is(BYTES(HEAD("\x21", "\x21", "\x0c") V4), "bad");
    is(BYTES("\r\n\r\n\0\r\nQUIT\r"), "bad");
    is(BYTES("\r\n\r\n\1"), "bad");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_malformed_lines),
        cmocka_unit_test(test_binary),
        cmocka_unit_test(test_unix_sockets_and_much_behind),
        cmocka_unit_test(test_malformed_binary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
