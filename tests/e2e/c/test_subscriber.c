/* The subscriber against a real redis-server: what is confirmed is heard, in order, and a
 * connection that is of no use is replaced. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/log.h"
#include "jobs/subscriber.h"
#include "server.h"

struct bench {
    struct ev_loop *loop;
    struct server server;
    struct fake fake;
    struct rb_redis_address address;
    struct rb_subscriber *subscriber;
    bool up;
    int ups, downs, confirmed, heard, batches;
    int batch_heard; /* since the last batch end */
    int coming;      /* announced */
    char last[64];
    size_t last_len;
    void (*on_message)(struct bench *b, struct rb_text name);
};

static void on_state(void *ctx, bool up) {
    struct bench *b = ctx;
    assert_true(up != b->up);
    b->up = up;
    if (up)
        b->ups++;
    else
        b->downs++;
}

static void on_subscribed(void *ctx, struct rb_text name) {
    struct bench *b = ctx;
    assert_true(name.len > 0);
    b->confirmed++;
}

static void on_message(void *ctx, struct rb_text name, struct rb_text payload) {
    struct bench *b = ctx;
    b->heard++;
    b->batch_heard++;
    snprintf(b->last, sizeof b->last, RB_TEXT_FMT "=" RB_TEXT_FMT, RB_TEXT_ARG(name),
             RB_TEXT_ARG(payload));
    b->last_len = payload.len;
    if (b->on_message)
        b->on_message(b, name);
}

static void on_coming(void *ctx, const struct rb_text *names, size_t count) {
    struct bench *b = ctx;
    assert_true(count > 1 && count <= RB_SUBSCRIBER_AHEAD);
    for (size_t i = 0; i < count; i++)
        assert_true(names[i].len > 0);
    b->coming += (int)count;
}

static void on_batch_end(void *ctx) {
    struct bench *b = ctx;
    assert_true(b->batch_heard > 0);
    b->batch_heard = 0;
    b->batches++;
}

static void new_subscriber(struct bench *b, int64_t probe_ms) {
    const struct rb_subscriber_options options = {.address = &b->address,
                                                  .name = "test",
                                                  .connect_timeout_ms = 2000,
                                                  .probe_ms = probe_ms};
    const struct rb_subscriber_events events = {.on_state = on_state,
                                                .on_subscribed = on_subscribed,
                                                .on_message = on_message,
                                                .on_coming = on_coming,
                                                .on_batch_end = on_batch_end};
    b->subscriber = rb_subscriber_new(b->loop, &options, &events, b);
    assert_non_null(b->subscriber);
}

static int set_up(void **state) {
    struct bench *b = calloc(1, sizeof *b);
    b->loop = ev_loop_new(EVFLAG_AUTO);
    server_start(&b->server, NULL);
    server_address(&b->server, &b->address);
    *state = b;
    return 0;
}

static int tear_down(void **state) {
    struct bench *b = *state;
    rb_subscriber_free(b->subscriber);
    server_end(&b->server);
    if (b->fake.loop)
        fake_end(&b->fake);
    rb_redis_address_fini(&b->address);
    ev_loop_destroy(b->loop);
    free(b);
    return 0;
}

static void come_up(struct bench *b, int64_t probe_ms) {
    new_subscriber(b, probe_ms);
    rb_subscriber_subscribe(b->subscriber, RB_TEXT("ignored while down"));
    run_until(b->loop, &b->up);
    assert_true(rb_subscriber_up(b->subscriber));
}

static void subscribe(struct bench *b, const char *name) {
    int wanted = b->confirmed + 1;
    rb_subscriber_subscribe(b->subscriber, rb_text_of(name));
    run_until_count(b->loop, &b->confirmed, wanted);
}

static void test_hears_in_order(void **state) {
    struct bench *b = *state;
    come_up(b, 10000);
    subscribe(b, "a");
    assert_int_equal(b->confirmed, 1);
    for (int i = 1; i <= 500; i++)
        assert_int_equal(server_number(&b->server, "PUBLISH a %d", i), 1);
    run_until_count(b->loop, &b->heard, 500);
    assert_string_equal(b->last, "a=500");
    assert_true(b->batches >= 1 && b->batches < 500);
    assert_int_equal(b->batch_heard, 0);
    assert_int_equal(server_number(&b->server, "PUBLISH other x"), 0);
}

static void test_many_names_in_one_turn(void **state) {
    struct bench *b = *state;
    come_up(b, 10000);
    char name[32];
    for (int i = 0; i < 5000; i++) {
        int len = snprintf(name, sizeof name, "channel:%d", i);
        rb_subscriber_subscribe(b->subscriber, rb_text(name, (size_t)len));
    }
    run_until_count(b->loop, &b->confirmed, 5000);
    assert_int_equal(server_number(&b->server, "PUBLISH channel:0 x"), 1);
    assert_int_equal(server_number(&b->server, "PUBLISH channel:4999 x"), 1);
    run_until_count(b->loop, &b->heard, 2);
    assert_string_equal(b->last, "channel:4999=x");
}

static void test_order_of_coming_and_going(void **state) {
    struct bench *b = *state;
    come_up(b, 10000);
    for (int i = 0; i < 20; i++) {
        rb_subscriber_subscribe(b->subscriber, RB_TEXT("a"));
        rb_subscriber_subscribe(b->subscriber, RB_TEXT("b"));
        rb_subscriber_unsubscribe(b->subscriber, RB_TEXT("a"));
    }
    run_until_count(b->loop, &b->confirmed, 40);
    run_for(b->loop, 10);
    assert_int_equal(server_number(&b->server, "PUBLISH a x"), 0);
    assert_int_equal(server_number(&b->server, "PUBLISH b x"), 1);
    /* Down to none, of one that never was, and on again: one connection all along. */
    rb_subscriber_unsubscribe(b->subscriber, RB_TEXT("b"));
    rb_subscriber_unsubscribe(b->subscriber, RB_TEXT("never"));
    subscribe(b, "c");
    assert_int_equal(server_number(&b->server, "PUBLISH c x"), 1);
    assert_int_equal(b->downs, 0);
}

static void test_payloads_of_any_bytes_and_size(void **state) {
    struct bench *b = *state;
    come_up(b, 10000);
    subscribe(b, "a");
    static char big[3 * 1024 * 1024];
    memset(big, 'x', sizeof big);
    server_do(&b->server, "PUBLISH a %b", big, sizeof big);
    run_until_count(b->loop, &b->heard, 1);
    assert_int_equal(b->last_len, sizeof big);
    server_do(&b->server, "PUBLISH a %b", "\0\r\n$5\xff", (size_t)6);
    run_until_count(b->loop, &b->heard, 2);
    assert_int_equal(b->last_len, 6);
    server_do(&b->server, "PUBLISH a %b", "", (size_t)0);
    run_until_count(b->loop, &b->heard, 3);
    assert_int_equal(b->last_len, 0);
    assert_int_equal(b->downs, 0);
}

/* What is left with Redis comes when it is asked for; a new link knows nothing of it. */
static void test_rests(void **state) {
    struct bench *b = *state;
    come_up(b, 10000);
    subscribe(b, "a");
    rb_subscriber_rest(b->subscriber, true);
    for (int i = 1; i <= 100; i++)
        assert_int_equal(server_number(&b->server, "PUBLISH a %d", i), 1);
    run_for(b->loop, 30);
    assert_int_equal(b->heard, 0);
    rb_subscriber_rest(b->subscriber, false);
    run_until_count(b->loop, &b->heard, 100);
    assert_string_equal(b->last, "a=100");
    assert_int_equal(b->coming, 100);
    rb_subscriber_rest(b->subscriber, true);
    server_do(&b->server, "CLIENT KILL TYPE pubsub");
    rb_subscriber_rest(b->subscriber, false);
    run_until_count(b->loop, &b->ups, 2);
    subscribe(b, "a");
    assert_int_equal(server_number(&b->server, "PUBLISH a x"), 1);
    run_until_count(b->loop, &b->heard, 101);
}

static void check_number(struct bench *b, struct rb_text name) {
    char wanted[16];
    (void)name;
    snprintf(wanted, sizeof wanted, "a=%d:", b->heard - 1);
    assert_memory_equal(b->last, wanted, strlen(wanted));
}

/* More than one read takes, so that reads end anywhere within a message. */
static void test_messages_that_are_cut(void **state) {
    struct bench *b = *state;
    char padding[512];
    memset(padding, 'x', sizeof padding);
    come_up(b, 10000);
    subscribe(b, "a");
    b->on_message = check_number;
    for (int i = 0; i < 2000; i++)
        server_do(&b->server, "PUBLISH a %d:%b", i, padding, (size_t)(i * 7 % 509));
    run_until_count(b->loop, &b->heard, 2000);
    assert_int_equal(b->downs, 0);
}

static void test_a_payload_beyond_all_measure(void **state) {
    struct bench *b = *state;
    size_t size = 70 * 1024 * 1024;
    char *big = calloc(1, size);
    come_up(b, 10000);
    server_do(&b->server, "CONFIG SET client-output-buffer-limit %s", "pubsub 0 0 0");
    subscribe(b, "a");
    server_do(&b->server, "PUBLISH a %b", big, size);
    free(big);
    run_until_count(b->loop, &b->ups, 2);
    assert_int_equal(b->heard, 0);
    subscribe(b, "a");
}

static void test_comes_back(void **state) {
    struct bench *b = *state;
    come_up(b, 10000);
    subscribe(b, "a");
    server_do(&b->server, "CLIENT KILL TYPE pubsub");
    run_until_count(b->loop, &b->ups, 2);
    run_for(b->loop, 10);
    assert_int_equal(server_number(&b->server, "PUBLISH a x"), 0); /* it kept no names */
    subscribe(b, "a");
    server_kill(&b->server, SIGKILL);
    run_until_count(b->loop, &b->downs, 2);
    assert_false(rb_subscriber_up(b->subscriber));
    server_again(&b->server);
    run_until_count(b->loop, &b->ups, 3);
    subscribe(b, "a");
}

static void test_silence_is_probed(void **state) {
    struct bench *b = *state;
    come_up(b, 200);
    run_for(b->loop, 500); /* subscribed to nothing: +PONG */
    subscribe(b, "a");
    run_for(b->loop, 500); /* subscribed: ["pong", ""] */
    assert_int_equal(b->downs, 0);
    const char *pings =
        strstr(server_text(&b->server, "INFO commandstats"), "cmdstat_ping:calls=");
    assert_non_null(pings);
    assert_true(strtol(pings + 19, NULL, 10) >= 4); /* the greeting's is one of them */
    kill(b->server.pid, SIGSTOP);
    run_until_count(b->loop, &b->downs, 1);
    kill(b->server.pid, SIGCONT);
    run_until_count(b->loop, &b->ups, 2);
}

static void test_a_refused_subscribe_is_no_quiet_channel(void **state) {
    struct bench *b = *state;
    char url[160];
    server_do(&b->server, "ACL SETUSER app on >secret ~* resetchannels &open +@all");
    snprintf(url, sizeof url, "unix://app:secret@%s", b->server.socket);
    rb_redis_address_fini(&b->address);
    assert_int_equal(rb_redis_address_parse(rb_text_of(url), &b->address, NULL), RB_OK);
    come_up(b, 10000);
    subscribe(b, "open");
    rb_subscriber_subscribe(b->subscriber, RB_TEXT("closed"));
    run_until_count(b->loop, &b->downs, 1);
    assert_int_equal(b->confirmed, 1);
}

static void free_it(struct bench *b, struct rb_text name) {
    (void)name;
    rb_subscriber_free(b->subscriber);
    b->subscriber = NULL;
}

static void test_free_from_inside_a_message(void **state) {
    struct bench *b = *state;
    come_up(b, 10000);
    subscribe(b, "a");
    b->on_message = free_it;
    for (int i = 0; i < 10; i++)
        server_do(&b->server, "PUBLISH a x");
    run_until_count(b->loop, &b->heard, 1);
    run_for(b->loop, 20);
    assert_int_equal(b->heard, 1);
    assert_int_equal(b->batches, 0);
}

static void leave_it(struct bench *b, struct rb_text name) {
    rb_subscriber_unsubscribe(b->subscriber, name);
    rb_subscriber_subscribe(b->subscriber, RB_TEXT("next"));
}

static void test_commands_from_inside_a_message(void **state) {
    struct bench *b = *state;
    come_up(b, 10000);
    subscribe(b, "a");
    b->on_message = leave_it;
    server_do(&b->server, "PUBLISH a x");
    run_until_count(b->loop, &b->confirmed, 2);
    assert_int_equal(server_number(&b->server, "PUBLISH a x"), 0);
    assert_int_equal(server_number(&b->server, "PUBLISH next x"), 1);
}

static void test_garbage(void **state) {
    struct bench *b = *state;
    const char *const answers[] = {
        "+PONG\r\n+OK\r\n:1\r\n",
        "+PONG\r\n+OK\r\n*0\r\n",
        "+PONG\r\n+OK\r\n*3\r\n$7\r\nmessage\r\n$1\r\na\r\n",
        "+PONG\r\n+OK\r\n*2\r\n$7\r\nmessage\r\n$1\r\na\r\n",
        "+PONG\r\n+OK\r\n*3\r\n:7\r\n:1\r\n:2\r\n",
        "+PONG\r\n+OK\r\n*3\r\n$8\r\nsmessage\r\n$1\r\na\r\n$1\r\nb\r\n",
        "+PONG\r\n+OK\r\n*1000000000\r\n$1\r\n",
        "+PONG\r\n+OK\r\n*3\r\n$7\r\nmessage\r\n$1\r\na\r\n:1\r\n",
        "+PONG\r\n+OK\r\n*-1\r\n",
        "+PONG\r\n+OK\r\n",
        NULL};
    char url[80];
    fake_start(&b->fake, b->loop);
    b->fake.answers = answers;
    snprintf(url, sizeof url, "redis://127.0.0.1:%d", b->fake.port);
    rb_redis_address_fini(&b->address);
    assert_int_equal(rb_redis_address_parse(rb_text_of(url), &b->address, NULL), RB_OK);
    new_subscriber(b, 100);
    run_until_count(b->loop, &b->fake.connections, 10);
    assert_int_equal(b->heard, 0);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_hears_in_order),
        WITH_SERVER(test_many_names_in_one_turn),
        WITH_SERVER(test_order_of_coming_and_going),
        WITH_SERVER(test_payloads_of_any_bytes_and_size),
        WITH_SERVER(test_rests),
        WITH_SERVER(test_messages_that_are_cut),
        WITH_SERVER(test_a_payload_beyond_all_measure),
        WITH_SERVER(test_comes_back),
        WITH_SERVER(test_silence_is_probed),
        WITH_SERVER(test_a_refused_subscribe_is_no_quiet_channel),
        WITH_SERVER(test_free_from_inside_a_message),
        WITH_SERVER(test_commands_from_inside_a_message),
        WITH_SERVER(test_garbage),
    };
    rb_log_setup("test", RB_LOG_ERROR, RB_LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
