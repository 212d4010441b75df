/* A link that is freed, reset or asked more from inside its own callbacks. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "config/log.h"
#include "link_bench.h"

static void free_link(struct page *page, void *ctx) {
    struct bench *b = ctx;
    (void)page;
    struct rb_link *link = b->link;
    b->link = NULL;
    if (link) {
        rb_link_free(link);
        assert_int_equal(b->book.answered, b->book.asked);
    }
}

static void test_free_from_inside_an_answer(void **state) {
    struct bench *b = *state;
    come_up(b);
    b->book.then = free_link;
    b->book.ctx = b;
    for (int i = 0; i < 100; i++)
        book_ask(&b->book, b->link, 0, "PING");
    run_until_count(b->loop, &b->book.answered, 100);
    assert_int_equal(b->book.by_status[RB_OK], 1);
    assert_int_equal(b->book.by_status[RB_CANCELLED], 99);
    run_for(b->loop, 10);
    assert_int_equal(b->downs, 0);
}

static void test_free_from_inside_a_refusal(void **state) {
    struct bench *b = *state;
    b->link = new_link(b);
    b->book.then = free_link;
    b->book.ctx = b;
    for (int i = 0; i < 100; i++)
        book_ask(&b->book, b->link, 0, "PING");
    run_until_count(b->loop, &b->book.answered, 100);
    assert_int_equal(b->book.by_status[RB_UNAVAILABLE], 1);
    assert_int_equal(b->book.by_status[RB_CANCELLED], 99);
}

static void test_free_from_inside_a_loss(void **state) {
    struct bench *b = *state;
    come_up(b);
    b->book.then = free_link;
    b->book.ctx = b;
    kill(b->server.pid, SIGSTOP);
    for (int i = 0; i < 100; i++)
        book_ask(&b->book, b->link, 0, "PING");
    rb_link_reset(b->link, "a test");
    run_until_count(b->loop, &b->book.answered, 100);
    assert_int_equal(b->book.by_status[RB_UNAVAILABLE], 1);
    assert_int_equal(b->book.by_status[RB_CANCELLED], 99);
    assert_int_equal(b->downs, 0);
}

static void free_on_state(void *ctx, bool up) {
    struct bench *b = ctx;
    on_state(ctx, up);
    rb_link_free(b->link);
    b->link = NULL;
}

static void test_free_from_inside_on_state(void **state) {
    struct bench *b = *state;
    const struct rb_link_options options = {.address = &b->address,
                                            .name = "test",
                                            .connect_timeout_ms = 2000,
                                            .command_timeout_ms = 5000,
                                            .on_state = free_on_state,
                                            .ctx = b};
    b->link = rb_link_new(b->loop, &options);
    run_until(b->loop, &b->up);
    assert_null(b->link);
    run_for(b->loop, 10);
}

static void test_free_answers_before_it_returns(void **state) {
    struct bench *b = *state;
    come_up(b);
    for (int i = 0; i < 10; i++)
        book_ask(&b->book, b->link, 0, "PING");
    rb_link_free(b->link);
    b->link = NULL;
    assert_int_equal(b->book.by_status[RB_CANCELLED], 10);
    rb_link_free(NULL);
}

static void call_while_freed(struct page *page, void *ctx) {
    struct bench *b = ctx;
    if (page->status == RB_CANCELLED && b->book.asked < 20)
        book_ask(&b->book, b->link, 0, "PING");
}

static void test_a_command_from_a_cancelled_one_is_answered(void **state) {
    struct bench *b = *state;
    come_up(b);
    b->book.then = call_while_freed;
    b->book.ctx = b;
    for (int i = 0; i < 10; i++)
        book_ask(&b->book, b->link, 0, "PING");
    rb_link_free(b->link);
    b->link = NULL;
    assert_int_equal(b->book.asked, 20);
    assert_int_equal(b->book.by_status[RB_CANCELLED], 20);
}

static void reset_link(struct page *page, void *ctx) {
    struct bench *b = ctx;
    if (page->status == RB_OK) {
        rb_link_reset(b->link, "a test");
        assert_false(rb_link_up(b->link));
        assert_true(b->up); /* on_state comes from the loop */
        book_ask(&b->book, b->link, 0, "PING");
    }
}

static void test_reset_from_inside_an_answer(void **state) {
    struct bench *b = *state;
    come_up(b);
    b->book.then = reset_link;
    b->book.ctx = b;
    for (int i = 0; i < 100; i++)
        book_ask(&b->book, b->link, 0, "PING");
    run_until_answered(b);
    assert_int_equal(b->book.by_status[RB_OK], 1);
    assert_int_equal(b->book.by_status[RB_UNAVAILABLE], 100);
    assert_int_equal(b->downs, 1);
    run_until(b->loop, &b->up);
    rb_link_reset(b->link, "a test");
    rb_link_reset(b->link, "a test that comes twice");
    run_until_count(b->loop, &b->ups, 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_free_from_inside_an_answer),
        WITH_SERVER(test_free_from_inside_a_refusal),
        WITH_SERVER(test_free_from_inside_a_loss),
        WITH_SERVER(test_free_from_inside_on_state),
        WITH_SERVER(test_free_answers_before_it_returns),
        WITH_SERVER(test_a_command_from_a_cancelled_one_is_answered),
        WITH_SERVER(test_reset_from_inside_an_answer),
    };
    rb_log_setup("test", RB_LOG_ERROR, RB_LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
