/* What Redis says on a subscribed connection, whole, cut anywhere, and malformed. */
#include "jobs/redis_push.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_part(struct rb_text part, const char *text) {
    assert_non_null(part.at);
    assert_true(rb_text_is(part, text));
}

static size_t read_whole(const char *bytes, size_t len, struct rb_redis_push *push) {
    size_t taken = 0;
    /* No byte behind what was given is looked at: the sanitizer would see it. */
    char *copy = malloc(len);
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    assert_int_equal(rb_redis_push_read(rb_text(copy, len), push, &taken),
                     RB_REDIS_PUSH_WHOLE);
    for (size_t i = 0; i < push->count; i++)
        if (push->parts[i].at)
            push->parts[i].at = bytes + (push->parts[i].at - copy);
    free(copy);
    return taken;
}

static void test_message(void **state) {
    static const char bytes[] =
        "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$6\r\na\r\nb\0c\r\n+PONG\r\n";
    struct rb_redis_push push;
    (void)state;
    assert_int_equal(read_whole(bytes, sizeof bytes - 1, &push), sizeof bytes - 1 - 7);
    assert_int_equal(push.kind, RB_REDIS_PUSH_ARRAY);
    assert_int_equal(push.count, 3);
    assert_part(push.parts[0], "message");
    assert_part(push.parts[1], "c");
    assert_int_equal(push.parts[2].len, 6);
    assert_memory_equal(push.parts[2].at, "a\r\nb\0c", 6);
}

static void test_others(void **state) {
    struct rb_redis_push push;
    (void)state;
#define READ(text)                                                                       \
    assert_int_equal(read_whole(text, sizeof text - 1, &push), sizeof text - 1)
    READ("*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:12\r\n");
    assert_part(push.parts[0], "subscribe");
    assert_null(push.parts[2].at);
    READ("*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n");
    assert_null(push.parts[1].at);
    READ("*2\r\n$4\r\npong\r\n$0\r\n\r\n");
    assert_int_equal(push.count, 2);
    assert_non_null(push.parts[1].at);
    assert_int_equal(push.parts[1].len, 0);
    READ("+PONG\r\n");
    assert_int_equal(push.kind, RB_REDIS_PUSH_STATUS);
    assert_part(push.parts[0], "PONG");
    READ("-ERR no\r\n");
    assert_int_equal(push.kind, RB_REDIS_PUSH_ERROR);
    assert_part(push.parts[0], "ERR no");
    READ("*0\r\n");
    assert_int_equal(push.count, 0);
    READ("*1\r\n:-5\r\n");
#undef READ
}

static void test_every_beginning_waits_for_more(void **state) {
    static const char bytes[] = "*3\r\n$7\r\nmessage\r\n$-1\r\n:-3\r\n";
    (void)state;
    for (size_t len = 0; len < sizeof bytes - 1; len++) {
        struct rb_redis_push push;
        size_t taken;
        char *copy = malloc(len > 0 ? len : 1);
        assert_non_null(copy);
        memcpy(copy, bytes, len);
        assert_int_equal(rb_redis_push_read(rb_text(copy, len), &push, &taken),
                         RB_REDIS_PUSH_MORE);
        free(copy);
    }
}

static void test_malformed(void **state) {
    static const char *const wrong[] = {
        "x",
        "$1\r\nx\r\n",
        ":1\r\n",
        "\r\n",
        "*4\r\n",
        "*-1\r\n",
        "*\r\n",
        "*x\r\n",
        "*1x\r\n",
        "*99999999999999999999999\r\n",
        "*1\rx",
        "*1\r\n\r\n",
        "*1\r\n+OK\r\n",
        "*1\r\n*1\r\n",
        "*1\r\n$\r\n",
        "*1\r\n$-2\r\n",
        "*1\r\n$+1\r\n",
        "*1\r\n$ 1\r\n",
        "*1\r\n$1\r\nxy\r\n",
        "*1\r\n$1\r\nx\ry",
        "*1\r\n$536870913\r\n",
        "*1\r\n:\r\n",
        "*1\r\n:-\r\n",
        "*1\r\n:1x\r\n",
        "+a\rb",
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct rb_redis_push push;
        size_t taken;
        if (rb_redis_push_read(rb_text_of(wrong[i]), &push, &taken) != RB_REDIS_PUSH_BAD)
            fail_msg("taken for good: %s", wrong[i]);
    }
}

static void test_a_line_has_its_bound(void **state) {
    char *line = malloc(RB_REDIS_PUSH_LINE_MAX + 2);
    struct rb_redis_push push;
    size_t taken;
    (void)state;
    assert_non_null(line);
    memset(line, 'x', RB_REDIS_PUSH_LINE_MAX + 2);
    line[0] = '-';
    assert_int_equal(
        rb_redis_push_read(rb_text(line, RB_REDIS_PUSH_LINE_MAX), &push, &taken),
        RB_REDIS_PUSH_MORE);
    assert_int_equal(
        rb_redis_push_read(rb_text(line, RB_REDIS_PUSH_LINE_MAX + 1), &push, &taken),
        RB_REDIS_PUSH_BAD);
    free(line);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_message),
        cmocka_unit_test(test_others),
        cmocka_unit_test(test_every_beginning_waits_for_more),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_a_line_has_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
