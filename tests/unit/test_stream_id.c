/* Stream ids: one spelling each, to the edge of 64 bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jobs/stream_id.h"

static void reads(void **state) {
    (void)state;
    struct rb_stream_id id;
    assert_int_equal(rb_stream_id_parse(RB_TEXT("1700000000000-7"), &id), RB_OK);
    assert_true(id.ms == UINT64_C(1700000000000) && id.seq == 7);
    assert_int_equal(rb_stream_id_parse(RB_TEXT("0-0"), &id), RB_OK);
    assert_true(rb_stream_id_is_zero(id));
    assert_int_equal(
        rb_stream_id_parse(RB_TEXT("18446744073709551615-18446744073709551615"), &id),
        RB_OK);
    assert_true(id.ms == UINT64_MAX && id.seq == UINT64_MAX);
}

static void refuses(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "-",
        "1",
        "1-",
        "-1",
        "1-1-1",
        "1--1",
        "+1-1",
        "1-+1",
        "01-1",
        "1-01",
        "00-0",
        " 1-1",
        "1-1 ",
        "1-1\n",
        "0x1-1",
        "$",
        "*",
        "1.0-1",
        "a-b",
        "1-*",
        "−1-1",
        "1-1,2-2",
        "18446744073709551616-0",
        "0-18446744073709551616",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct rb_stream_id id = {4, 2};
        assert_int_equal(rb_stream_id_parse(rb_text_of(bad[i]), &id), RB_INVALID);
        assert_true(id.ms == 4 && id.seq == 2);
    }
    struct rb_stream_id id;
    assert_int_equal(rb_stream_id_parse(rb_text(NULL, 0), &id), RB_INVALID);
    assert_int_equal(rb_stream_id_parse(rb_text("1-1\0", 4), &id), RB_INVALID);
}

static void writes(void **state) {
    (void)state;
    char out[RB_STREAM_ID_MAX + 1];
    assert_int_equal(rb_stream_id_write((struct rb_stream_id){0, 0}, out), 3);
    assert_string_equal(out, "0-0");
    struct rb_stream_id most = {UINT64_MAX, UINT64_MAX};
    assert_int_equal(rb_stream_id_write(most, out), RB_STREAM_ID_MAX);
    assert_string_equal(out, "18446744073709551615-18446744073709551615");
    rb_stream_id_write((struct rb_stream_id){1700000000000, 10}, out);
    assert_string_equal(out, "1700000000000-10");
}

static void orders(void **state) {
    (void)state;
    struct rb_stream_id a = {1, 9}, b = {2, 0}, c = {2, 10};
    assert_true(rb_stream_id_compare(a, b) < 0);
    assert_true(rb_stream_id_compare(c, b) > 0);
    assert_true(rb_stream_id_compare(c, c) == 0);
    assert_false(rb_stream_id_is_zero(a));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads),
        cmocka_unit_test(refuses),
        cmocka_unit_test(writes),
        cmocka_unit_test(orders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
