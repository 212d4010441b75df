/* The bounded builder. Its source is compiled in here with a realloc that can be told to
 * fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int allocations_left = -1; /* -1 = no end */

static void *limited_realloc(void *at, size_t size) {
    if (allocations_left == 0)
        return NULL;
    if (allocations_left > 0)
        allocations_left--;
    return realloc(at, size);
}

#undef realloc
#define realloc limited_realloc
#include "config/buffer.c"
#undef realloc

static void builds(void **state) {
    (void)state;
    struct rb_buffer b;
    rb_buffer_init(&b, 1000);
    assert_null(b.at);
    rb_buffer_string(&b, "a");
    rb_buffer_text(&b, RB_TEXT("bc"));
    rb_buffer_char(&b, ' ');
    rb_buffer_int(&b, INT64_MIN);
    rb_buffer_char(&b, ' ');
    rb_buffer_int(&b, 0);
    rb_buffer_int(&b, -7);
    rb_buffer_char(&b, ' ');
    rb_buffer_uint(&b, UINT64_MAX);
    rb_buffer_printf(&b, " %s=%03d", "x", 5);
    rb_buffer_text(&b, (struct rb_text){NULL, 0});
    assert_string_equal(b.at, "abc -9223372036854775808 0-7 18446744073709551615 x=005");
    assert_int_equal(b.len, strlen(b.at));
    assert_int_equal(b.status, RB_OK);
    assert_true(rb_text_is(rb_buffer_view(&b), b.at));
    rb_buffer_fini(&b);
}

static void a_ceiling_that_was_lowered_holds(void **state) {
    (void)state;
    struct rb_buffer b;
    rb_buffer_init(&b, 1000);
    rb_buffer_string(&b, "more than there is room for later");
    rb_buffer_clear(&b);
    b.limit = 5;
    rb_buffer_string(&b, "12345");
    assert_int_equal(b.status, RB_OK);
    rb_buffer_char(&b, '6');
    assert_int_equal(b.status, RB_TOO_LARGE);
    rb_buffer_clear(&b);
    rb_buffer_string(&b, "123456");
    assert_int_equal(b.status, RB_TOO_LARGE);
    rb_buffer_fini(&b);
}

static void ceiling_holds_to_the_byte_and_sticks(void **state) {
    (void)state;
    struct rb_buffer b;
    rb_buffer_init(&b, 5);
    rb_buffer_string(&b, "12345");
    assert_int_equal(b.status, RB_OK);
    assert_true(b.room <= 6);
    rb_buffer_string(&b, "");
    assert_int_equal(b.status, RB_OK);
    rb_buffer_char(&b, '6');
    assert_int_equal(b.status, RB_TOO_LARGE);
    assert_string_equal(b.at, "12345");
    rb_buffer_consume(&b, 3);
    rb_buffer_char(&b, '6');
    assert_int_equal(b.status, RB_TOO_LARGE);
    assert_string_equal(b.at, "45");
    assert_null(rb_buffer_detach(&b, NULL));
    rb_buffer_clear(&b);
    rb_buffer_string(&b, "678");
    assert_int_equal(b.status, RB_OK);
    assert_string_equal(b.at, "678");
    /* An add that does not fit adds nothing of itself. */
    rb_buffer_printf(&b, "%s", "abc");
    assert_string_equal(b.at, "678");
    assert_int_equal(b.status, RB_TOO_LARGE);
    rb_buffer_fini(&b);

    rb_buffer_init(&b, 4);
    rb_buffer_int(&b, -1234);
    assert_int_equal(b.status, RB_TOO_LARGE);
    assert_int_equal(b.len, 0);
    rb_buffer_clear(&b);
    rb_buffer_int(&b, -123);
    assert_int_equal(b.status, RB_OK);
    assert_string_equal(b.at, "-123");
    rb_buffer_clear(&b);
    rb_buffer_json(&b, RB_TEXT("abc"));
    assert_int_equal(b.status, RB_TOO_LARGE);
    assert_int_equal(b.len, 0);
    rb_buffer_fini(&b);

    rb_buffer_init(&b, SIZE_MAX);
    assert_null(rb_buffer_reserve(&b, SIZE_MAX));
    assert_int_equal(b.status, RB_TOO_LARGE);
    rb_buffer_fini(&b);
}

static void grows_over_many_sizes(void **state) {
    (void)state;
    struct rb_buffer b;
    rb_buffer_init(&b, 100000);
    for (int i = 0; i < 100000; i++)
        rb_buffer_char(&b, (char)('a' + i % 26));
    assert_int_equal(b.status, RB_OK);
    assert_int_equal(b.len, 100000);
    for (size_t i = 0; i < b.len; i++)
        assert_int_equal(b.at[i], 'a' + (int)(i % 26));
    assert_true(b.room <= 100001);
    rb_buffer_fini(&b);
}

static void json_is_always_valid(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t len;
        const char *json;
    } cases[] = {
        {"", 0, "\"\""},
        {"plain", 5, "\"plain\""},
        {"\"\\/", 3, "\"\\\"\\\\/\""},
        {"\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\""},
        {"\0\x1f\x7f", 3, "\"\\u0000\\u001f\\u007f\""},
        {"\xc2\x80\xc2\x9f\xc2\xa0", 6, "\"\\u0080\\u009f\xc2\xa0\""},
        {"\xe2\x82\xac\xf0\x9f\x98\x80", 7, "\"\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {"\xff", 1, "\"\xef\xbf\xbd\""},
        {"a\xe2\x82", 3, "\"a\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rb_buffer b;
        rb_buffer_init(&b, 100);
        rb_buffer_json(&b, rb_text(cases[i].text, cases[i].len));
        assert_string_equal(b.at, cases[i].json);
        rb_buffer_fini(&b);
    }
}

static void reserve_and_commit(void **state) {
    (void)state;
    struct rb_buffer b;
    rb_buffer_init(&b, 200);
    char *to = rb_buffer_reserve(&b, 150);
    assert_non_null(to);
    memcpy(to, "abc", 3);
    rb_buffer_commit(&b, 3);
    assert_string_equal(b.at, "abc");
    assert_null(rb_buffer_reserve(&b, 198));
    assert_int_equal(b.status, RB_TOO_LARGE);
    rb_buffer_fini(&b);
}

static void consumes_from_the_front(void **state) {
    (void)state;
    struct rb_buffer b;
    rb_buffer_init(&b, 10);
    rb_buffer_consume(&b, 3);
    rb_buffer_string(&b, "abcdef");
    rb_buffer_consume(&b, 2);
    assert_string_equal(b.at, "cdef");
    rb_buffer_consume(&b, 0);
    assert_string_equal(b.at, "cdef");
    rb_buffer_consume(&b, 99);
    assert_string_equal(b.at, "");
    assert_int_equal(b.len, 0);
    rb_buffer_fini(&b);
}

static void detaches(void **state) {
    (void)state;
    struct rb_buffer b;
    size_t len = 9;
    rb_buffer_init(&b, 10);
    char *empty = rb_buffer_detach(&b, &len);
    assert_string_equal(empty, "");
    assert_int_equal(len, 0);
    free(empty);
    rb_buffer_add(&b, "a\0b", 3);
    char *at = rb_buffer_detach(&b, &len);
    assert_memory_equal(at, "a\0b", 4);
    assert_int_equal(len, 3);
    free(at);
    assert_int_equal(b.len, 0);
    assert_int_equal(b.limit, 10);
    rb_buffer_fini(&b);
}

static void each_failed_allocation_sticks_and_loses_nothing(void **state) {
    (void)state;
    for (int allowed = 0; allowed < 3; allowed++) {
        struct rb_buffer b;
        rb_buffer_init(&b, 1000);
        allocations_left = allowed;
        size_t before = 0;
        for (int i = 0; i < 60 && b.status == RB_OK; i++) {
            before = b.len;
            rb_buffer_string(&b, "0123456789");
        }
        assert_int_equal(b.status, RB_NOMEM);
        assert_int_equal(b.len, before);
        allocations_left = -1;
        rb_buffer_char(&b, 'x');
        assert_int_equal(b.status, RB_NOMEM);
        assert_null(rb_buffer_detach(&b, NULL));
        assert_int_equal(b.len, before);
        rb_buffer_clear(&b);
        rb_buffer_char(&b, 'x');
        assert_int_equal(b.status, RB_OK);
        rb_buffer_fini(&b);
    }
    struct rb_buffer b;
    rb_buffer_init(&b, 1000);
    allocations_left = 0;
    rb_buffer_json(&b, RB_TEXT("a\"b"));
    rb_buffer_printf(&b, "%d", 1);
    rb_buffer_int(&b, -1);
    assert_null(rb_buffer_detach(&b, NULL));
    assert_int_equal(b.status, RB_NOMEM);
    allocations_left = -1;
    rb_buffer_fini(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builds),
        cmocka_unit_test(ceiling_holds_to_the_byte_and_sticks),
        cmocka_unit_test(a_ceiling_that_was_lowered_holds),
        cmocka_unit_test(grows_over_many_sizes),
        cmocka_unit_test(json_is_always_valid),
        cmocka_unit_test(reserve_and_commit),
        cmocka_unit_test(consumes_from_the_front),
        cmocka_unit_test(detaches),
        cmocka_unit_test(each_failed_allocation_sticks_and_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
