/* JSON Pointer: the examples of RFC 6901 §5, spans that keep their bytes, misses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jobs/json_pointer.h"
#include "jobs/json_scan.h"

static void assert_found(const char *json, const char *pointer, const char *expected) {
    struct rb_text value = {NULL, 0};
    assert_int_equal(rb_json_check(rb_text_of(json), NULL), RB_OK);
    assert_true(rb_json_is_pointer(rb_text_of(pointer)));
    assert_int_equal(rb_json_find(rb_text_of(json), rb_text_of(pointer), &value), RB_OK);
    assert_int_equal(value.len, strlen(expected));
    assert_memory_equal(value.at, expected, value.len);
}

static void assert_missing(const char *json, const char *pointer) {
    struct rb_text value;
    assert_int_equal(rb_json_check(rb_text_of(json), NULL), RB_OK);
    assert_int_equal(rb_json_find(rb_text_of(json), rb_text_of(pointer), &value),
                     RB_NOT_FOUND);
}

static void rfc6901(void **state) {
    (void)state;
    static const char json[] = "{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,"
                               "\"e^f\":3,\"g|h\":4,\"i\\\\j\":5,\"k\\\"l\":6,\" \":7,"
                               "\"m~n\":8}";
    assert_found(json, "", json);
    assert_found(json, "/foo", "[\"bar\",\"baz\"]");
    assert_found(json, "/foo/0", "\"bar\"");
    assert_found(json, "/", "0");
    assert_found(json, "/a~1b", "1");
    assert_found(json, "/c%d", "2");
    assert_found(json, "/e^f", "3");
    assert_found(json, "/g|h", "4");
    assert_found(json, "/i\\j", "5");
    assert_found(json, "/k\"l", "6");
    assert_found(json, "/ ", "7");
    assert_found(json, "/m~0n", "8");
}

static void keeps_bytes(void **state) {
    (void)state;
    static const char json[] =
        "\n{ \"a\" : { \"n\" : 12345678901234567890.10 } , \"b\":[ 1e400 ,\n0.10 ] }\n";
    assert_found(json, "/a", "{ \"n\" : 12345678901234567890.10 }");
    assert_found(json, "/a/n", "12345678901234567890.10");
    assert_found(json, "/b/0", "1e400");
    assert_found(json, "/b/1", "0.10");
    assert_found(" 1 ", "", "1");
    assert_found("{\"a\":1,\"a\":2}", "/a", "2");
    assert_found("{\"\\u00e4\":1}", "/\xc3\xa4", "1");
    assert_found("{\"a\":{\"\":{\"\":3}}}", "/a//", "3");
    assert_found("{\"~1\":1}", "/~01", "1");
}

static void misses(void **state) {
    (void)state;
    assert_missing("{}", "/a");
    assert_missing("{\"a\":1}", "/a/b");
    assert_missing("{\"a\":1}", "/A");
    assert_missing("[]", "/0");
    assert_missing("[1]", "/1");
    assert_missing("[1]", "/-");
    assert_missing("[1]", "/00");
    assert_missing("[1]", "/+0");
    assert_missing("[1]", "/");
    assert_missing("[1]", "/18446744073709551616");
    assert_missing("\"a\"", "/0");
    assert_missing("null", "/a");
}

static void grammar(void **state) {
    (void)state;
    assert_true(rb_json_is_pointer(RB_TEXT("")));
    assert_true(rb_json_is_pointer(RB_TEXT("//~0~1/")));
    assert_false(rb_json_is_pointer(RB_TEXT("a")));
    assert_false(rb_json_is_pointer(RB_TEXT("#/a")));
    assert_false(rb_json_is_pointer(RB_TEXT("/~")));
    assert_false(rb_json_is_pointer(RB_TEXT("/~2")));
    assert_false(rb_json_is_pointer(RB_TEXT("/a~/b")));
    assert_false(rb_json_is_pointer(RB_TEXT("/\xff")));
    char longest[1025];
    memset(longest, 'a', sizeof longest);
    longest[0] = '/';
    assert_true(rb_json_is_pointer(rb_text(longest, 1025)));
    char longer[1026];
    memset(longer, 'a', sizeof longer);
    longer[0] = '/';
    assert_false(rb_json_is_pointer(rb_text(longer, 1026)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc6901),
        cmocka_unit_test(keeps_bytes),
        cmocka_unit_test(misses),
        cmocka_unit_test(grammar),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
