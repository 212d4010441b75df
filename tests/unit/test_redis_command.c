/* Commands as bytes: exact, whole or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "jobs/redis_command.h"

static void test_bytes(void **state) {
    struct rb_buffer out;
    const struct rb_text argv[] = {RB_TEXT("SET"), RB_TEXT("k\r\n\0"), RB_TEXT("")};
    static const char expected[] = "*3\r\n$3\r\nSET\r\n$4\r\nk\r\n\0\r\n$0\r\n\r\n";
    (void)state;
    rb_buffer_init(&out, 1000);
    assert_int_equal(rb_redis_command_add(&out, 3, argv), RB_OK);
    assert_int_equal(out.len, sizeof expected - 1);
    assert_memory_equal(out.at, expected, out.len);
    rb_buffer_fini(&out);
}

static void test_the_frame_is_wide_enough(void **state) {
    char to[RB_REDIS_FRAME];
    (void)state;
    assert_true(rb_redis_put_array(to, SIZE_MAX) <= to + RB_REDIS_FRAME);
    char text[10000], bulk[sizeof text + RB_REDIS_FRAME];
    memset(text, 'x', sizeof text);
    char *end = rb_redis_put_bulk(bulk, rb_text(text, sizeof text));
    assert_memory_equal(bulk, "$10000\r\nxx", 10);
    assert_int_equal(end - bulk, 8 + 10000 + 2);
}

static void test_numbers(void **state) {
    static const struct {
        size_t number;
        const char *bytes;
    } cases[] = {
        {0, "$1\r\n0\r\n"},       {9, "$1\r\n9\r\n"},         {10, "$2\r\n10\r\n"},
        {99, "$2\r\n99\r\n"},     {100, "$3\r\n100\r\n"},     {101, "$3\r\n101\r\n"},
        {1000, "$4\r\n1000\r\n"}, {98765, "$5\r\n98765\r\n"},
    };
    char to[RB_REDIS_FRAME + RB_REDIS_DIGITS];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *end = rb_redis_put_number(to, cases[i].number);
        assert_int_equal(end - to, strlen(cases[i].bytes));
        assert_memory_equal(to, cases[i].bytes, strlen(cases[i].bytes));
    }
    assert_true(rb_redis_put_number(to, SIZE_MAX) <= to + sizeof to);
}

static void test_what_does_not_fit_leaves_no_trace(void **state) {
    struct rb_buffer out;
    char big[200];
    const struct rb_text small[] = {RB_TEXT("PING")};
    const struct rb_text large[] = {RB_TEXT("SET"), {big, sizeof big}};
    (void)state;
    memset(big, 'x', sizeof big);
    rb_buffer_init(&out, 100);
    assert_int_equal(rb_redis_command_add(&out, 1, small), RB_OK);
    size_t len = out.len;
    assert_int_equal(rb_redis_command_add(&out, 2, large), RB_TOO_LARGE);
    assert_int_equal(out.len, len);
    assert_int_equal(rb_redis_command_add(&out, 1, small), RB_OK);
    assert_int_equal(out.len, 2 * len);
    rb_buffer_fini(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_the_frame_is_wide_enough),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_what_does_not_fit_leaves_no_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
