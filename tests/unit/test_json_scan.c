/* The scanner: what is JSON by RFC 8259 and what is not, members, spans. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "jobs/json_scan.h"

static void assert_text(struct rb_text text, const char *expected) {
    assert_int_equal(text.len, strlen(expected));
    assert_memory_equal(text.len ? text.at : "", expected, text.len);
}

static void accepts(void **state) {
    (void)state;
    static const char *const good[] = {
        "null",
        " true ",
        "false",
        "0",
        "-0",
        "-0.0e-0",
        "1E+2",
        "123456789012345678901234567890",
        "1e999999",
        "\"\"",
        "\"\\u0000\\ud800\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
        "\"\x7f\xc2\x80\xef\xbf\xbf\xf4\x8f\xbf\xbf\"",
        "[]",
        "{}",
        "[ ]",
        "{\t}",
        "[1,2,[3,{\"a\":[]}]]",
        "\r\n{ \"a\" : 1 , \"a\" : 2 }\r\n",
        "{\"\":{}}",
        "[[],[],{}]",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_int_equal(rb_json_check(rb_text_of(good[i]), NULL), RB_OK);
}

static const char *const bad[] = {
    "",
    " ",
    "nul",
    "nulll",
    "True",
    "NaN",
    "Infinity",
    "-",
    "+1",
    "01",
    "-01",
    "1.",
    ".5",
    "1.e1",
    "1e",
    "1e+",
    "0x1",
    "1_000",
    "1 2",
    "\"",
    "\"a",
    "'a'",
    "\"\\",
    "\"\\x\"",
    "\"\\u12\"",
    "\"\\u12g4\"",
    "\"\\u123",
    "\"\t\"",
    "\"\n\"",
    "\"\x1f\"",
    "\"\x80\"",
    "\"\xc0\x80\"",
    "\"\xed\xa0\x80\"",
    "\"\xf4\x90\x80\x80\"",
    "\"\xc3\"",
    "[",
    "[1",
    "[1,",
    "[1,]",
    "[,1]",
    "[1 2]",
    "[1}",
    "]",
    "[]]",
    "{",
    "{\"a\"",
    "{\"a\":",
    "{\"a\":1",
    "{\"a\":1,",
    "{\"a\":1,}",
    "{,}",
    "{a:1}",
    "{\"a\" 1}",
    "{1:1}",
    "{\"a\":1]",
    "}",
    "{}{}",
    "[],",
    "{\"a\":1 \"b\":2}",
    "// c\n1",
    "1 // c",
    "/**/1",
    "\xef\xbb\xbf"
    "1",
    "\v1",
    "\xc2\xa0"
    "1",
    "undefined",
    "{\"a\":}",
    "[\"a\":1]",
    ":",
};

static void refuses(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct rb_error error;
        assert_int_equal(rb_json_check(rb_text_of(bad[i]), &error), RB_INVALID);
        assert_non_null(strstr(error.text, "not JSON at byte "));
    }
    assert_int_equal(rb_json_check(rb_text(NULL, 0), NULL), RB_INVALID);
    assert_int_equal(rb_json_check(rb_text("1\0", 2), NULL), RB_INVALID);
    assert_int_equal(rb_json_check(rb_text("\"\0\"", 3), NULL), RB_INVALID);
    assert_int_equal(rb_json_check(rb_text("\"\\\0\"", 4), NULL), RB_INVALID);
}

static void tells_the_place(void **state) {
    (void)state;
    struct rb_error error;
    assert_int_equal(rb_json_check(RB_TEXT("{\"a\":1,\n}"), &error), RB_INVALID);
    assert_string_equal(error.text, "not JSON at byte 9: expected a string");
    assert_int_equal(rb_json_check(RB_TEXT("[1 2]"), &error), RB_INVALID);
    assert_string_equal(error.text, "not JSON at byte 4: expected \",\" or \"]\"");
    assert_int_equal(rb_json_check(RB_TEXT("1 x"), &error), RB_INVALID);
    assert_string_equal(error.text,
                        "not JSON at byte 3: expected nothing behind the value");
}

/* Every text that ends too early is refused, and read no further than its end. */
static void truncated(void **state) {
    (void)state;
    static const char whole[] =
        "{\"a\":[1.5e3,-2,\"\\u00e4\\n\xc3\xa4\",{\"b\":null}],\"c\":true,\"d\":false}";
    for (size_t len = 0; len < sizeof whole - 1; len++) {
        char *exact = malloc(len + 1); /* malloc(0) may be NULL */
        memcpy(exact + 1, whole, len);
        assert_int_equal(rb_json_check(rb_text(exact + 1, len), NULL), RB_INVALID);
        free(exact);
    }
    assert_int_equal(rb_json_check(rb_text_of(whole), NULL), RB_OK);
}

static struct rb_text nested(char *room, size_t depth, const char *open, char close) {
    size_t len = 0;
    for (size_t i = 0; i < depth; i++)
        for (const char *c = open; *c; c++)
            room[len++] = *c;
    room[len++] = '1';
    for (size_t i = 0; i < depth; i++)
        room[len++] = close;
    return rb_text(room, len);
}

static void depth(void **state) {
    (void)state;
    static char room[20000];
    struct rb_error error;
    assert_int_equal(rb_json_check(nested(room, 512, "[", ']'), NULL), RB_OK);
    assert_int_equal(rb_json_check(nested(room, 513, "[", ']'), &error), RB_INVALID);
    assert_string_equal(error.text, "not JSON at byte 513: expected at most 512 levels");
    assert_int_equal(rb_json_check(nested(room, 512, "{\"a\":", '}'), NULL), RB_OK);
    assert_int_equal(rb_json_check(nested(room, 513, "{\"a\":", '}'), NULL), RB_INVALID);
    /* Kinds of brackets are told apart on every level. */
    struct rb_text mixed = nested(room, 300, "[", ']');
    room[299 + 2 + 150] = '}';
    assert_int_equal(rb_json_check(mixed, NULL), RB_INVALID);
}

static void walks(void **state) {
    (void)state;
    struct rb_json_walk walk;
    struct rb_text key, value;
    assert_int_equal(rb_json_walk(RB_TEXT(" {\"a\" : 1 , \"b\":[2, 3] } x"), &walk),
                     RB_OK);
    assert_int_equal(rb_json_next(&walk, &key, &value), RB_OK);
    assert_text(key, "\"a\"");
    assert_text(value, "1");
    assert_int_equal(rb_json_next(&walk, &key, &value), RB_OK);
    assert_text(key, "\"b\"");
    assert_text(value, "[2, 3]");
    assert_int_equal(rb_json_next(&walk, &key, &value), RB_NOT_FOUND);
    assert_text(walk.rest, "x");

    assert_int_equal(rb_json_walk(RB_TEXT("[true,\"x\"]"), &walk), RB_OK);
    assert_int_equal(rb_json_next(&walk, &key, &value), RB_OK);
    assert_text(key, "");
    assert_text(value, "true");
    assert_int_equal(rb_json_next(&walk, &key, &value), RB_OK);
    assert_text(value, "\"x\"");
    assert_int_equal(rb_json_next(&walk, &key, &value), RB_NOT_FOUND);

    assert_int_equal(rb_json_walk(RB_TEXT("[]"), &walk), RB_OK);
    assert_int_equal(rb_json_next(&walk, &key, &value), RB_NOT_FOUND);
    assert_int_equal(rb_json_walk(RB_TEXT("{\"a\":1,,}"), &walk), RB_OK);
    assert_int_equal(rb_json_next(&walk, &key, &value), RB_OK);
    assert_int_equal(rb_json_next(&walk, &key, &value), RB_INVALID);
    assert_int_equal(rb_json_walk(RB_TEXT("{\"a\":1 \"b\":2}"), &walk), RB_OK);
    assert_int_equal(rb_json_next(&walk, &key, &value), RB_OK);
    assert_int_equal(rb_json_next(&walk, &key, &value), RB_INVALID);
    assert_int_equal(rb_json_walk(RB_TEXT("[1,]"), &walk), RB_OK);
    assert_int_equal(rb_json_next(&walk, &key, &value), RB_OK);
    assert_int_equal(rb_json_next(&walk, &key, &value), RB_INVALID);
    assert_int_equal(rb_json_walk(RB_TEXT("\"a\""), &walk), RB_INVALID);
    assert_int_equal(rb_json_walk(RB_TEXT(""), &walk), RB_INVALID);
}

static void strings(void **state) {
    (void)state;
    assert_true(rb_json_string_is(RB_TEXT("\"\""), RB_TEXT("")));
    assert_true(rb_json_string_is(RB_TEXT("\"a\\u0062\\n\\/\\\\\""), RB_TEXT("ab\n/\\")));
    assert_true(rb_json_string_is(RB_TEXT("\"\\u00E4\\u20ac\""),
                                  RB_TEXT("\xc3\xa4\xe2\x82\xac")));
    assert_true(
        rb_json_string_is(RB_TEXT("\"\\ud83d\\ude00\""), RB_TEXT("\xf0\x9f\x98\x80")));
    assert_true(
        rb_json_string_is(RB_TEXT("\"\\b\\f\\r\\t\\\"\""), RB_TEXT("\b\f\r\t\"")));
    assert_false(rb_json_string_is(RB_TEXT("\"\\ud83d\""), RB_TEXT("\xf0\x9f\x98\x80")));
    assert_false(rb_json_string_is(RB_TEXT("\"ab\""), RB_TEXT("a")));
    assert_false(rb_json_string_is(RB_TEXT("\"a\""), RB_TEXT("ab")));
    assert_false(rb_json_string_is(RB_TEXT("\"\\u0000\""), RB_TEXT("")));
    assert_false(rb_json_string_is(RB_TEXT("\"a"), RB_TEXT("a")));
    assert_false(rb_json_string_is(RB_TEXT("a"), RB_TEXT("a")));
    assert_false(rb_json_string_is(RB_TEXT("\"a\" "), RB_TEXT("a")));

    struct rb_text text;
    assert_true(rb_json_plain_string(RB_TEXT("\"a:b\""), &text));
    assert_text(text, "a:b");
    assert_false(rb_json_plain_string(RB_TEXT("\"a\\u0062\""), &text));
    assert_false(rb_json_plain_string(RB_TEXT("12"), &text));
}

/* Each byte at each place of a string that is otherwise plain: what ends it, what is not
 * allowed, and where that is told. */
static void each_byte_at_each_place(void **state) {
    (void)state;
    for (int c = 0; c < 256; c++)
        for (size_t at = 0; at < 20; at++) {
            char text[22] = "\"xxxxxxxxxxxxxxxxxxxx\"", wanted[32];
            struct rb_error error = {0};
            text[1 + at] = (char)c;
            bool good = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
            assert_int_equal(rb_json_check(rb_text(text, sizeof text), &error) == RB_OK,
                             good);
            size_t place = c == '"' || c == '\\' ? at + 3 : at + 2;
            snprintf(wanted, sizeof wanted, "at byte %zu:", place);
            if (!good && !(c == '\\' && at == 19))
                assert_non_null(strstr(error.text, wanted));
        }
}

static void one_line(void **state) {
    (void)state;
    struct rb_buffer out;
    rb_buffer_init(&out, 64);
    rb_json_line(&out, RB_TEXT("{\r\n\"a\\n\": 1.10\n}"));
    assert_text(rb_buffer_view(&out), "{  \"a\\n\": 1.10 }");
    rb_buffer_fini(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts),   cmocka_unit_test(refuses),
        cmocka_unit_test(truncated), cmocka_unit_test(tells_the_place),
        cmocka_unit_test(depth),     cmocka_unit_test(walks),
        cmocka_unit_test(strings),   cmocka_unit_test(each_byte_at_each_place),
        cmocka_unit_test(one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
