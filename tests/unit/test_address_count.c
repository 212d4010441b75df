/* Connections by address, over several processes' rows. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#include "notifier/address_count.h"

static uint64_t key_of(const struct rb_address_count *count, const char *text) {
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return rb_address_count_key(count, (const struct sockaddr *)&v4);
    assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return rb_address_count_key(count, (const struct sockaddr *)&v6);
}

static void keys(void **state) {
    struct rb_address_count *count = rb_address_count_new(1, 100);
    struct sockaddr_un unix_peer = {.sun_family = AF_UNIX};
    (void)state;
    assert_non_null(count);
    assert_int_equal(key_of(count, "192.0.2.1"), key_of(count, "192.0.2.1"));
    assert_int_not_equal(key_of(count, "192.0.2.1"), key_of(count, "192.0.2.2"));
    assert_int_equal(key_of(count, "192.0.2.1"), key_of(count, "::ffff:192.0.2.1"));
    assert_int_equal(key_of(count, "2001:db8::1"), key_of(count, "2001:db8::ffff:1"));
    assert_int_not_equal(key_of(count, "2001:db8:0:1::1"), key_of(count, "2001:db8::1"));
    assert_int_equal(rb_address_count_key(count, (const struct sockaddr *)&unix_peer), 0);
    rb_address_count_free(count);
    rb_address_count_free(NULL);
}

static void sums_over_processes(void **state) {
    struct rb_address_count *count = rb_address_count_new(3, 100);
    uint64_t key = key_of(count, "192.0.2.1"), other = key_of(count, "192.0.2.2");
    (void)state;
    for (int row = 0; row < 3; row++) {
        rb_address_count_attach(count, row);
        for (int i = 0; i <= row; i++)
            rb_address_count_add(count, key);
    }
    assert_int_equal(rb_address_count_sum(count, key), 6);
    assert_int_equal(rb_address_count_sum(count, other), 0);
    rb_address_count_remove(count, key); /* the third's */
    assert_int_equal(rb_address_count_sum(count, key), 5);
    rb_address_count_remove(count, other); /* was never there */
    rb_address_count_add(count, 0);        /* a unix socket's */
    rb_address_count_remove(count, 0);
    rb_address_count_attach(count, 1); /* that process died: a new one begins */
    assert_int_equal(rb_address_count_sum(count, key), 3);
    rb_address_count_free(count);
}

/* Many addresses come and go; the counts stay right. */
static void churn(void **state) {
    enum { ADDRESSES = 400 };
    struct rb_address_count *count = rb_address_count_new(1, 400);
    uint32_t counted[ADDRESSES] = {0};
    uint64_t key[ADDRESSES];
    uint32_t random = 3;
    (void)state;
    rb_address_count_attach(count, 0);
    for (int round = 0; round < 200; round++) {
        for (uint32_t i = 0; i < ADDRESSES; i++) {
            struct sockaddr_in peer = {.sin_family = AF_INET};
            peer.sin_addr.s_addr = htonl((uint32_t)round * 1000 + i);
            key[i] = rb_address_count_key(count, (const struct sockaddr *)&peer);
            counted[i] = 0;
        }
        for (int step = 0; step < 2000; step++) {
            random = random * 1664525 + 1013904223;
            uint32_t i = (random >> 8) % ADDRESSES;
            if (random >> 30) {
                rb_address_count_add(count, key[i]);
                counted[i]++;
            } else if (counted[i] > 0) {
                rb_address_count_remove(count, key[i]);
                counted[i]--;
            }
        }
        for (uint32_t i = 0; i < ADDRESSES; i++) {
            assert_int_equal(rb_address_count_sum(count, key[i]), counted[i]);
            while (counted[i]-- > 0)
                rb_address_count_remove(count, key[i]);
            assert_int_equal(rb_address_count_sum(count, key[i]), 0);
        }
    }
    rb_address_count_free(count);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(keys),
                                       cmocka_unit_test(sums_over_processes),
                                       cmocka_unit_test(churn)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
