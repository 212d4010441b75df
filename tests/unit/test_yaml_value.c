/* Values of definitions: what is taken, and the sentence when it is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "jobs/json_write.h"
#include "jobs/yaml_value.h"

static struct rb_errors errors;

/* The value of the key k. */
static const struct rb_yaml *parse(const char *text, struct rb_yaml **root) {
    errors = (struct rb_errors){0};
    assert_int_equal(rb_yaml_parse("f.yaml", rb_text_of(text), root, &errors), RB_OK);
    return rb_yaml_get(*root, "k");
}

static void assert_json(const char *text, const char *expected) {
    struct rb_yaml *root;
    json_t *value = rb_value_json(parse(text, &root), &errors);
    struct rb_buffer out;
    rb_buffer_init(&out, 1024);
    if (!value)
        fail_msg("%s: %s", text, errors.kept[0].text);
    rb_json_write(&out, value);
    assert_string_equal(out.at, expected);
    rb_buffer_fini(&out);
    json_decref(value);
    rb_yaml_free(root);
}

static void json(void **state) {
    (void)state;
    assert_json("k: 5", "5");
    assert_json("k: -0.5e3", "-500.0");
    assert_json("k: '5'", "\"5\"");
    assert_json("k: \"true\"", "\"true\"");
    assert_json("k: true", "true");
    assert_json("k: FALSE", "false");
    assert_json("k: yes", "\"yes\"");
    assert_json("k: no", "\"no\"");
    assert_json("k: ~", "null");
    assert_json("k:", "null");
    assert_json("k: 'null'", "\"null\"");
    assert_json("k: ''", "\"\"");
    assert_json("k: 2024-01-31", "\"2024-01-31\"");
    assert_json("k: 1.2.3", "\"1.2.3\"");
    assert_json("k: 10.0.0.1", "\"10.0.0.1\"");
    assert_json("k: +", "\"+\"");
    assert_json("k: .", "\".\"");
    assert_json("k: 1e", "\"1e\"");
    assert_json("k: 0xzz", "\"0xzz\"");
    assert_json("k: '007'", "\"007\"");
    assert_json("k: {b: [1, x, {c: ~}], a: 0.1}",
                "{\"b\":[1,\"x\",{\"c\":null}],\"a\":0.1}");
    assert_json("k: |\n  a\n  b\n", "\"a\\nb\\n\"");
}

static void ambiguous_numbers(void **state) {
    (void)state;
    static const char *const texts[] = {"007",  "0x1F",  "0o17", "+5",   ".5",  "5.",
                                        ".inf", "-.INF", ".nan", "1.e5", "-01", "+.5"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char text[64], expected[160];
        struct rb_yaml *root;
        snprintf(text, sizeof text, "k: %s", texts[i]);
        assert_null(rb_value_json(parse(text, &root), &errors));
        snprintf(expected, sizeof expected,
                 "\"%s\" is a number to YAML but not to JSON: quote it, or write it as "
                 "JSON does",
                 texts[i]);
        assert_string_equal(errors.kept[0].text, expected);
        assert_int_equal(errors.kept[0].column, 4);
        rb_yaml_free(root);
    }
    struct rb_yaml *root;
    assert_null(rb_value_json(parse("k: 9223372036854775808", &root), &errors));
    assert_string_equal(errors.kept[0].text, "the number is out of range");
    rb_yaml_free(root);
    /* Each mistake of a tree is told. */
    assert_null(rb_value_json(parse("k: [007, {a: +1}]", &root), &errors));
    assert_int_equal(errors.count, 2);
    rb_yaml_free(root);
}

static void assert_wrong(const char *text, bool (*read)(const struct rb_yaml *),
                         const char *sentence) {
    struct rb_yaml *root;
    assert_false(read(parse(text, &root)));
    assert_int_equal(errors.count, 1);
    assert_string_equal(errors.kept[0].text, sentence);
    rb_yaml_free(root);
}

static int64_t number;
static bool flag;

static bool read_int(const struct rb_yaml *n) {
    return rb_value_int(n, 1, 10, &number, &errors);
}

static bool read_duration(const struct rb_yaml *n) {
    return rb_value_duration(n, 1, 86400000, &number, &errors);
}

static bool read_bytes(const struct rb_yaml *n) {
    return rb_value_bytes(n, 1, 16 * 1024 * 1024, &number, &errors);
}

static bool read_bool(const struct rb_yaml *n) {
    return rb_value_bool(n, &flag, &errors);
}

static bool read_text(const struct rb_yaml *n) {
    struct rb_text text;
    return rb_value_text(n, &text, &errors);
}

static bool read_name(const struct rb_yaml *n) {
    return rb_value_is_name(n, "parameter", &errors);
}

static void sentences(void **state) {
    (void)state;
    assert_wrong("k: 11", read_int, "expected a whole number from 1 to 10, got \"11\"");
    assert_wrong("k: x", read_int, "expected a whole number from 1 to 10, got \"x\"");
    assert_wrong("k: 1.5", read_int, "expected a whole number from 1 to 10, got \"1.5\"");
    assert_wrong("k:", read_int, "expected a whole number from 1 to 10, got nothing");
    assert_wrong("k: [1]", read_int, "expected a whole number from 1 to 10, got a list");
    assert_wrong(
        "k: 5", read_duration,
        "expected a duration from 1ms to 1d (a number with ms, s, m, h or d), got "
        "\"5\"");
    assert_wrong(
        "k: 0", read_duration,
        "expected a duration from 1ms to 1d (a number with ms, s, m, h or d), got "
        "\"0\"");
    assert_wrong(
        "k: 25h", read_duration,
        "expected a duration from 1ms to 1d (a number with ms, s, m, h or d), got "
        "\"25h\"");
    assert_wrong(
        "k: 17MiB", read_bytes,
        "expected a size from 1 to 16MiB (bytes, or with KiB, MiB), got \"17MiB\"");
    assert_wrong("k: 5s", read_bytes,
                 "expected a size from 1 to 16MiB (bytes, or with KiB, MiB), got \"5s\"");
    assert_wrong("k: maybe", read_bool, "expected true or false, got \"maybe\"");
    assert_wrong("k: {}", read_text, "expected a string, got a mapping");
    assert_wrong("k: \"a\\0b\"", read_text,
                 "expected a string, got a string with NUL in it");
}

static void values(void **state) {
    (void)state;
    struct rb_yaml *root;
    assert_true(read_int(parse("k: 10", &root)));
    assert_int_equal(number, 10);
    rb_yaml_free(root);
    assert_true(read_duration(parse("k: 1.5s", &root)));
    assert_int_equal(number, 1500);
    rb_yaml_free(root);
    assert_true(read_bytes(parse("k: 64KiB", &root)));
    assert_int_equal(number, 65536);
    rb_yaml_free(root);
    assert_true(read_bool(parse("k: on", &root)));
    assert_true(flag);
    rb_yaml_free(root);
    char *string = rb_value_string(parse("k: 5", &root), &errors);
    assert_string_equal(string, "5");
    free(string);
    rb_yaml_free(root);

    const struct rb_yaml *node = parse("k: [a, b]", &root);
    assert_int_equal(rb_value_count(node), 2);
    assert_true(rb_text_is(rb_value_at(node, 1)->text, "b"));
    rb_yaml_free(root);
    node = parse("k: a", &root);
    assert_int_equal(rb_value_count(node), 1);
    assert_ptr_equal(rb_value_at(node, 0), node);
    rb_yaml_free(root);
}

static void names(void **state) {
    (void)state;
    struct rb_yaml *root;
    assert_true(read_name(parse("k: 1", &root)));
    rb_yaml_free(root);
    static const struct {
        const char *text, *key;
        bool legal;
    } cases[] = {{"_a-B9: 1", "_a-B9", true}, {"9a: 1", "9a", false},
                 {"-a: 1", "-a", false},      {"a.b: 1", "a.b", false},
                 {"a b: 1", "a b", false},    {"'': 1", "", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        parse(cases[i].text, &root);
        assert_int_equal(read_name(&root->items[0]), cases[i].legal);
        rb_yaml_free(root);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json),      cmocka_unit_test(ambiguous_numbers),
        cmocka_unit_test(sentences), cmocka_unit_test(values),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
