/* Calls, need, deadline and hedge of a definition. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/definitions.h"

#define HEAD "service: test\n"
#define ONE "request: {url: \"https://one.example/${x}\"}"
#define TWO "request: {url: \"https://two.example/\", json: {y: \"${x}\"}}"
#define X "params: {x: {type: string}}\n"

static void each_call_is_a_definition(void **state) {
    (void)state;
    struct rb_definition *d = definition_of(
        HEAD X "timeout: {total: 20s}\n"
               "retry: {max_attempts: 4}\n"
               "calls:\n"
               "  one: {" ONE ", result: {select: /a}, hedge: {after: 1s}}\n"
               "  two: {" TWO ", timeout: {per_try: 3s}, retry: {max_attempts: 2}}\n");
    assert_int_equal(d->calls.count, 2);
    assert_int_equal(d->calls.need, 2);
    assert_int_equal(d->calls.deadline_ms, 0);
    assert_null(d->request);
    const struct rb_leg *one = &d->calls.legs[0], *two = &d->calls.legs[1];
    assert_string_equal(one->name, "one");
    assert_int_equal(one->definition->timeout.total, 20000);
    assert_int_equal(one->definition->retry.max_attempts, 4);
    assert_int_equal(one->definition->hedge_after_ms, 1000);
    assert_int_equal(one->definition->result.select_count, 1);
    assert_string_equal(two->name, "two");
    assert_int_equal(two->definition->timeout.per_try, 3000);
    assert_int_equal(two->definition->retry.max_attempts, 2);
    assert_int_equal(two->definition->hedge_after_ms, 0);
    assert_true(rb_definition_success(two->definition, 204));

    struct rb_request *request = NULL;
    struct rb_error error = {0};
    struct rb_job job = {.id = (char[]){"j1"}};
    json_t *params = json_of("{\"x\": \"a b\"}");
    assert_int_equal(rb_definition_render(two->definition, &job, RB_TEXT("c"), params,
                                          &request, &error),
                     RB_OK);
    assert_string_equal(request->method, "POST");
    assert_string_equal(request->body, "{\"y\":\"a b\"}");
    rb_request_free(request);
    json_decref(params);
    rb_definition_free(d);
}

static void secrets_are_for_all_calls(void **state) {
    (void)state;
    setenv("RB_TEST_SECRET", "s3cret", 1);
    struct rb_definition *d = definition_of(
        HEAD "secrets: {key: {env: RB_TEST_SECRET}}\n"
             "calls: {a: {request: {url: \"https://a.example/\", headers: {X-Key: "
             "\"${secret.key}\"}}}}\n");
    struct rb_request *request = NULL;
    struct rb_error error = {0};
    struct rb_job job = {.id = (char[]){"j1"}};
    assert_int_equal(rb_definition_render(d->calls.legs[0].definition, &job, RB_TEXT("c"),
                                          NULL, &request, &error),
                     RB_OK);
    assert_string_equal(request->headers[0], "X-Key: s3cret");
    rb_request_free(request);
    rb_definition_free(d);
}

static int64_t need_of(const char *need) {
    char text[512];
    snprintf(text, sizeof text, HEAD X "calls: {a: {" ONE "}, b: {" TWO "}}\nneed: %s\n",
             need);
    struct rb_definition *d = definition_of(text);
    int64_t count = d->calls.need;
    rb_definition_free(d);
    return count;
}

static void what_is_needed(void **state) {
    (void)state;
    assert_int_equal(need_of("all"), 2);
    assert_int_equal(need_of("any"), 1);
    assert_int_equal(need_of("1"), 1);
    assert_int_equal(need_of("2"), 2);
    assert_int_equal(need_of("settled"), RB_NEED_SETTLED);
}

static void deadline_and_hedge(void **state) {
    (void)state;
    struct rb_definition *d =
        definition_of(HEAD X "calls: {a: {" ONE "}}\ndeadline: 2s\n");
    assert_int_equal(d->calls.deadline_ms, 2000);
    rb_definition_free(d);
    d = definition_of(HEAD X ONE "\nhedge: {after: 500ms}\n");
    assert_int_equal(d->hedge_after_ms, 500);
    rb_definition_free(d);
}

static void mistakes_have_their_places(void **state) {
    (void)state;
    assert_mistakes(HEAD X "calls:\n"
                           "  a: {" ONE ", hedge: {after: 1m}}\n"
                           "  b c: {requst: 1}\n"
                           "  d: {" TWO ", hedge: {after: 1s}}\n"
                           "  e: {request: {url: \"https://e.example/${y}\"}}\n"
                           "need: 5\n"
                           "deadline: 2m\n",
                    "4:66: after must be below timeout.per_try (30000ms)\n"
                    "5:3: \"b c\" can't name a call: expected a letter or _, then "
                    "letters, digits, _ or -, 64 at most\n"
                    "5:9: unknown key \"requst\"; did you mean \"request\"?\n"
                    "5:3: request is missing\n"
                    "6:66: a POST is not idempotent: hedge would send it twice\n"
                    "7:41: no parameter \"y\"; known are: x\n"
                    "8:7: expected all, any, settled or a number from 1 to 4, got "
                    "\"5\"\n"
                    "9:11: deadline must not be above timeout.total (60000ms)\n");
    assert_mistakes(HEAD X ONE "\n"
                               "need: any\n"
                               "deadline: 1s\n"
                               "hedge: {}\n",
                    "6:1: after is missing\n"
                    "4:1: \"need\" stands without calls\n"
                    "5:1: \"deadline\" stands without calls\n");
    assert_mistakes(HEAD X ONE "\n"
                               "calls: {a: {" ONE "}}\n"
                               "result: {success: 200}\n"
                               "hedge: {after: 1s}\n",
                    "6:1: hedge stands with each of the calls\n"
                    "4:1: calls stands beside request: expected one\n"
                    "5:1: result stands with each of the calls\n");
    assert_mistakes(HEAD "calls: {}\n", "2:8: expected 1 to 32 calls\n");
    assert_mistakes(HEAD "calls: [a]\n", "2:8: expected a mapping, got a list\n");
    assert_mistakes(HEAD X "calls: {a: 1}\n", "3:12: expected a mapping, got a string\n");
    assert_mistakes(HEAD
                    "timeout: 1\nrequest: {url: \"https://e.example/\"}\nhedge: {}\n",
                    "2:10: expected a mapping, got a string\n"
                    "4:1: after is missing\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_call_is_a_definition),
        cmocka_unit_test(secrets_are_for_all_calls),
        cmocka_unit_test(what_is_needed),
        cmocka_unit_test(deadline_and_hedge),
        cmocka_unit_test(mistakes_have_their_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
