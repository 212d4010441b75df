/* Patterns: what they match, and what is kept away from regcomp. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jobs/pattern.h"

static bool matches(const char *text, const char *string) {
    struct rb_pattern *pattern = rb_pattern_new(rb_text_of(text), NULL);
    assert_non_null(pattern);
    assert_string_equal(rb_pattern_text(pattern), text);
    enum rb_status status = rb_pattern_match(pattern, string);
    assert_true(status == RB_OK || status == RB_INVALID);
    rb_pattern_free(pattern);
    return status == RB_OK;
}

static void matching(void **state) {
    (void)state;
    assert_true(matches("^[A-Z.]{1,8}$", "ACME"));
    assert_false(matches("^[A-Z.]{1,8}$", "acme"));
    assert_false(matches("^[A-Z.]{1,8}$", "ACMEACMEA"));
    assert_false(matches("^[A-Z.]{1,8}$", "ACME\nX"));
    assert_true(matches("b", "abc"));
    assert_true(matches("", "anything"));
    assert_true(matches("^(a|b)+$", "abba"));
    assert_true(matches("^[[:alpha:]]+$", "abc"));
    assert_true(matches("^[]x]$", "]"));
    assert_true(matches("^[^]x]$", "a"));
    assert_true(matches("^\\.$", "."));
    assert_false(matches("^\\.$", "x"));
    assert_true(matches("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
                        "123e4567-e89b-12d3-a456-426614174000"));
}

static void assert_refused(const char *text, const char *sentence) {
    struct rb_error error;
    assert_null(rb_pattern_new(rb_text_of(text), &error));
    if (!strstr(error.text, sentence))
        fail_msg("%s: %s", text, error.text);
}

static void refuses(void **state) {
    (void)state;
    assert_refused("[a", "no extended regular expression");
    assert_refused("(a", "no extended regular expression");
    assert_refused("a{2,1}", "no extended regular expression");
    assert_refused("\\", "no extended regular expression");
    assert_refused("(a)\\1", "back references");
    assert_refused("(a{1,255}){1,255}", "more than 10000");
    assert_refused("((a{1,30}){1,30}){1,30}", "more than 10000");
    assert_refused("a{200}{200}", "more than 10000");
    assert_refused("(aaaaaaaaaa)*{2000}", "more than 10000");
    assert_refused("a{99999999999999999999}", "more than 10000");
    assert_refused(
        "((((((((((((((((((((((((((((((((((a))))))))))))))))))))))))))))))))))",
        "nested more than 32 deep");
    char longer[514];
    memset(longer, 'a', 513);
    longer[513] = '\0';
    assert_refused(longer, "longer than 512 bytes");
    longer[512] = '\0';
    assert_true(matches(longer, longer));
    struct rb_error error;
    assert_null(rb_pattern_new(rb_text("a\0b", 3), &error));
    assert_non_null(strstr(error.text, "NUL"));
    rb_pattern_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matching),
        cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
