/* Lines of a batch of events, and the digest of what is published once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "jobs/publish_line.h"
#include "notifier/fingerprint.h"

static void reads_a_line(void **state) {
    (void)state;
    struct rb_publish_line line;
    struct rb_error error;
    assert_int_equal(
        rb_publish_line_parse(RB_TEXT(" {\"data\": {\"n\":1.10} ,\"event\":\"tick\","
                                      "\"channel\":\"order:7\"}\r"),
                              &line, &error),
        RB_OK);
    assert_string_equal(line.channel, "order:7");
    assert_string_equal(line.event, "tick");
    assert_true(rb_text_is(line.data, "{\"n\":1.10}"));
    assert_int_equal(
        rb_publish_line_parse(RB_TEXT("{\"channel\":\"\\u0061b\"}"), &line, &error),
        RB_OK);
    assert_string_equal(line.channel, "ab");
    assert_string_equal(line.event, "message");
    assert_true(rb_text_is(line.data, "null"));
}

static void refuses(void **state) {
    (void)state;
    static const struct {
        const char *line, *says;
    } wrong[] = {
        {"{\"channel\":\"@session\",\"data\":1}", "visitor's own channel"},
        {"", "byte 1"},
        {"x", "byte 1"},
        {"[]", "Expected an object"},
        {"7", "Expected an object"},
        {"{}", "channel is"},
        {"{\"channel\":7}", "channel is"},
        {"{\"channel\":\"\"}", "channel is"},
        {"{\"channel\":\"a b\"}", "channel is"},
        {"{\"channel\":\"a\\u0000b\"}", "channel is"},
        {"{\"channel\":\"a,b\"}", "channel is"},
        {"{\"channel\":\"a\"", "byte"},
        {"{\"channel\":\"a\"} {}", "byte"},
        {"{\"channel\":\"a\",\"event\":null}", "An event's name"},
        {"{\"channel\":\"a\",\"event\":\"\"}", "An event's name"},
        {"{\"channel\":\"a\",\"event\":\"a b\"}", "An event's name"},
        {"{\"channel\":\"a\",\"event\":\"gap\"}", "gap is"},
        {"{\"channel\":\"a\",\"dada\":1}", "no other"},
        {"{\"channel\":\"a\",\"data\":1,\"data\":2}", "data is there twice"},
        {"{\"channel\":\"a\",\"chann\\u0065l\":\"b\"}", "channel is there twice"},
        {"{\"channel\":\"a\",\"data\":\"\xff\"}", "byte"},
        {"{\"channel\":\"a\",\"data\":01}", "byte"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct rb_publish_line line;
        struct rb_error error = {.line = 0};
        assert_int_equal(rb_publish_line_parse(rb_text_of(wrong[i].line), &line, &error),
                         RB_INVALID);
        if (!strstr(error.text, wrong[i].says))
            fail_msg("%s: %s", wrong[i].line, error.text);
    }
    char longest[RB_CHANNEL_MAX + 32] = "{\"channel\":\"";
    size_t len = strlen(longest);
    memset(longest + len, 'c', RB_CHANNEL_MAX + 1);
    memcpy(longest + len + RB_CHANNEL_MAX + 1, "\"}", 3);
    struct rb_publish_line line;
    assert_int_equal(rb_publish_line_parse(rb_text_of(longest), &line, NULL), RB_INVALID);
    memcpy(longest + len + RB_CHANNEL_MAX, "\"}", 3);
    assert_int_equal(rb_publish_line_parse(rb_text_of(longest), &line, NULL), RB_OK);
}

static void goes_through_lines(void **state) {
    (void)state;
    struct rb_text rest = RB_TEXT("\n \r\na\r\n\t\nb"), line;
    size_t number = 0;
    assert_true(rb_publish_line_next(&rest, &number, &line));
    assert_int_equal(number, 3);
    assert_true(rb_text_is(line, "a\r"));
    assert_true(rb_publish_line_next(&rest, &number, &line));
    assert_int_equal(number, 5);
    assert_true(rb_text_is(line, "b"));
    assert_false(rb_publish_line_next(&rest, &number, &line));
}

static void digests_tell_parts_apart(void **state) {
    (void)state;
    const struct rb_text one[] = {RB_TEXT("ab"), RB_TEXT("c")};
    const struct rb_text other[] = {RB_TEXT("a"), RB_TEXT("bc")};
    char a[RB_FINGERPRINT + 1], b[RB_FINGERPRINT + 1], c[RB_FINGERPRINT + 1];
    assert_int_equal(rb_fingerprint(2, one, a), RB_OK);
    assert_int_equal(rb_fingerprint(2, other, b), RB_OK);
    assert_int_equal(rb_fingerprint(2, one, c), RB_OK);
    assert_int_equal(strlen(a), RB_FINGERPRINT);
    assert_string_equal(a, c);
    assert_string_not_equal(a, b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_line),
        cmocka_unit_test(refuses),
        cmocka_unit_test(goes_through_lines),
        cmocka_unit_test(digests_tell_parts_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
