/* Statuses and mistakes with their place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "config/status.h"
#include "tests/unit/capture.h"

static void each_status_has_a_phrase(void **state) {
    (void)state;
    for (int i = 0; i < RB_STATUSES; i++) {
        const char *text = rb_status_text((enum rb_status)i);
        assert_true(text[0] >= 'a' && text[0] <= 'z');
        for (int k = 0; k < i; k++)
            assert_string_not_equal(text, rb_status_text((enum rb_status)k));
    }
    assert_string_equal(rb_status_text((enum rb_status)1000), "unknown status");
    assert_string_equal(rb_status_text((enum rb_status) - 1), "unknown status");
}

static void set_fills_and_returns_invalid(void **state) {
    (void)state;
    struct rb_error e;
    assert_int_equal(rb_error_set(&e, "a.yaml", 3, 7, "expected %d, got %s", 5, "x"),
                     RB_INVALID);
    assert_string_equal(e.file, "a.yaml");
    assert_int_equal(e.line, 3);
    assert_int_equal(e.column, 7);
    assert_string_equal(e.text, "expected 5, got x");
    assert_int_equal(rb_error_set(NULL, NULL, 0, 0, "nobody listens"), RB_INVALID);
    assert_int_equal(rb_error_set(&e, NULL, 0, 0, "%s", ""), RB_INVALID);
    assert_string_equal(e.file, "");
    assert_string_equal(e.text, "");
}

static void long_texts_are_cut_between_characters(void **state) {
    (void)state;
    struct rb_error e;
    char text[2000], file[600];
    memset(file, 'f', sizeof file);
    file[sizeof file - 1] = '\0';
    /* Each shift puts the cut at another byte of the two-byte sequences. */
    for (size_t shift = 0; shift < 4; shift++) {
        memset(text, 'x', shift);
        for (size_t i = shift; i + 2 < sizeof text; i += 2)
            memcpy(text + i, "\xc3\xa9", 3);
        (void)rb_error_set(&e, file, 1, 1, "%s", text);
        assert_int_equal(strlen(e.file), sizeof e.file - 1);
        size_t len = strlen(e.text);
        assert_true(len >= sizeof e.text - 2);
        assert_int_equal((len - shift) % 2, 0);
        assert_memory_equal(e.text, text, len);
    }
    /* A four-byte sequence that the cut would leave three bytes of. */
    memset(text, 'x', 508);
    memcpy(text + 508, "\xf0\x9f\x98\x80", 5);
    (void)rb_error_set(&e, NULL, 0, 0, "%s", text);
    assert_int_equal(strlen(e.text), 508);
    /* One that fits to the byte stays. */
    memset(text, 'x', 507);
    memcpy(text + 507, "\xf0\x9f\x98\x80yy", 7);
    (void)rb_error_set(&e, NULL, 0, 0, "%s", text);
    assert_int_equal(strlen(e.text), 511);
}

static void control_bytes_do_not_reach_the_terminal(void **state) {
    (void)state;
    struct rb_error e;
    (void)rb_error_set(&e, "a\nb", 1, 1, "got \"\x1b[2J\r\n\x7f\"");
    assert_string_equal(e.file, "a?b");
    assert_string_equal(e.text, "got \"?[2J???\"");
}

static void errors_count_all_and_keep_the_first(void **state) {
    (void)state;
    static struct rb_errors errors;
    static char out[65536];
    rb_errors_add(&errors, "f", 1, 2, "a");
    rb_errors_add(&errors, "f", 3, 0, "b");
    rb_errors_add(&errors, "f", 0, 0, "c");
    rb_errors_add(&errors, NULL, 0, 0, "d");
    struct capture c = capture_start(2);
    rb_errors_print(&errors);
    capture_end(&c, out, sizeof out);
    assert_string_equal(out, "f:1:2: a\nf:3: b\nf: c\nd\n");

    for (int i = 4; i < RB_ERRORS_KEPT + 3; i++)
        rb_errors_add(&errors, "g", i, 1, "e%d", i);
    assert_int_equal(errors.count, RB_ERRORS_KEPT + 3);
    c = capture_start(2);
    rb_errors_print(&errors);
    capture_end(&c, out, sizeof out);
    assert_non_null(strstr(out, "g:19:1: e19\nand 3 more mistakes\n"));
    assert_null(strstr(out, "e20"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_status_has_a_phrase),
        cmocka_unit_test(set_fills_and_returns_invalid),
        cmocka_unit_test(long_texts_are_cut_between_characters),
        cmocka_unit_test(control_bytes_do_not_reach_the_terminal),
        cmocka_unit_test(errors_count_all_and_keep_the_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
