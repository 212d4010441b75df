/* The link against a real redis-server: every command is answered exactly once, whatever
 * happens to the server or to the link. */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "config/log.h"
#include "link_bench.h"

static void test_answers_in_order(void **state) {
    struct bench *b = *state;
    come_up(b);
    assert_true(rb_link_up(b->link));
    assert_string_equal(rb_link_last_error(b->link), "");
    for (int i = 0; i < 1000; i++)
        book_ask(&b->book, b->link, 0, "INCR n");
    assert_int_equal(rb_link_outstanding(b->link), 1000);
    run_until_answered(b);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(b->book.pages[i].status, RB_OK);
        assert_int_equal(b->book.pages[i].integer, i + 1);
    }
}

/* No descriptor has to become ready, and no timer to come, for a command to leave. */
static void test_a_turn_sends(void **state) {
    struct bench *b = *state;
    come_up(b);
    for (int i = 0; i < 50; i++)
        book_ask(&b->book, b->link, 0, "INCR n");
    ev_run(b->loop, EVRUN_NOWAIT);
    assert_string_equal(server_text(&b->server, "GET n"), "50");
    run_until_answered(b);
}

/* Redis works on the first of many while the last are still being made. */
static void test_many_leave_before_the_turn_ends(void **state) {
    struct bench *b = *state;
    come_up(b);
    for (int i = 0; i < 1000; i++)
        book_ask(&b->book, b->link, 0, "INCR n");
    long long done = server_number(&b->server, "INCRBY n 0"); /* the loop has not run */
    assert_in_range(done, 500, 999);
    run_until_answered(b);
    assert_string_equal(server_text(&b->server, "GET n"), "1000");
}

struct early {
    struct bench *bench;
    int calls;
};

static void ask_more(void *ctx) {
    struct early *early = ctx;
    struct bench *b = early->bench;
    if (early->calls++ > 0)
        return;
    book_ask(&b->book, b->link, 0, "INCR n");
}

static void test_what_replies_lead_to_leaves_at_once(void **state) {
    struct bench *b = *state;
    struct early early = {.bench = b, .calls = 1};
    const struct rb_link_options options = {.address = &b->address,
                                            .name = "test",
                                            .connect_timeout_ms = 2000,
                                            .command_timeout_ms = 5000,
                                            .on_replies = ask_more,
                                            .ctx = &early};
    b->link = rb_link_new(b->loop, &options);
    while (!rb_link_up(b->link))
        ev_run(b->loop, EVRUN_ONCE);
    early.calls = 0;
    book_ask(&b->book, b->link, 0, "PING");
    while (early.calls == 0)
        ev_run(b->loop, EVRUN_ONCE); /* returns before the next turn would send */
    assert_string_equal(server_text(&b->server, "GET n"), "1");
    run_until_answered(b);
}

static void test_errors_are_answers(void **state) {
    struct bench *b = *state;
    come_up(b);
    const struct rb_text ping = RB_TEXT("PING");
    struct page *page = book_ask(&b->book, b->link, 0, "NOSUCH command");
    struct page *next = book_ask(&b->book, b->link, 0, "PING");
    rb_link_call(b->link, 0, NULL, NULL, 1, &ping); /* nobody listens */
    run_until_answered(b);
    assert_int_equal(page->status, RB_REFUSED);
    assert_int_equal(page->type, REDIS_REPLY_ERROR);
    assert_memory_equal(page->text, "ERR unknown", 11);
    assert_int_equal(next->status, RB_OK);
}

static void test_while_down_it_answers_from_the_loop(void **state) {
    struct bench *b = *state;
    server_kill(&b->server, SIGKILL);
    b->link = new_link(b);
    assert_string_equal(rb_link_last_error(b->link), "not connected yet");
    struct page *page = book_ask(&b->book, b->link, 0, "PING");
    assert_int_equal(page->calls, 0);
    assert_int_equal(rb_link_outstanding(b->link), 1);
    /* At once: the loop must not sleep until something else happens. */
    ev_run(b->loop, EVRUN_ONCE);
    assert_int_equal(page->calls, 1);
    assert_int_equal(page->status, RB_UNAVAILABLE);
    run_for(b->loop, 50);
    assert_true(rb_link_last_error(b->link)[0] != '\0');
    assert_int_equal(b->ups + b->downs, 0);

    server_again(&b->server);
    run_until(b->loop, &b->up);
    page = book_ask(&b->book, b->link, 0, "PING");
    run_until_answered(b);
    assert_int_equal(page->status, RB_OK);
}

static void ask_again(struct page *page, void *ctx) {
    struct bench *b = ctx;
    (void)page;
    if (b->book.asked < 500)
        book_ask(&b->book, b->link, 0, "PING");
}

static void test_asking_again_while_down_does_not_starve_the_loop(void **state) {
    struct bench *b = *state;
    b->link = new_link(b);
    b->book.then = ask_again;
    b->book.ctx = b;
    book_ask(&b->book, b->link, 0, "PING");
    ev_run(b->loop, EVRUN_NOWAIT);
    assert_true(b->book.asked <= 3);
    run_until(b->loop, &b->up);
    run_until_count(b->loop, &b->book.answered, 500);
}

static void test_a_killed_server(void **state) {
    struct bench *b = *state;
    come_up(b);
    server_do(&b->server, "CLIENT PAUSE 60000");
    for (int i = 0; i < 2000; i++)
        book_ask(&b->book, b->link, 0, "INCR n");
    run_for(b->loop, 20);
    assert_int_equal(b->book.answered, 0);
    server_kill(&b->server, SIGKILL);
    run_until_answered(b);
    assert_int_equal(b->book.by_status[RB_UNAVAILABLE], 2000);
    assert_int_equal(b->downs, 1);
    server_again(&b->server);
    run_until(b->loop, &b->up);
    assert_int_equal(b->ups, 2);
}

static void test_a_server_that_stands_still(void **state) {
    struct bench *b = *state;
    come_up(b);
    kill(b->server.pid, SIGSTOP);
    struct page *patient = book_ask(&b->book, b->link, 60000, "PING");
    struct page *endless = book_ask(&b->book, b->link, -1, "PING");
    struct page *hasty = book_ask(&b->book, b->link, 50, "PING");
    run_until_answered(b);
    assert_int_equal(hasty->status, RB_TIMEOUT);
    assert_int_equal(patient->status, RB_UNAVAILABLE);
    assert_int_equal(endless->status, RB_UNAVAILABLE);
    run_for(b->loop, 10);
    assert_false(b->up);
    kill(b->server.pid, SIGCONT);
    run_until(b->loop, &b->up);
}

static void test_deadlines_are_each_commands_own(void **state) {
    struct bench *b = *state;
    come_up(b);
    struct page *blocking = book_ask(&b->book, b->link, 5000, "BLPOP nothing 0.15");
    run_for(b->loop, 100);
    assert_int_equal(blocking->calls, 0);
    struct page *quick = book_ask(&b->book, b->link, 1000, "PING");
    run_until_answered(b);
    assert_int_equal(blocking->status, RB_OK);
    assert_int_equal(quick->status, RB_OK);
    /* An alarm that was set for commands long answered harms nobody. */
    book_ask(&b->book, b->link, 30, "PING");
    run_until_answered(b);
    blocking = book_ask(&b->book, b->link, 5000, "BLPOP nothing 0.15");
    run_until_answered(b);
    assert_int_equal(blocking->status, RB_OK);
    assert_int_equal(b->downs, 0);
}

static void test_our_own_sleep_is_no_timeout(void **state) {
    struct bench *b = *state;
    come_up(b);
    struct page *page = book_ask(&b->book, b->link, 50, "PING");
    ev_run(b->loop, EVRUN_NOWAIT); /* sends it */
    poll(NULL, 0, 120);            /* the answer lies there, and the deadline passes */
    run_until_answered(b);
    assert_int_equal(page->status, RB_OK);
    assert_int_equal(b->downs, 0);
}

static void test_a_killed_connection(void **state) {
    struct bench *b = *state;
    come_up(b);
    server_do(&b->server, "CLIENT KILL TYPE normal SKIPME yes");
    run_until_count(b->loop, &b->ups, 2);
    struct page *page = book_ask(&b->book, b->link, 0, "PING");
    run_until_answered(b);
    assert_int_equal(page->status, RB_OK);
}

static void test_more_than_redis_takes_is_refused(void **state) {
    struct bench *b = *state;
    static char big[8 * 1024 * 1024];
    come_up(b);
    kill(b->server.pid, SIGSTOP);
    memset(big, 'x', sizeof big);
    const struct rb_text argv[] = {RB_TEXT("SET"), RB_TEXT("k"), {big, sizeof big}};
    for (int i = 0; i < 12; i++)
        rb_link_call(b->link, 0, book_answer, book_page(&b->book), 3, argv);
    run_for(b->loop, 20);
    assert_in_range(b->book.by_status[RB_UNAVAILABLE], 4, 6);
    kill(b->server.pid, SIGCONT);
    run_until_answered(b);
    assert_in_range(b->book.by_status[RB_OK], 6, 8);
    assert_int_equal(b->downs, 0);
}

static void test_too_many_outstanding_are_refused(void **state) {
    struct bench *b = *state;
    come_up(b);
    for (int i = 0; i < RB_LINK_MAX_OUTSTANDING + 1000; i++)
        book_ask(&b->book, b->link, 0, "PING");
    run_until_answered(b);
    assert_int_equal(b->book.by_status[RB_OK], RB_LINK_MAX_OUTSTANDING);
    assert_int_equal(b->book.by_status[RB_UNAVAILABLE], 1000);
}

static void test_descriptors_are_closed_on_exec(void **state) {
    struct bench *b = *state;
    int sockets = 0;
    come_up(b);
    for (int fd = 3; fd < 100; fd++) {
        int type;
        socklen_t len = sizeof type;
        if (fd == b->server.admin->fd ||
            getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0)
            continue;
        sockets++;
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    }
    assert_int_equal(sockets, 1);
}

/* Kills, pauses, resets and floods in an order that a seed makes. */
static void test_chaos(void **state) {
    struct bench *b = *state;
    unsigned seed = 7;
    come_up(b);
    for (int round = 0; round < 150; round++) {
        seed = seed * 1103515245 + 12345;
        unsigned dice = seed >> 16;
        for (unsigned i = 0; i < dice % 300; i++)
            book_ask(&b->book, b->link, i % 3 ? 0 : 20 + (int64_t)(dice % 50), "INCR n");
        switch (dice % 7) {
        case 0:
            server_do(&b->server, "CLIENT KILL TYPE normal SKIPME yes");
            break;
        case 1:
            server_do(&b->server, "CLIENT PAUSE 30");
            break;
        case 2:
            rb_link_reset(b->link, "chaos");
            break;
        case 3:
            server_kill(&b->server, SIGKILL);
            ev_run(b->loop, EVRUN_NOWAIT);
            server_again(&b->server);
            break;
        default:
            break;
        }
        if (round % 5 == 0)
            run_until(b->loop, &b->up);
        run_for(b->loop, dice % 8);
    }
    run_until_answered(b);
    for (int i = 0; i < b->book.asked; i++)
        assert_int_equal(b->book.pages[i].calls, 1);
    assert_true(b->book.by_status[RB_OK] > 0);
    assert_true(b->book.by_status[RB_UNAVAILABLE] > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_answers_in_order),
        WITH_SERVER(test_a_turn_sends),
        WITH_SERVER(test_many_leave_before_the_turn_ends),
        WITH_SERVER(test_what_replies_lead_to_leaves_at_once),
        WITH_SERVER(test_errors_are_answers),
        WITH_SERVER(test_while_down_it_answers_from_the_loop),
        WITH_SERVER(test_asking_again_while_down_does_not_starve_the_loop),
        WITH_SERVER(test_a_killed_server),
        WITH_SERVER(test_a_server_that_stands_still),
        WITH_SERVER(test_deadlines_are_each_commands_own),
        WITH_SERVER(test_our_own_sleep_is_no_timeout),
        WITH_SERVER(test_a_killed_connection),
        WITH_SERVER(test_more_than_redis_takes_is_refused),
        WITH_SERVER(test_too_many_outstanding_are_refused),
        WITH_SERVER(test_descriptors_are_closed_on_exec),
        WITH_SERVER(test_chaos),
    };
    rb_log_setup("test", RB_LOG_ERROR, RB_LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
