/* Which jobs ask the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "jobs/question.h"
#include "tests/unit/definitions.h"

#define HEAD                                                                             \
    "service: test\n"                                                                    \
    "params: {a: {type: string}, b: {type: string}}\n"

static void digest_of(const char *definition, const char *params, char *digest) {
    struct rb_definition *d = definition_of(definition);
    struct rb_job job = {.id = (char[]){"j1"}};
    json_t *values = json_of(params);
    assert_int_equal(rb_question_digest(d, &job, RB_TEXT("c"), values, digest), RB_OK);
    assert_int_equal(strlen(digest), RB_QUESTION_DIGEST);
    json_decref(values);
    rb_definition_free(d);
}

static bool same(const char *definition, const char *params, const char *definition2,
                 const char *params2) {
    char one[RB_QUESTION_DIGEST + 1], two[RB_QUESTION_DIGEST + 1];
    digest_of(definition, params, one);
    digest_of(definition2, params2, two);
    return strcmp(one, two) == 0;
}

static void by_what_is_sent(void **state) {
    (void)state;
    const char *get =
        HEAD "request: {url: \"https://e.example/${a}\", query: {b: \"${b}\"}}";
    const char *post = HEAD "request: {url: \"https://e.example/\", json: {x: \"${a}\"}}";
    assert_true(same(get, "{\"a\":\"1\",\"b\":\"2\"}", get, "{\"b\":\"2\",\"a\":\"1\"}"));
    assert_false(same(get, "{\"a\":\"1\"}", get, "{\"a\":\"2\"}"));
    assert_false(same(get, "{\"a\":\"1\",\"b\":\"\"}", get, "{\"a\":\"1\"}"));
    assert_true(same(post, "{\"a\":\"1\",\"b\":\"x\"}", post, "{\"a\":\"1\"}"));
    assert_false(same(post, "{\"a\":\"1\"}", post, "{\"a\":\"11\"}"));
    assert_false(same(post, "{\"a\":\"1\"}", get, "{\"a\":\"1\"}"));
}

static void by_what_is_taken_of_it(void **state) {
    (void)state;
    const char *all = HEAD "request: {url: \"https://e.example/\"}";
    const char *some =
        HEAD "request: {url: \"https://e.example/\"}\nresult: {select: /x}";
    const char *more =
        HEAD "request: {url: \"https://e.example/\"}\nresult: {success: [2xx, 404]}";
    assert_true(same(some, "{}", some, "{}"));
    assert_false(same(all, "{}", some, "{}"));
    assert_false(same(all, "{}", more, "{}"));
}

static void secrets_have_no_part_in_it(void **state) {
    (void)state;
    const char *text = HEAD "secrets: {key: {env: RB_TEST_SECRET}}\n"
                            "request: {url: \"https://e.example/?k=${secret.key}\"}";
    char one[RB_QUESTION_DIGEST + 1], two[RB_QUESTION_DIGEST + 1];
    setenv("RB_TEST_SECRET", "s3cret", 1);
    digest_of(text, "{}", one);
    setenv("RB_TEST_SECRET", "an0ther", 1);
    digest_of(text, "{}", two);
    assert_string_equal(one, two);
}

static void of_several_calls(void **state) {
    (void)state;
    const char *two = HEAD "calls: {x: {request: {url: \"https://x.example/${a}\"}}, "
                           "y: {request: {url: \"https://y.example/${b}\"}}}";
    assert_true(same(two, "{\"a\":\"1\",\"b\":\"2\"}", two, "{\"a\":\"1\",\"b\":\"2\"}"));
    assert_false(
        same(two, "{\"a\":\"1\",\"b\":\"2\"}", two, "{\"a\":\"1\",\"b\":\"3\"}"));
}

static void what_can_not_be_rendered(void **state) {
    (void)state;
    struct rb_definition *d =
        definition_of(HEAD "request: {url: \"https://e.example/${a}\"}");
    struct rb_job job = {.id = (char[]){"j1"}};
    char digest[RB_QUESTION_DIGEST + 1];
    json_t *values = json_of("{\"a\": \"..\"}");
    assert_int_equal(rb_question_digest(d, &job, RB_TEXT("c"), values, digest),
                     RB_INVALID);
    json_decref(values);
    rb_definition_free(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_what_is_sent),
        cmocka_unit_test(by_what_is_taken_of_it),
        cmocka_unit_test(secrets_have_no_part_in_it),
        cmocka_unit_test(of_several_calls),
        cmocka_unit_test(what_can_not_be_rendered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
