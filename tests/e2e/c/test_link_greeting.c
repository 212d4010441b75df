/* How a link comes up: passwords, databases, names, servers that are not ready, and peers
 * that are no Redis at all. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "../../unit/capture.h"
#include "book.h"
#include "config/log.h"
#include "server.h"

struct bench {
    struct ev_loop *loop;
    struct server server;
    struct fake fake;
    struct rb_redis_address address;
    struct rb_link *link;
    struct book book;
    bool up;
    int ups, downs;
};

static void on_state(void *ctx, bool up) {
    struct bench *b = ctx;
    b->up = up;
    if (up)
        b->ups++;
    else
        b->downs++;
}

static void new_link(struct bench *b, const char *url, const char *name) {
    rb_redis_address_fini(&b->address);
    assert_int_equal(rb_redis_address_parse(rb_text_of(url), &b->address, NULL), RB_OK);
    const struct rb_link_options options = {.address = &b->address,
                                            .name = name,
                                            .connect_timeout_ms = 300,
                                            .command_timeout_ms = 5000,
                                            .on_state = on_state,
                                            .ctx = b};
    b->link = rb_link_new(b->loop, &options);
    assert_non_null(b->link);
}

static int set_up(void **state) {
    struct bench *b = calloc(1, sizeof *b);
    b->loop = ev_loop_new(EVFLAG_AUTO);
    book_open(&b->book, 1000);
    *state = b;
    return 0;
}

static int set_up_server(void **state) {
    set_up(state);
    struct bench *b = *state;
    server_start(&b->server, NULL);
    return 0;
}

static int set_up_fake(void **state) {
    set_up(state);
    struct bench *b = *state;
    fake_start(&b->fake, b->loop);
    return 0;
}

static int tear_down(void **state) {
    struct bench *b = *state;
    rb_link_free(b->link);
    if (b->server.pid > 0)
        server_end(&b->server);
    if (b->fake.loop)
        fake_end(&b->fake);
    rb_redis_address_fini(&b->address);
    book_close(&b->book);
    ev_loop_destroy(b->loop);
    free(b);
    return 0;
}

static struct page *ask(struct bench *b, const char *words) {
    struct page *page = book_ask(&b->book, b->link, 0, words);
    run_until_count(b->loop, &b->book.answered, b->book.asked);
    return page;
}

/* The url of the test's server, with credentials and a query. */
static const char *url(struct bench *b, const char *credentials, const char *query) {
    static char text[200];
    snprintf(text, sizeof text, "unix://%s%s%s", credentials, b->server.socket, query);
    return text;
}

static const char *fake_url(struct bench *b, const char *host) {
    static char text[200];
    snprintf(text, sizeof text, "redis://%s:%d", host, b->fake.port);
    return text;
}

static void test_database_and_name(void **state) {
    struct bench *b = *state;
    new_link(b, url(b, "", "?db=3"), "ringback-test");
    run_until(b->loop, &b->up);
    assert_int_equal(ask(b, "SET key value")->status, RB_OK);
    assert_int_equal(server_number(&b->server, "EXISTS key"), 0);
    server_do(&b->server, "SELECT 3");
    assert_int_equal(server_number(&b->server, "EXISTS key"), 1);
    assert_non_null(strstr(server_text(&b->server, "CLIENT LIST"), "name=ringback-test"));
}

static void test_a_name_redis_refuses_is_no_matter(void **state) {
    struct bench *b = *state;
    new_link(b, url(b, "", ""), "no spaces please");
    run_until(b->loop, &b->up);
}

static void test_a_database_that_does_not_exist(void **state) {
    struct bench *b = *state;
    new_link(b, url(b, "", "?db=99"), "test");
    run_for(b->loop, 60);
    assert_false(b->up);
    assert_non_null(strstr(rb_link_last_error(b->link), "DB index"));
}

/* What the link logs while it runs so long. */
static const char *logged(struct bench *b, int64_t ms) {
    static char text[20000];
    struct capture capture = capture_start(2);
    run_for(b->loop, ms);
    capture_end(&capture, text, sizeof text);
    return text;
}

static void test_a_wrong_password(void **state) {
    struct bench *b = *state;
    server_do(&b->server, "CONFIG SET requirepass right");
    new_link(b, url(b, ":wrong@", ""), "test");
    const char *log = logged(b, 150);
    const char *first = strstr(log, "event=redis.auth_failed");
    assert_non_null(first);
    assert_non_null(strstr(first, "WRONGPASS"));
    assert_null(strstr(log, "wrong@"));
    assert_null(
        strstr(first + 1, "event=redis.auth_failed")); /* told once, tried often */
    assert_false(rb_link_up(b->link));

    struct page *page = ask(b, "PING");
    assert_int_equal(page->status, RB_UNAVAILABLE);
    server_do(&b->server, "CONFIG SET requirepass wrong");
    run_until(b->loop, &b->up); /* somebody mended it: no restart is needed */
    assert_int_equal(ask(b, "PING")->status, RB_OK);
}

static void test_a_missing_password(void **state) {
    struct bench *b = *state;
    server_do(&b->server, "CONFIG SET requirepass right");
    new_link(b, url(b, "", ""), "test");
    const char *log = logged(b, 60);
    assert_non_null(strstr(log, "event=redis.auth_failed"));
    assert_non_null(strstr(log, "NOAUTH"));
    assert_false(b->up);
}

static void test_the_right_password(void **state) {
    struct bench *b = *state;
    server_do(&b->server, "CONFIG SET requirepass %s", "p:@/%");
    new_link(b, url(b, ":p%3A%40%2F%25@", ""), "test");
    run_until(b->loop, &b->up);
}

static void test_a_user_of_few_rights(void **state) {
    struct bench *b = *state;
    server_do(&b->server, "ACL SETUSER app on >secret ~* &* +get +auth +select");
    new_link(b, url(b, "app:secret@", ""), "test");
    run_until(b->loop, &b->up); /* may not PING, may not name itself */
    assert_int_equal(ask(b, "GET k")->status, RB_OK);
    struct page *page = ask(b, "SET k v");
    assert_int_equal(page->status, RB_REFUSED);
    assert_memory_equal(page->text, "NOPERM", 6);
}

static void test_a_host_by_name(void **state) {
    struct bench *b = *state;
    const char *const answers[] = {"+PONG\r\n+OK\r\n", NULL};
    b->fake.answers = answers;
    new_link(b, fake_url(b, "localhost"), "test");
    run_until(b->loop, &b->up);
}

static void test_a_host_that_nobody_knows(void **state) {
    struct bench *b = *state;
    new_link(b, "redis://no-such-host.invalid", "test");
    const char *log = logged(b, 200);
    assert_false(b->up);
    if (strstr(log, "redis.connect_failed"))
        assert_non_null(strstr(log, "looking the host up"));
    rb_link_free(b->link); /* also while the thread is at work */
    b->link = NULL;
    new_link(b, "redis://no-such-host.invalid", "test");
    ev_run(b->loop, EVRUN_NOWAIT);
}

static void test_a_server_that_is_loading(void **state) {
    struct bench *b = *state;
    const char *const answers[] = {
        "-LOADING Redis is loading the dataset in memory\r\n",
        "-MASTERDOWN Link with MASTER is down\r\n-MASTERDOWN Link with MASTER is "
        "down\r\n",
        "+PONG\r\n+OK\r\n", NULL};
    b->fake.answers = answers;
    new_link(b, fake_url(b, "127.0.0.1"), "test");
    run_until(b->loop, &b->up);
    assert_int_equal(b->fake.connections, 3);
}

static void test_a_server_that_hangs(void **state) {
    struct bench *b = *state;
    new_link(b, fake_url(b, "127.0.0.1"), "test");
    run_until_count(b->loop, &b->fake.connections, 2);
    assert_string_equal(rb_link_last_error(b->link), "Redis does not answer");
}

static void test_a_server_that_is_full(void **state) {
    struct bench *b = *state;
    b->fake.greeting = "-ERR max number of clients reached\r\n";
    b->fake.hang_up = true;
    new_link(b, fake_url(b, "127.0.0.1"), "test");
    run_until_count(b->loop, &b->fake.connections, 3);
    assert_non_null(strstr(rb_link_last_error(b->link), "max number of clients"));
    assert_int_equal(b->ups, 0);
}

static void test_garbage(void **state) {
    struct bench *b = *state;
    const char *const answers[] = {
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "+PONG\r\n+OK\r\n+EXTRA\r\n",
        "+PONG\r\n+OK\r\n-ERR unasked\r\n",
        "+PONG\r\n+OK\r\n:1x\r\n",
        "+PONG\r\n+OK\r\n*-7\r\n",
        "+PONG\r\n+OK\r\n$99999999999999999999\r\n",
        "+PONG\r\n+OK\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1"
        "\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
        "\r\n",
        "+PONG\r\n+OK\r\n",
        NULL};
    b->fake.answers = answers;
    new_link(b, fake_url(b, "127.0.0.1"), "test");
    run_until_count(b->loop, &b->fake.connections, 9);
    run_until(b->loop, &b->up);
    run_for(b->loop, 20);
    assert_true(b->up);
    assert_int_equal(b->ups, b->downs + 1);
}

#define WITH(server, test)                                                               \
    cmocka_unit_test_setup_teardown(test, set_up_##server, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH(server, test_database_and_name),
        WITH(server, test_a_name_redis_refuses_is_no_matter),
        WITH(server, test_a_database_that_does_not_exist),
        WITH(server, test_a_wrong_password),
        WITH(server, test_a_missing_password),
        WITH(server, test_the_right_password),
        WITH(server, test_a_user_of_few_rights),
        WITH(fake, test_a_host_by_name),
        WITH(fake, test_a_host_that_nobody_knows),
        WITH(fake, test_a_server_that_is_loading),
        WITH(fake, test_a_server_that_hangs),
        WITH(fake, test_a_server_that_is_full),
        WITH(fake, test_garbage),
    };
    rb_log_setup("test", RB_LOG_ERROR, RB_LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
