/* Reading of borrowed text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/text.h"

static void compares(void **state) {
    (void)state;
    struct rb_text null = {NULL, 0};
    assert_true(rb_text_equal(null, RB_TEXT("")));
    assert_true(rb_text_is(RB_TEXT("abc"), "abc"));
    assert_false(rb_text_is(RB_TEXT("abc"), "abcd"));
    assert_false(rb_text_is(rb_text("a\0b", 3), "a"));
    assert_true(rb_text_equal_nocase(RB_TEXT("HoSt"), RB_TEXT("hOsT")));
    assert_false(rb_text_equal_nocase(RB_TEXT("host"), RB_TEXT("hosts")));
    /* Only letters fold: '[' is '{' with another bit. */
    assert_false(rb_text_equal_nocase(RB_TEXT("["), RB_TEXT("{")));
    char name[] = "[A-Z].\xc3\x84";
    rb_text_lower(name);
    assert_string_equal(name, "[a-z].\xc3\x84");
    rb_text_lower(NULL);
    assert_false(rb_text_equal_nocase(RB_TEXT("@"), RB_TEXT("`")));
    assert_true(rb_text_starts(RB_TEXT("unix:/x"), RB_TEXT("unix:")));
    assert_false(rb_text_starts(RB_TEXT("uni"), RB_TEXT("unix:")));
    assert_true(rb_text_starts(null, null));
}

static void trims_spaces_and_tabs_only(void **state) {
    (void)state;
    assert_true(rb_text_is(rb_text_trim(RB_TEXT(" \ta b\t ")), "a b"));
    assert_true(rb_text_is(rb_text_trim(RB_TEXT(" \t ")), ""));
    assert_true(rb_text_is(rb_text_trim(RB_TEXT("\na\r")), "\na\r"));
    assert_int_equal(rb_text_trim((struct rb_text){NULL, 0}).len, 0);
}

static void splits(void **state) {
    (void)state;
    struct rb_text rest = RB_TEXT("a,,bc"), part;
    assert_true(rb_text_next(&rest, ',', &part));
    assert_true(rb_text_is(part, "a"));
    assert_true(rb_text_next(&rest, ',', &part));
    assert_true(rb_text_is(part, ""));
    assert_true(rb_text_next(&rest, ',', &part));
    assert_true(rb_text_is(part, "bc"));
    assert_false(rb_text_next(&rest, ',', &part));
    assert_false(rb_text_next(&rest, ',', &part));

    rest = RB_TEXT("a,");
    assert_true(rb_text_next(&rest, ',', &part));
    assert_false(rb_text_next(&rest, ',', &part));
    rest = RB_TEXT("");
    assert_false(rb_text_next(&rest, ',', &part));
    rest = (struct rb_text){NULL, 0};
    assert_false(rb_text_next(&rest, ',', &part));
}

static void copies_with_a_nul_behind(void **state) {
    (void)state;
    char *copy = rb_text_copy(rb_text("a\0bc", 3));
    assert_memory_equal(copy, "a\0b", 4);
    free(copy);
    copy = rb_text_copy((struct rb_text){NULL, 0});
    assert_string_equal(copy, "");
    free(copy);
}

static void reads_integers(void **state) {
    (void)state;
    int64_t n;
    uint64_t u;
    assert_int_equal(rb_text_int64(RB_TEXT("0"), &n), RB_OK);
    assert_true(n == 0);
    assert_int_equal(rb_text_int64(RB_TEXT("-0"), &n), RB_OK);
    assert_true(n == 0);
    assert_int_equal(rb_text_int64(RB_TEXT("9223372036854775807"), &n), RB_OK);
    assert_true(n == INT64_MAX);
    assert_int_equal(rb_text_int64(RB_TEXT("-9223372036854775808"), &n), RB_OK);
    assert_true(n == INT64_MIN);
    assert_int_equal(rb_text_uint64(RB_TEXT("18446744073709551615"), &u), RB_OK);
    assert_true(u == UINT64_MAX);

    static const char *const wrong[] = {"",
                                        "-",
                                        "+1",
                                        " 1",
                                        "1 ",
                                        "1.0",
                                        "0x1",
                                        "1a",
                                        "--1",
                                        "٣",
                                        "1\t\n",
                                        "9223372036854775808",
                                        "-9223372036854775809",
                                        "18446744073709551616",
                                        "99999999999999999999999"};
    n = 42;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(rb_text_int64(rb_text_of(wrong[i]), &n), RB_INVALID);
    assert_true(n == 42);
    assert_int_equal(rb_text_uint64(RB_TEXT("-1"), &u), RB_INVALID);
    assert_int_equal(rb_text_uint64(RB_TEXT("18446744073709551616"), &u), RB_INVALID);
    assert_int_equal(rb_text_uint64(RB_TEXT("18446744073709551620"), &u), RB_INVALID);
    assert_int_equal(rb_text_int64(rb_text("1\0", 2), &n), RB_INVALID);
}

static void reads_durations(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } right[] = {
        {"0", 0},
        {"0s", 0},
        {"250ms", 250},
        {"2s", 2000},
        {"1.5s", 1500},
        {"0.25m", 15000},
        {"5m", 300000},
        {"1h", 3600000},
        {"7d", 604800000},
        {"0.001s", 1},
        {"1.000s", 1000},
        {"90m", 5400000},
        {"106751991167d", INT64_C(106751991167) * 86400000},
    };
    int64_t ms;
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        assert_int_equal(rb_text_duration_ms(rb_text_of(right[i].text), &ms), RB_OK);
        assert_true(ms == right[i].ms);
    }
    static const char *const wrong[] = {"",
                                        "5",
                                        "s",
                                        "ms",
                                        "-1s",
                                        "+1s",
                                        "1 s",
                                        "1S",
                                        "1.s",
                                        ".5s",
                                        "1.2.3s",
                                        "0.5ms",
                                        "1e3s",
                                        "1w",
                                        "1s ",
                                        "1s2",
                                        "1.0000001s",
                                        "0.0001s",
                                        "00",
                                        "1m30s",
                                        "106751991168d",
                                        "99999999999999999999s",
                                        "9223372036854775808ms"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(rb_text_duration_ms(rb_text_of(wrong[i]), &ms), RB_INVALID);
}

static void reads_sizes(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t bytes;
    } right[] = {
        {"0", 0},
        {"4096", 4096},
        {"12B", 12},
        {"256KiB", 262144},
        {"1MiB", 1048576},
        {"2GiB", INT64_C(2147483648)},
        {"64kB", 64000},
        {"1.5MiB", 1572864},
        {"1MB", 1000000},
        {"1GB", 1000000000},
        {"1TiB", INT64_C(1099511627776)},
        {"8388607TiB", INT64_C(8388607) << 40},
        {"0.999999TiB", INT64_C(-1)},
    };
    int64_t bytes;
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        /* -1: no whole number of bytes */
        enum rb_status expected = right[i].bytes < 0 ? RB_INVALID : RB_OK;
        assert_int_equal(rb_text_bytes(rb_text_of(right[i].text), &bytes), expected);
        if (expected == RB_OK)
            assert_true(bytes == right[i].bytes);
    }
    static const char *const wrong[] = {"",           "KiB",  "1K",  "1k",    "1KB",
                                        "1kib",       "1M",   "-1",  "1 B",   "0.5",
                                        "8388608TiB", "1.5B", "1.5", "0x10B", "1KiBB"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(rb_text_bytes(rb_text_of(wrong[i]), &bytes), RB_INVALID);
}

static void reads_booleans(void **state) {
    (void)state;
    bool value = false;
    assert_int_equal(rb_text_bool(RB_TEXT("yes"), &value), RB_OK);
    assert_true(value);
    assert_int_equal(rb_text_bool(RB_TEXT("off"), &value), RB_OK);
    assert_false(value);
    assert_int_equal(rb_text_bool(RB_TEXT("true"), &value), RB_OK);
    assert_true(value);
    assert_int_equal(rb_text_bool(RB_TEXT("True"), &value), RB_INVALID);
    assert_int_equal(rb_text_bool(RB_TEXT("1"), &value), RB_INVALID);
    assert_int_equal(rb_text_bool(RB_TEXT(""), &value), RB_INVALID);
    assert_true(value);
}

static void guesses_slips_of_the_finger_only(void **state) {
    (void)state;
    static const char *const words[] = {"listen", "lease",         "level", "url",
                                        "ttl",    "max_in_flight", NULL};
    assert_string_equal(rb_text_nearest(RB_TEXT("lisen"), words), "listen");
    assert_string_equal(rb_text_nearest(RB_TEXT("lsiten"), words), "listen");
    assert_string_equal(rb_text_nearest(RB_TEXT("LISTEN"), words), "listen");
    assert_string_equal(rb_text_nearest(RB_TEXT("max-inflight"), words), "max_in_flight");
    assert_string_equal(rb_text_nearest(RB_TEXT("urll"), words), "url");
    assert_string_equal(rb_text_nearest(RB_TEXT("lease"), words), "lease");
    assert_null(rb_text_nearest(RB_TEXT("queue"), words));
    assert_null(rb_text_nearest(RB_TEXT("x"), words));
    assert_null(rb_text_nearest(RB_TEXT(""), words));
    char longer[65];
    memset(longer, 'l', sizeof longer);
    assert_null(rb_text_nearest(rb_text(longer, sizeof longer), words));
    assert_null(rb_text_nearest(RB_TEXT("listen"), (const char *const[]){NULL}));
}

static void knows_utf8(void **state) {
    (void)state;
    static const char *const right[] = {
        "",
        "a",
        "\xc2\x80",
        "\xdf\xbf",
        "\xe0\xa0\x80",
        "\xed\x9f\xbf",
        "\xee\x80\x80",
        "\xef\xbf\xbf",
        "\xf0\x90\x80\x80",
        "\xf4\x8f\xbf\xbf",
        "x\xe2\x82\xacy",
    };
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++)
        assert_true(rb_text_utf8(rb_text_of(right[i])));
    assert_true(rb_text_utf8(rb_text("\0", 1)));
    static const char *const wrong[] = {
        "\x80",
        "\xbf",
        "\xc0\x80",
        "\xc1\xbf",
        "\xc2",
        "\xc2x",
        "\xe0\x9f\xbf",
        "\xe0\xa0",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xff",
        "\xf0\x90\x80",
        "\xf0\x90\x80x",
        "a\xe2\x82",
        "\xe2x\x82",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(rb_text_utf8(rb_text_of(wrong[i])));
    assert_int_equal(rb_text_utf8_step(RB_TEXT("\xe2\x82\xac!")), 3);
    assert_int_equal(rb_text_utf8_step(RB_TEXT("")), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares),
        cmocka_unit_test(trims_spaces_and_tabs_only),
        cmocka_unit_test(splits),
        cmocka_unit_test(copies_with_a_nul_behind),
        cmocka_unit_test(reads_integers),
        cmocka_unit_test(reads_durations),
        cmocka_unit_test(reads_sizes),
        cmocka_unit_test(reads_booleans),
        cmocka_unit_test(guesses_slips_of_the_finger_only),
        cmocka_unit_test(knows_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
