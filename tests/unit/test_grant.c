/* What a token or the web app allows. */
#include "notifier/grant.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static enum rb_status read_grant(const char *claims, const char *session,
                                 struct rb_grant **grant) {
    const char *problem = NULL;
    json_t *json = json_loads(claims, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json);
    enum rb_status status = rb_grant_read(json, rb_text_of(session), grant, &problem);
    assert_int_equal(status == RB_INVALID, problem != NULL);
    assert_int_equal(status == RB_OK, *grant != NULL);
    json_decref(json);
    return status;
}

static void names(void **unused) {
    (void)unused;
    static const struct {
        const char *channels, *channel;
        bool heard;
    } cases[] = {
        {"[\"order:42\"]", "order:42", true},
        {"[\"order:42\"]", "order:421", false},
        {"[\"order:42\"]", "order:4", false},
        {"[\"order:42\"]", "Order:42", false},
        {"[\"user:7:*\"]", "user:7:mail", true},
        {"[\"user:7:*\"]", "user:7:", true},
        {"[\"user:7:*\"]", "user:7", false},
        {"[\"user:7:*\"]", "user:71:mail", false},
        {"[\"*\"]", "anything", true},
        {"[]", "a", false},
        {"[\"b\",\"a\"]", "a", true},
        {"[\"@session\"]", "session:s1", true},
        {"[\"@session\"]", "session:s2", false},
        {"[\"@session\"]", "@session", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char claims[256];
        struct rb_grant *grant;
        snprintf(claims, sizeof claims, "{\"channels\":%s}", cases[i].channels);
        assert_int_equal(read_grant(claims, "s1", &grant), RB_OK);
        if (rb_grant_hears(grant, rb_text_of(cases[i].channel)) != cases[i].heard)
            fail_msg("%s: %s", cases[i].channels, cases[i].channel);
        assert_false(rb_grant_enqueues(grant, rb_text_of(cases[i].channel)));
        rb_grant_unref(grant);
    }
}

static void malformed(void **unused) {
    (void)unused;
    static const char *const cases[] = {
        "{\"channels\":\"a\"}",
        "{\"channels\":{\"a\":1}}",
        "{\"channels\":null}",
        "{\"channels\":[7]}",
        "{\"channels\":[\"\"]}",
        "{\"channels\":[\"a\",null]}",
        "{\"channels\":[\"a*b\"]}",
        "{\"channels\":[\"*a\"]}",
        "{\"channels\":[\"a**\"]}",
        "{\"channels\":[\"a b\"]}",
        "{\"channels\":[\"a/b\"]}",
        "{\"channels\":[\"\\u00fc\"]}",
        "{\"channels\":[], \"enqueue\":\"a\"}",
        "{\"channels\":[], \"enqueue\":[\"A\"]}",
        "{\"channels\":[], \"enqueue\":[\"a*\"]}",
        "{\"channels\":[], \"exp\":\"1\"}",
        "{\"channels\":[], \"sub\":7}",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rb_grant *grant;
        if (read_grant(cases[i], "", &grant) != RB_INVALID)
            fail_msg("%s", cases[i]);
    }
}

static void bounds(void **unused) {
    (void)unused;
    struct rb_grant *grant;
    const char *problem = NULL;
    json_t *claims = json_pack("{s:[]}", "channels");
    json_t *list = json_object_get(claims, "channels");
    char name[130];
    memset(name, 'x', 129);
    name[129] = '\0';
    for (int i = 0; i < RB_GRANT_NAMES; i++)
        json_array_append_new(list, json_string(name + 1));
    assert_int_equal(rb_grant_read(claims, RB_TEXT(""), &grant, &problem), RB_OK);
    assert_true(rb_grant_hears(grant, rb_text(name, 128)));
    assert_false(rb_grant_hears(grant, rb_text(name, 127)));
    rb_grant_unref(grant);
    json_array_append_new(list, json_string("y"));
    assert_int_equal(rb_grant_read(claims, RB_TEXT(""), &grant, &problem), RB_INVALID);
    json_array_clear(list);
    json_array_append_new(list, json_string(name));
    assert_int_equal(rb_grant_read(claims, RB_TEXT(""), &grant, &problem), RB_INVALID);
    name[128] = '*';
    json_array_clear(list);
    json_array_append_new(list, json_string(name));
    assert_int_equal(rb_grant_read(claims, RB_TEXT(""), &grant, &problem), RB_OK);
    assert_true(rb_grant_hears(grant, rb_text(name, 128)));
    rb_grant_unref(grant);
    json_decref(claims);
}

static void services(void **unused) {
    (void)unused;
    struct rb_grant *grant;
    assert_int_equal(read_grant("{\"enqueue\":[\"stock-quote\"],\"exp\":12.5,"
                                "\"sub\":\"u7\",\"other\":{}}",
                                "", &grant),
                     RB_OK);
    assert_true(rb_grant_enqueues(grant, RB_TEXT("stock-quote")));
    assert_false(rb_grant_enqueues(grant, RB_TEXT("stock")));
    assert_false(rb_grant_hears(grant, RB_TEXT("stock-quote")));
    assert_int_equal(rb_grant_expires(grant), 12500);
    assert_true(rb_text_is(rb_grant_subject(grant), "u7"));
    rb_grant_unref(grant);
    assert_int_equal(read_grant("{\"enqueue\":[\"*\"]}", "", &grant), RB_OK);
    assert_true(rb_grant_enqueues(grant, RB_TEXT("a")));
    assert_int_equal(rb_grant_expires(grant), 0);
    rb_grant_unref(grant);
}

static void a_session_that_is_none(void **unused) {
    (void)unused;
    struct rb_grant *grant;
    assert_int_equal(read_grant("{\"channels\":[\"@session\"]}", "", &grant), RB_OK);
    assert_false(rb_grant_hears(grant, RB_TEXT("session:")));
    rb_grant_unref(grant);
    assert_int_equal(read_grant("{\"channels\":[\"@session\"]}", "a*", &grant), RB_OK);
    assert_false(rb_grant_hears(grant, RB_TEXT("session:ab")));
    rb_grant_unref(grant);
}

static void shared(void **unused) {
    (void)unused;
    const struct rb_text channels[] = {RB_TEXT("a"), RB_TEXT("b")};
    struct rb_grant *grant = rb_grant_of(channels, 2);
    assert_ptr_equal(rb_grant_ref(grant), grant);
    rb_grant_unref(grant);
    assert_true(rb_grant_hears(grant, RB_TEXT("b")));
    assert_false(rb_grant_hears(grant, RB_TEXT("c")));
    rb_grant_unref(grant);
    rb_grant_unref(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(malformed),
        cmocka_unit_test(bounds),
        cmocka_unit_test(services),
        cmocka_unit_test(a_session_that_is_none),
        cmocka_unit_test(shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
