/* Every allocation of the link fails in turn, and every command is still answered exactly
 * once. The linker puts these functions before the real ones for our own objects. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "book.h"
#include "config/log.h"
#include "jobs/publish.h"
#include "server.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *at, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *at, size_t size);

static int
    countdown; /* the allocation at which it reaches 0 fails; negative: none does */
static bool failed;

static bool fails(void) {
    if (countdown < 0 || countdown-- > 0)
        return false;
    failed = true;
    return true;
}

void *__wrap_malloc(size_t size) { return fails() ? NULL : __real_malloc(size); }

void *__wrap_calloc(size_t count, size_t size) {
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *at, size_t size) {
    return fails() ? NULL : __real_realloc(at, size);
}

struct bench {
    struct ev_loop *loop;
    struct server server;
    struct rb_redis_address address;
    struct book book;
    bool up;
    int published;
};

static void on_state(void *ctx, bool up) {
    struct bench *b = ctx;
    b->up = up;
}

static void on_published(void *ctx, const struct rb_published *published) {
    struct bench *b = ctx;
    b->published++;
    assert_true(published->status == RB_OK || published->status == RB_NOMEM ||
                published->status == RB_UNAVAILABLE || published->status == RB_CANCELLED);
}

static void publish(struct bench *b, struct rb_link *link, bool scripts) {
    const struct rb_channel_policy policy = {
        .keys = {RB_TEXT("ringback"), RB_TEXT("ringback:ch")},
        .max_events = 10,
        .ttl_ms = 1000,
        .scripts = scripts};
    const struct rb_publication publication = {.channel = RB_TEXT("c"),
                                               .job = RB_TEXT("j"),
                                               .terminal = true,
                                               .event = RB_TEXT("{}")};
    rb_publish(link, &policy, &publication, on_published, b);
}

/* The loop's own memory is libev's, which ends the process without: it is made before. */
static void scenario(struct bench *b, int n) {
    const struct rb_link_options options = {.address = &b->address,
                                            .name = "test",
                                            .connect_timeout_ms = 2000,
                                            .command_timeout_ms = 5000,
                                            .on_state = on_state,
                                            .ctx = b};
    b->book.asked = b->book.answered = b->published = 0;
    memset(b->book.pages, 0, (size_t)b->book.room * sizeof *b->book.pages);
    server_do(&b->server, "SCRIPT FLUSH");
    b->up = failed = false;
    countdown = n;
    struct rb_link *link = rb_link_new(b->loop, &options);
    if (!link)
        return;
    book_ask(&b->book, link, 0, "PING");
    run_until(b->loop, &b->up);
    for (int i = 0; i < 1500; i++)
        book_ask(&b->book, link, 0, "PING");
    publish(b, link, true);
    publish(b, link, false);
    run_until_count(b->loop, &b->published, 2);
    run_until_count(b->loop, &b->book.answered, 1501);
    rb_link_reset(link, "a test");
    publish(b, link, true);
    book_ask(&b->book, link, 0, "PING");
    rb_link_free(link);
    countdown = -1;
    assert_int_equal(b->published, 3);
    assert_int_equal(b->book.answered, b->book.asked);
    for (int i = 0; i < b->book.asked; i++)
        assert_int_equal(b->book.pages[i].calls, 1);
}

static void test_every_allocation_fails_in_turn(void **state) {
    struct bench b = {.loop = ev_loop_new(EVFLAG_AUTO)};
    (void)state;
    countdown = -1;
    server_start(&b.server, NULL);
    server_address(&b.server, &b.address);
    book_open(&b.book, 4000);
    int n = 0;
    do
        scenario(&b, n++);
    while (failed);
    assert_in_range(n, 10, 200);
    book_close(&b.book);
    rb_redis_address_fini(&b.address);
    server_end(&b.server);
    ev_loop_destroy(b.loop);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_allocation_fails_in_turn),
    };
    rb_log_setup("test", (enum rb_log_level)(RB_LOG_ERROR + 1), RB_LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
