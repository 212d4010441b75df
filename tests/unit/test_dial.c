/* Reading of origins, and the pace at which connections to one host are opened. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "worker/dial.h"

static void parse(const char *url, const char *host, int port) {
    struct rb_text found;
    int found_port;
    assert_int_equal(rb_dial_parse(rb_text_of(url), &found, &found_port), RB_OK);
    assert_int_equal(found.len, strlen(host));
    assert_memory_equal(found.at, host, found.len);
    assert_int_equal(found_port, port);
}

static void test_parse(void **state) {
    (void)state;
    parse("http://example.com", "example.com", 80);
    parse("https://example.com/a:1/b?c=d://e", "example.com", 443);
    parse("http://example.com:8080?x", "example.com", 8080);
    parse("https://127.0.0.1:1#x", "127.0.0.1", 1);
    parse("http://[::1]/", "::1", 80);
    parse("https://[2001:db8::7]:65535/", "2001:db8::7", 65535);
    static const char *const wrong[] = {
        "",
        "http://",
        "http:///path",
        "http://:80/",
        "ftp://example.com/",
        "example.com",
        "HTTP://example.com",
        "http://user:password@example.com/",
        "http://example.com:/",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://example.com:80a/",
        "http://[::1",
        "http://[]/",
        "http://[::1]80/",
    };
    struct rb_text host;
    int port;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (rb_dial_parse(rb_text_of(wrong[i]), &host, &port) != RB_INVALID)
            fail_msg("%s was taken", wrong[i]);
}

#define CALLS 400
#define LANES 4

struct fixture {
    struct ev_loop *loop;
    struct rb_dial *dial;
    struct rb_dialer dialer[CALLS];
};

static int gone; /* how many were let go */

static void on_go(struct rb_dialer *dialer, bool resolved) {
    (void)dialer;
    assert_true(resolved);
    gone++;
}

static int setup(void **state) {
    static struct fixture f;
    memset(&f, 0, sizeof f);
    f.loop = ev_loop_new(EVFLAG_AUTO);
    f.dial = rb_dial_new(f.loop, LANES, NULL);
    assert_non_null(f.dial);
    gone = 0;
    *state = &f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < CALLS; i++)
        rb_dial_release(f->dial, &f->dialer[i]);
    rb_dial_free(f->dial);
    ev_loop_destroy(f->loop);
    return 0;
}

static void start(struct fixture *f, int i, const char *url, int64_t now_ms) {
    f->dialer[i].go = on_go;
    assert_int_equal(rb_dial_start(f->dial, &f->dialer[i], rb_text_of(url), now_ms),
                     RB_OK);
}

/* A burst goes at once, the others at the pace. */
static void test_pace(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < CALLS; i++) {
        start(f, i, "http://127.0.0.1:80/", 1000);
        if (gone == i + 1)
            rb_dial_opened(f->dial, &f->dialer[i]);
    }
    assert_int_equal(gone, RB_DIAL_BURST);
    assert_false(rb_dial_turn(f->dial, 1000)); /* no time has passed */
    assert_false(rb_dial_turn(f->dial, 900));  /* nor has it gone back */
    assert_true(rb_dial_turn(f->dial, 1003));
    assert_int_equal(gone, RB_DIAL_BURST + 3 * RB_DIAL_PER_MS);
    rb_dial_turn(f->dial, 2000); /* a long pause saves up one burst, not more */
    assert_int_equal(gone, 2 * RB_DIAL_BURST + 3 * RB_DIAL_PER_MS);
}

/* Calls that found an open connection give their turn back, so they are not paced. */
static void test_found_connections_are_not_paced(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < CALLS; i++) {
        start(f, i, "http://127.0.0.1:80/", 1000);
        rb_dial_release(f->dial, &f->dialer[i]);
    }
    assert_int_equal(gone, CALLS);
}

/* Where a connection rests, the next call goes, past the pace; the newest first. */
static void test_resting_connections(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < RB_DIAL_BURST; i++) {
        start(f, i, "http://127.0.0.1:80/", 1000);
        rb_dial_opened(f->dial, &f->dialer[i]);
    }
    start(f, 200, "http://127.0.0.1:80/", 1000);
    start(f, 201, "http://127.0.0.1:80/", 1000);
    assert_int_equal(gone, RB_DIAL_BURST);
    rb_dial_rest(&f->dialer[2]);
    rb_dial_rest(&f->dialer[3]);
    assert_true(rb_dial_turn(f->dial, 1000));
    assert_int_equal(gone, RB_DIAL_BURST + 2);
    assert_int_equal(f->dialer[200].lane, f->dialer[3].lane);
    assert_int_equal(f->dialer[201].lane, f->dialer[2].lane);
}

/* One that is not there after all: the host has closed them, so the pace holds again. */
static void test_connections_that_rest_no_more(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < RB_DIAL_BURST; i++) {
        start(f, i, "http://127.0.0.1:80/", 1000);
        rb_dial_opened(f->dial, &f->dialer[i]);
    }
    for (int i = 0; i < RB_DIAL_BURST; i++)
        rb_dial_rest(&f->dialer[i]);
    start(f, 200, "http://127.0.0.1:80/", 1000);
    rb_dial_opened(f->dial, &f->dialer[200]);
    start(f, 201, "http://127.0.0.1:80/", 1000);
    assert_int_equal(gone, RB_DIAL_BURST + 1);
}

static void test_lanes_are_spread(void **state) {
    struct fixture *f = *state;
    int in[LANES] = {0};
    for (int i = 0; i < 2 * LANES; i++) {
        start(f, i, "http://127.0.0.1:80/", 1000);
        in[f->dialer[i].lane]++;
    }
    for (int i = 0; i < LANES; i++)
        assert_int_equal(in[i], 2);
}

/* Hosts have paces of their own, and who waits may leave. */
static void test_hosts_do_not_wait_for_each_other(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < RB_DIAL_BURST + 2; i++) {
        start(f, i, "http://127.0.0.1:80/", 1000);
        if (gone == i + 1)
            rb_dial_opened(f->dial, &f->dialer[i]);
    }
    start(f, 300, "http://127.0.0.1:81/", 1000);
    assert_int_equal(gone, RB_DIAL_BURST + 1);
    rb_dial_release(f->dial, &f->dialer[RB_DIAL_BURST]);
    rb_dial_turn(f->dial, 1100);
    assert_int_equal(gone, RB_DIAL_BURST + 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test_setup_teardown(test_pace, setup, teardown),
        cmocka_unit_test_setup_teardown(test_found_connections_are_not_paced, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_resting_connections, setup, teardown),
        cmocka_unit_test_setup_teardown(test_connections_that_rest_no_more, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_lanes_are_spread, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hosts_do_not_wait_for_each_other, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
