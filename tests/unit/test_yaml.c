/* YAML as a tree. The source is compiled in here with a malloc and a calloc that can be
 * told to fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int allocations_left = -1; /* -1 = no end */

static int may_allocate(void) {
    if (allocations_left == 0)
        return 0;
    if (allocations_left > 0)
        allocations_left--;
    return 1;
}

static void *limited_malloc(size_t size) { return may_allocate() ? malloc(size) : NULL; }

static void *limited_calloc(size_t count, size_t size) {
    return may_allocate() ? calloc(count, size) : NULL;
}

#undef malloc
#undef calloc
#define malloc limited_malloc
#define calloc limited_calloc
#include "config/yaml.c"
#undef malloc
#undef calloc

static struct rb_yaml *parse(const char *text) {
    struct rb_errors errors = {0};
    struct rb_yaml *root;
    if (rb_yaml_parse("f.yaml", rb_text_of(text), &root, &errors) != RB_OK)
        fail_msg("%d:%d: %s", errors.kept[0].line, errors.kept[0].column,
                 errors.kept[0].text);
    assert_int_equal(errors.count, 0);
    return root;
}

static void tree_knows_its_lines(void **state) {
    (void)state;
    struct rb_yaml *root = parse("# comment\n"
                                 "a: 1\n"
                                 "list: [x, \"y\", {k: v}]\n"
                                 "nested:\n"
                                 "  block: |\n"
                                 "    text\n"
                                 "  empty:\n"
                                 "\"\": quoted key\n");
    assert_int_equal(root->kind, RB_YAML_MAPPING);
    assert_string_equal(root->file, "f.yaml");
    assert_int_equal(root->count, 4);
    const struct rb_yaml *a = rb_yaml_get(root, "a");
    assert_true(rb_text_is(a->text, "1"));
    assert_int_equal(a->line, 2);
    assert_int_equal(a->column, 4);
    assert_int_equal(a->key_line, 2);
    assert_int_equal(a->key_column, 1);
    assert_false(a->quoted);
    assert_string_equal(a->file, "f.yaml");

    const struct rb_yaml *list = rb_yaml_get(root, "list");
    assert_int_equal(list->kind, RB_YAML_SEQUENCE);
    assert_int_equal(list->count, 3);
    assert_true(list->items[1].quoted);
    assert_int_equal(list->items[1].column, 11);
    assert_int_equal(list->items[1].key.len, 0);
    assert_null(list->items[1].key.at);
    assert_true(rb_text_is(rb_yaml_get(&list->items[2], "k")->text, "v"));

    const struct rb_yaml *nested = rb_yaml_get(root, "nested");
    const struct rb_yaml *block = rb_yaml_get(nested, "block");
    assert_string_equal(block->text.at, "text\n");
    assert_true(block->quoted);
    const struct rb_yaml *empty = rb_yaml_get(nested, "empty");
    assert_true(rb_yaml_is_null(empty));
    assert_int_equal(empty->key_line, 7);
    assert_non_null(rb_yaml_get(root, ""));
    assert_null(rb_yaml_get(root, "b"));
    assert_null(rb_yaml_get(list, "a"));
    assert_null(rb_yaml_get(NULL, "a"));
    rb_yaml_free(root);
    rb_yaml_free(NULL);
}

static void describes(void **state) {
    (void)state;
    struct rb_yaml *root = parse(
        "a: s\nb: []\nc: {}\nd: ~\ne: \"null\"\nf: null\ng: 'x'\nh: NULL\ni: nULL\n");
    static const char *const expected[] = {"a string", "a list",   "a mapping",
                                           "nothing",  "a string", "nothing",
                                           "a string", "nothing",  "a string"};
    for (size_t i = 0; i < root->count; i++)
        assert_string_equal(rb_yaml_describe(&root->items[i]), expected[i]);
    rb_yaml_free(root);
}

static void nothing_is_an_empty_mapping(void **state) {
    (void)state;
    static const char *const texts[] = {"",      "\n\n",    "# only this\n",
                                        "---\n", "--- ~\n", "\xef\xbb\xbf"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct rb_yaml *root = parse(texts[i]);
        assert_int_equal(root->kind, RB_YAML_MAPPING);
        assert_int_equal(root->count, 0);
        rb_yaml_free(root);
    }
}

static void aliases_share_their_text(void **state) {
    (void)state;
    struct rb_yaml *root = parse("a: &x {k: v}\nb: *x\nc: [*x, *x]\n");
    const struct rb_yaml *first = rb_yaml_get(rb_yaml_get(root, "a"), "k");
    const struct rb_yaml *second = rb_yaml_get(&rb_yaml_get(root, "c")->items[1], "k");
    assert_true(rb_text_is(second->text, "v"));
    assert_ptr_equal(first->text.at, second->text.at);
    rb_yaml_free(root);
}

static void byte_order_mark_is_no_column(void **state) {
    (void)state;
    struct rb_yaml *root = parse("\xef\xbb\xbf"
                                 "a: 1\n");
    assert_int_equal(rb_yaml_get(root, "a")->key_column, 1);
    rb_yaml_free(root);
}

static void refuses_with_the_place(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t len; /* 0 = up to the NUL */
        int line, column;
        const char *said;
    } cases[] = {
        {"a: 1\n---\nb: 2\n", 0, 2, 1, "second document"},
        {"a: 1\n---\n", 0, 2, 1, "second document"},
        {"a: 1\n...\nb: [\n", 0, 3, 1, "YAML: "},
        {"a:\n\tb: 1\n", 0, 2, 1, "cannot start any token"},
        {"a: 1\nb: x\0y\n", 12, 2, 5, "control characters"},
        {"a: 1\nb: \x1b\n", 0, 2, 4, "control characters"},
        {"a: 1\nb: caf\xff\n", 0, 2, 7, "UTF-8"},
        {"\xc3\xa9: \xed\xa0\x80\n", 0, 1, 4, "Unicode"},
        {"a: \xc3", 0, 1, 4, "UTF-8"},
        {"\xff\xfe"
         "a",
         0, 1, 1, "UTF-8"},
        {"a: b: c\n", 0, 1, 5, "not allowed in this context"},
        {"a: [1\nb: 2", 0, 2, 2, "',' or ']'"},
        {"a: {b: 1\n", 0, 2, 1, "YAML: "},
        {"a: \"open\n", 0, 2, 1, "end of stream"},
        {"a: *nowhere\n", 0, 1, 4, "undefined alias"},
        {"a: &x 1\nb: &x 2\n", 0, 2, 4, "duplicate anchor"},
        {"a: &x [*x]\n", 0, 1, 4, "nested more than 32"},
        {"a: &x {b: *x}\n", 0, 1, 4, "nested more than 32"},
        {"a: 1\n<<: {b: 2}\n", 0, 2, 1, "merge keys"},
        {"? [a]\n: 1\n", 0, 1, 3, "expected a string as key"},
        {"? {a: 1}\n: 1\n", 0, 1, 3, "expected a string as key"},
        {"~: 1\n", 0, 1, 1, "got nothing"},
        {": 1\n", 0, 1, 1, "expected key"},
        {"null: 1\n", 0, 1, 1, "got nothing"},
        {"a: 1\nb: 2\na: 3\n", 0, 3, 1, "duplicate key \"a\", first at line 1"},
        {"x: {a: 1, \"a\": 2}\n", 0, 1, 11, "duplicate key \"a\""},
        {"a: !!int 1\n", 0, 1, 4, "tags"},
        {"a: !mine {b: 1}\n", 0, 1, 4, "tags"},
        {"!x a: 1\n", 0, 1, 1, "tags"},
        {"--- !x\n", 0, 1, 5, "tags"},
        {"%FOO\n---\na: 1\n", 0, 1, 5, "directive"},
        {"\"a\\0b\": 1\n", 0, 1, 1, "NUL"},
        {"@a: 1\n", 0, 1, 1, "cannot start any token"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rb_errors errors = {0};
        struct rb_yaml *root = (struct rb_yaml *)(void *)&errors;
        size_t len = cases[i].len > 0 ? cases[i].len : strlen(cases[i].text);
        /* Exactly as long as it is, so that a read beyond the end is seen. */
        char *exact = calloc(1, len);
        memcpy(exact, cases[i].text, len);
        enum rb_status status = rb_yaml_parse("f", rb_text(exact, len), &root, &errors);
        free(exact);
        const struct rb_error *e = &errors.kept[0];
        if (status != RB_INVALID || errors.count == 0 || e->line != cases[i].line ||
            e->column != cases[i].column || !strstr(e->text, cases[i].said))
            fail_msg("%s\n  gave %s %d:%d: %s", cases[i].text, rb_status_text(status),
                     e->line, e->column, e->text);
        assert_string_equal(e->file, "f");
        assert_null(root);
    }
}

static void tells_each_duplicate(void **state) {
    (void)state;
    struct rb_errors errors = {0};
    struct rb_yaml *root;
    assert_int_equal(
        rb_yaml_parse("f", RB_TEXT("a: 1\nb: 1\na: 2\nb: 2\na: 3\n"), &root, &errors),
        RB_INVALID);
    assert_int_equal(errors.count, 3);
}

static void add_nested(struct rb_buffer *b, int depth) {
    for (int i = 0; i < depth; i++)
        rb_buffer_char(b, '[');
    for (int i = 0; i < depth; i++)
        rb_buffer_char(b, ']');
}

static void bounds_hold(void **state) {
    (void)state;
    struct rb_buffer b;
    struct rb_yaml *root;
    struct rb_errors errors = {0};
    rb_buffer_init(&b, 4 << 20);

    add_nested(&b, 32);
    assert_int_equal(rb_yaml_parse("f", rb_buffer_view(&b), &root, &errors), RB_OK);
    rb_yaml_free(root);
    rb_buffer_clear(&b);
    add_nested(&b, 33);
    assert_int_equal(rb_yaml_parse("f", rb_buffer_view(&b), &root, &errors), RB_INVALID);
    assert_non_null(strstr(errors.kept[0].text, "nested more than 32"));
    assert_int_equal(errors.kept[0].column, 33);
    rb_buffer_clear(&b);
    add_nested(&b, 2000);
    assert_int_equal(rb_yaml_parse("f", rb_buffer_view(&b), &root, &errors), RB_INVALID);

    rb_buffer_clear(&b);
    rb_buffer_string(&b, "[1");
    for (int i = 2; i < 100000; i++)
        rb_buffer_string(&b, ",1");
    rb_buffer_string(&b, "]");
    errors.count = 0;
    assert_int_equal(rb_yaml_parse("f", rb_buffer_view(&b), &root, &errors), RB_OK);
    rb_yaml_free(root);
    b.len--;
    rb_buffer_string(&b, ",1]");
    assert_int_equal(rb_yaml_parse("f", rb_buffer_view(&b), &root, &errors), RB_INVALID);
    assert_non_null(strstr(errors.kept[0].text, "more than 100000 nodes"));

    /* A billion laughs. */
    rb_buffer_clear(&b);
    rb_buffer_string(&b, "a: &a [1,1,1,1,1,1,1,1,1,1]\n");
    for (char c = 'b'; c <= 'j'; c++) {
        rb_buffer_printf(&b, "%c: &%c [*%c", c, c, c - 1);
        for (int i = 0; i < 9; i++)
            rb_buffer_printf(&b, ",*%c", c - 1);
        rb_buffer_string(&b, "]\n");
    }
    errors.count = 0;
    assert_int_equal(rb_yaml_parse("f", rb_buffer_view(&b), &root, &errors), RB_INVALID);
    assert_non_null(strstr(errors.kept[0].text, "more than 100000 nodes"));

    rb_buffer_clear(&b);
    rb_buffer_string(&b, "a: ");
    while (b.len < 1024 * 1024)
        rb_buffer_char(&b, 'x');
    errors.count = 0;
    assert_int_equal(rb_yaml_parse("f", rb_buffer_view(&b), &root, &errors), RB_OK);
    rb_yaml_free(root);
    rb_buffer_char(&b, 'x');
    assert_int_equal(rb_yaml_parse("f", rb_buffer_view(&b), &root, &errors),
                     RB_TOO_LARGE);
    rb_buffer_fini(&b);
}

/* Whatever is done to a good text, it is taken or refused with a place, and nothing
 * leaks. */
static void mangled_texts_never_harm(void **state) {
    (void)state;
    static const char good[] = "a: &x [1, \"two\", {k: 'v'}]\nb: *x\nc:\n  d: |\n    t\n";
    static const char wild[] = "\0\t\n :-[]{}&*!|>'\"%@`#,?\xff\xc3";
    char text[sizeof good];
    for (size_t at = 0; at < sizeof good - 1; at++) {
        for (size_t w = 0; w < sizeof wild; w++) {
            struct rb_errors errors = {0};
            struct rb_yaml *root;
            memcpy(text, good, sizeof good);
            text[at] = wild[w];
            enum rb_status status =
                rb_yaml_parse("f", rb_text(text, sizeof good - 1), &root, &errors);
            assert_true(status == RB_OK || status == RB_INVALID);
            assert_true((status == RB_OK) == (errors.count == 0));
            assert_true(status == RB_OK || errors.kept[0].line > 0);
            rb_yaml_free(root);
        }
        struct rb_errors errors = {0};
        struct rb_yaml *root;
        if (rb_yaml_parse("f", rb_text(good, at), &root, &errors) == RB_OK)
            rb_yaml_free(root);
    }
}

static void each_failed_allocation_is_told(void **state) {
    (void)state;
    static const char text[] = "a: [1, 2]\nb: {c: 1, d: 2}\n";
    enum rb_status status = RB_NOMEM;
    int allowed = 0;
    for (; status == RB_NOMEM && allowed < 100; allowed++) {
        struct rb_errors errors = {0};
        struct rb_yaml *root;
        allocations_left = allowed;
        status = rb_yaml_parse("f", rb_text_of(text), &root, &errors);
        allocations_left = -1;
        assert_true((status == RB_NOMEM) == (errors.count == 1));
        assert_true((status == RB_OK) == (root != NULL));
        rb_yaml_free(root);
    }
    assert_int_equal(status, RB_OK);
    assert_true(allowed > 4);
}

static void loads_files(void **state) {
    (void)state;
    char path[] = "/tmp/test_yaml_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    struct rb_errors errors = {0};
    struct rb_yaml *root;
    assert_int_equal(write(fd, "a: 1\nb\n", 7), 7);
    assert_int_equal(rb_yaml_load(path, &root, &errors), RB_INVALID);
    assert_string_equal(errors.kept[0].file, path);
    assert_int_equal(ftruncate(fd, 5), 0);
    assert_int_equal(rb_yaml_load(path, &root, &errors), RB_OK);
    assert_string_equal(root->file, path);
    rb_yaml_free(root);
    assert_int_equal(ftruncate(fd, 1024 * 1024 + 1), 0);
    assert_int_equal(rb_yaml_load(path, &root, &errors), RB_TOO_LARGE);
    assert_int_equal(ftruncate(fd, 64 * 1024 * 1024), 0);
    assert_int_equal(rb_yaml_load(path, &root, &errors), RB_TOO_LARGE);
    close(fd);
    unlink(path);
    errors.count = 0;
    assert_int_equal(rb_yaml_load(path, &root, &errors), RB_SYSTEM);
    assert_non_null(strstr(errors.kept[0].text, "No such file"));
    assert_int_equal(errors.kept[0].line, 0);
    assert_int_equal(rb_yaml_load("/tmp", &root, &errors), RB_SYSTEM);
    assert_null(root);
}

static void only_names_the_nearest(void **state) {
    (void)state;
    static const char *const known[] = {"method", "url", "headers", NULL};
    struct rb_errors errors = {0};
    struct rb_yaml *root = parse("url: x\nmehtod: GET\nbody: y\n");
    rb_yaml_only(root, known, &errors);
    assert_int_equal(errors.count, 2);
    assert_int_equal(errors.kept[0].line, 2);
    assert_string_equal(errors.kept[0].text,
                        "unknown key \"mehtod\"; did you mean \"method\"?");
    assert_string_equal(errors.kept[1].text,
                        "unknown key \"body\"; known are: method, url, headers");
    rb_yaml_only(rb_yaml_get(root, "url"), known, &errors);
    assert_string_equal(errors.kept[2].text, "expected a mapping, got a string");
    assert_int_equal(errors.kept[2].column, 6);
    rb_yaml_key_error(&root->items[2], &errors, "%s", "key");
    assert_int_equal(errors.kept[3].line, 3);
    assert_int_equal(errors.kept[3].column, 1);
    rb_yaml_error(&root->items[2], &errors, "%s", "value");
    assert_int_equal(errors.kept[4].column, 7);
    rb_yaml_free(root);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tree_knows_its_lines),
        cmocka_unit_test(describes),
        cmocka_unit_test(nothing_is_an_empty_mapping),
        cmocka_unit_test(aliases_share_their_text),
        cmocka_unit_test(byte_order_mark_is_no_column),
        cmocka_unit_test(refuses_with_the_place),
        cmocka_unit_test(tells_each_duplicate),
        cmocka_unit_test(bounds_hold),
        cmocka_unit_test(mangled_texts_never_harm),
        cmocka_unit_test(each_failed_allocation_is_told),
        cmocka_unit_test(loads_files),
        cmocka_unit_test(only_names_the_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
