/* A link to a redis-server of its own, and a book of what it was asked. (Behind
 * cmocka.h.) */
#ifndef RB_TESTS_LINK_BENCH_H
#define RB_TESTS_LINK_BENCH_H

#include "book.h"
#include "server.h"

struct bench {
    struct ev_loop *loop;
    struct server server;
    struct rb_redis_address address;
    struct rb_link *link;
    struct book book;
    bool up;
    int ups, downs;
};

static inline void on_state(void *ctx, bool up) {
    struct bench *b = ctx;
    assert_true(up != b->up);
    b->up = up;
    if (up)
        b->ups++;
    else
        b->downs++;
}

static inline struct rb_link *new_link(struct bench *b) {
    const struct rb_link_options options = {.address = &b->address,
                                            .name = "test",
                                            .connect_timeout_ms = 2000,
                                            .command_timeout_ms = 5000,
                                            .on_state = on_state,
                                            .ctx = b};
    struct rb_link *link = rb_link_new(b->loop, &options);
    assert_non_null(link);
    return link;
}

static inline void come_up(struct bench *b) {
    b->link = new_link(b);
    run_until(b->loop, &b->up);
}

static inline int set_up(void **state) {
    struct bench *b = calloc(1, sizeof *b);
    b->loop = ev_loop_new(EVFLAG_AUTO);
    server_start(&b->server, NULL);
    server_address(&b->server, &b->address);
    book_open(&b->book, 300000);
    *state = b;
    return 0;
}

static inline int tear_down(void **state) {
    struct bench *b = *state;
    rb_link_free(b->link);
    server_end(&b->server);
    rb_redis_address_fini(&b->address);
    book_close(&b->book);
    ev_loop_destroy(b->loop);
    free(b);
    return 0;
}

static inline void run_until_answered(struct bench *b) {
    run_until_count(b->loop, &b->book.answered, b->book.asked);
    assert_int_equal(b->book.answered, b->book.asked);
    assert_int_equal(rb_link_outstanding(b->link), 0);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
