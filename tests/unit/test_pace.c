/* So many a second, twice as many in a burst, in four bytes. */
#include "notifier/pace.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define MOST (2 * RB_PACE_BURST_MS)

static void test_a_burst_and_then_the_pace(void **state) {
    uint32_t spent = 0;
    int64_t now = 1000000;
    int taken = 0;
    (void)state;
    while (rb_pace_take(&spent, 20, now))
        taken++;
    assert_int_equal(taken, 40);
    /* Who was refused has spent nothing: after 50 ms one more may come. */
    assert_false(rb_pace_take(&spent, 20, now + 49));
    assert_true(rb_pace_take(&spent, 20, now + 50));
    assert_false(rb_pace_take(&spent, 20, now + 50));
    for (taken = 0; now < 1010000; now++)
        taken += rb_pace_take(&spent, 20, now);
    assert_in_range(taken, 198, 200);
    /* All is earned again after two seconds, and no more than that in an hour. */
    now += 3600 * 1000;
    for (taken = 0; rb_pace_take(&spent, 20, now);)
        taken++;
    assert_int_equal(taken, 40);
}

static void test_rates(void **state) {
    static const int64_t rates[] = {1, 2, 3, 7, 100, 999, RB_PACE_MOST};
    (void)state;
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        uint32_t spent = 0;
        int64_t taken = 0, rate = rates[i];
        for (int64_t now = 5; now < 20005; now++)
            while (rb_pace_take(&spent, rate, now))
                taken++;
        /* A tick is cut off: at most a sixth too fast at the top. */
        assert_in_range(taken, rate * 22 - 1, rate * 22 * 7 / 6 + 2);
    }
}

static void test_spending_grows_to_its_most(void **state) {
    uint32_t spent = 0, ms = 0;
    (void)state;
    for (int i = 0; i < 40; i++)
        ms = rb_pace_spend(&spent, 20, 7000, MOST);
    assert_int_equal(ms, RB_PACE_BURST_MS);
    for (int i = 0; i < 39; i++)
        ms = rb_pace_spend(&spent, 20, 7000, MOST);
    assert_true(ms > RB_PACE_BURST_MS && ms < MOST);
    for (int i = 0; i < 1000; i++)
        ms = rb_pace_spend(&spent, 20, 7000, MOST);
    assert_int_equal(ms, MOST);
    assert_int_equal(rb_pace_spent(spent, 7000 + MOST - 100, MOST), 100);
    assert_int_equal(rb_pace_spent(spent, 7000 + MOST, MOST), 0);
    assert_int_equal(rb_pace_spent(spent, 7000 + MOST + 3600000, MOST), 0);
}

/* The counter comes round every 18 hours. */
static void test_the_counter_comes_round(void **state) {
    int64_t round = (INT64_C(1) << 32) / RB_PACE_TICKS;
    (void)state;
    for (int64_t start = round - 1000; start <= round + 1000; start += 100) {
        uint32_t spent = 0;
        int taken = 0;
        for (int64_t now = start; now < start + 4000; now += 10)
            taken += rb_pace_take(&spent, 10, now);
        assert_in_range(taken, 59, 60);
    }
}

static bool from(struct rb_pace *pace, uint32_t host, int64_t now) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(host)};
    return rb_pace_allows(pace, (const struct sockaddr *)&at, 5, now);
}

static void test_a_crowd(void **state) {
    struct rb_pace *pace = rb_pace_new();
    const struct sockaddr path = {.sa_family = AF_UNIX};
    int taken = 0;
    (void)state;
    for (int i = 0; i < 100; i++)
        taken += from(pace, 1, 1000);
    assert_int_equal(taken, 10);
    assert_true(from(pace, 2, 1000));
    /* Many others don't push out one that has spent all: it stays refused. */
    for (uint32_t host = 100; host < 20000; host++)
        assert_true(from(pace, host, 1000));
    assert_false(from(pace, 1, 1000));
    assert_true(from(pace, 1, 1200));
    for (int i = 0; i < 100; i++)
        assert_true(rb_pace_allows(pace, &path, 1, 1000));
    rb_pace_free(pace);
}

static void test_ipv6_counts_by_network(void **state) {
    struct rb_pace *pace = rb_pace_new();
    struct sockaddr_in6 at = {.sin6_family = AF_INET6};
    int taken = 0;
    (void)state;
    for (unsigned char host = 0; host < 50; host++) {
        at.sin6_addr.s6_addr[0] = 0x20;
        at.sin6_addr.s6_addr[15] = host;
        taken += rb_pace_allows(pace, (const struct sockaddr *)&at, 5, 1000);
    }
    assert_int_equal(taken, 10);
    at.sin6_addr.s6_addr[7] = 1;
    assert_true(rb_pace_allows(pace, (const struct sockaddr *)&at, 5, 1000));
    rb_pace_free(pace);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_burst_and_then_the_pace),
        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_spending_grows_to_its_most),
        cmocka_unit_test(test_the_counter_comes_round),
        cmocka_unit_test(test_a_crowd),
        cmocka_unit_test(test_ipv6_counts_by_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
