/* Events: their exact text, and what a reader makes of any bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "jobs/event.h"

static const struct rb_event_head head = {{"order:1", 7}, {"j-1", 3}, {"quote", 5},
                                          {NULL, 0},      1700,       NULL};

static struct rb_buffer out;

static int setup(void **state) {
    (void)state;
    rb_buffer_init(&out, 4096);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    rb_buffer_fini(&out);
    return 0;
}

static void assert_out(const char *expected) {
    assert_int_equal(out.status, RB_OK);
    assert_string_equal(out.at, expected);
    rb_buffer_clear(&out);
}

#define HEAD(event)                                                                      \
    "{\"channel\":\"order:1\",\"event\":\"" event                                        \
    "\",\"job\":\"j-1\",\"service\":\"quote\",\"at\":1700"

static void writes(void **state) {
    (void)state;
    rb_event_started(&out, &head);
    assert_out(HEAD("started") "}");

    struct rb_event_error error = {RB_FAIL_HTTP_STATUS, "the service answered 503", 503};
    rb_event_retrying(&out, &head, 2, 400, &error);
    assert_out(
        HEAD("retrying") ",\"attempt\":2,\"delay\":400,\"error\":{\"code\":"
                         "\"http_status\",\"message\":\"the service answered 503\","
                         "\"status\":503}}");
    rb_event_partial(&out, &head, RB_TEXT("amadeus"), 3, RB_TEXT("[1]"));
    assert_out(HEAD("partial") ",\"part\":\"amadeus\",\"parts\":3,\"data\":[1]}");
    rb_event_done(&out, &head, RB_TEXT("{\"p\":1.10,\n\"q\":\"a\\n\"}"));
    assert_out(HEAD("done") ",\"data\":{\"p\":1.10, \"q\":\"a\\n\"}}");
    error = (struct rb_event_error){RB_FAIL_TIMEOUT, "no \"answer\"\n", 0};
    rb_event_failed(&out, &head, &error);
    assert_out(HEAD("failed") ",\"error\":{\"code\":\"timeout\",\"message\":"
                              "\"no \\\"answer\\\"\\n\"}}");
}

static void tells_where_it_is_from(void **state) {
    (void)state;
    struct rb_event_origin origin = {0};
    struct rb_event_head from = head;
    from.origin = &origin;
    rb_event_done(&out, &from, RB_TEXT("1"));
    assert_out(HEAD("done") ",\"data\":1}");
    origin.shared = true;
    rb_event_done(&out, &from, RB_TEXT("1"));
    assert_out(HEAD("done") ",\"shared\":true,\"data\":1}");
    origin = (struct rb_event_origin){.cached = true, .age_ms = 0};
    rb_event_done(&out, &from, RB_TEXT("1"));
    assert_out(HEAD("done") ",\"cached\":true,\"age\":0,\"data\":1}");
    origin = (struct rb_event_origin){.cached = true, .age_ms = 7, .stale = true};
    rb_event_done(&out, &from, RB_TEXT("1"));
    assert_out(HEAD("done") ",\"cached\":true,\"age\":7,\"stale\":true,\"data\":1}");
    origin = (struct rb_event_origin){.missing = RB_TEXT("[\"a\"]")};
    rb_event_done(&out, &from, RB_TEXT("{}"));
    assert_out(HEAD("done") ",\"missing\":[\"a\"],\"data\":{}}");
    rb_event_done_linked(&out, &head, RB_TEXT("/wait/c?result=j"), 70000);
    assert_out(HEAD("done") ",\"link\":\"/wait/c?result=j\",\"bytes\":70000}");
    struct rb_event_error error = {RB_FAIL_CONNECT, "no", 0};
    rb_event_part_retrying(&out, &head, RB_TEXT("x"), 1, 20, &error);
    assert_out(HEAD("retrying") ",\"part\":\"x\",\"attempt\":1,\"delay\":20,\"error\":{"
                                "\"code\":\"connect\",\"message\":\"no\"}}");
}

static void leaves_out(void **state) {
    (void)state;
    struct rb_event_head bare = {.channel = RB_TEXT("c"), .at = 5};
    rb_event_custom(&out, &bare, RB_TEXT("price"), RB_TEXT("1"));
    assert_out("{\"channel\":\"c\",\"event\":\"price\",\"at\":5,\"data\":1}");
    bare.trace = RB_TEXT("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    rb_event_started(&out, &bare);
    assert_out("{\"channel\":\"c\",\"event\":\"started\",\"at\":5,\"trace\":"
               "\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\"}");
}

static void tells_gaps(void **state) {
    (void)state;
    struct rb_stream_id first = {30, 1};
    rb_event_gap(&out, RB_TEXT("c"), 5, (struct rb_stream_id){10, 0},
                 (struct rb_stream_id){30, 0}, &first);
    assert_out("{\"id\":\"30-0\",\"channel\":\"c\",\"event\":\"gap\",\"at\":5,\"since\":"
               "\"10-0\",\"first\":\"30-1\"}");
    rb_event_gap(&out, RB_TEXT("c"), 5, (struct rb_stream_id){10, 0},
                 (struct rb_stream_id){0, 0}, NULL);
    assert_out("{\"id\":\"0-0\",\"channel\":\"c\",\"event\":\"gap\",\"at\":5,\"since\":"
               "\"10-0\",\"first\":null}");
}

static void codes(void **state) {
    (void)state;
    assert_string_equal(rb_failure_code(RB_FAIL_INVALID_JOB), "invalid_job");
    assert_string_equal(rb_failure_code(RB_FAIL_RATE_LIMITED), "rate_limited");
    assert_string_equal(rb_failure_code(RB_FAIL_INTERNAL), "internal");
    assert_string_equal(rb_failure_code(RB_FAILURES), "internal");
}

static void assert_peek(const char *json, const char *channel, const char *event) {
    struct rb_event_view view;
    rb_event_peek(rb_text_of(json), &view);
    assert_true(rb_text_is(view.channel, channel));
    assert_true(rb_text_is(view.event, event));
    assert_int_equal(view.terminal, !strcmp(event, "done") || !strcmp(event, "failed"));
}

static void peeks(void **state) {
    (void)state;
    rb_event_done(&out, &head, RB_TEXT("{\"event\":\"started\"}"));
    assert_peek(out.at, "order:1", "done");
    rb_buffer_clear(&out);
    rb_event_gap(&out, RB_TEXT("c"), 5, (struct rb_stream_id){10, 0},
                 (struct rb_stream_id){0, 0}, NULL);
    assert_peek(out.at, "c", "gap");
    assert_peek("{\"channel\":\"c\",\"event\":\"failed\"}", "c", "failed");
    /* Another order, spaces, escapes in names: read as JSON. */
    assert_peek("{\"at\":5, \"event\" : \"done\",\"data\":{\"channel\":\"x\"},"
                "\"channel\":\"c\"}",
                "c", "done");
    assert_peek(" {\"\\u0063hannel\":\"c\",\"event\":\"price\"} ", "c", "price");
    assert_peek("{\"id\":\"7-1\", \"channel\":\"c\",\"event\":\"done\"}", "c", "done");
}

static void peeks_nothing(void **state) {
    (void)state;
    static const char *const others[] = {
        "",
        "}",
        "{",
        "{}",
        "null",
        "hello",
        "[{\"channel\":\"c\",\"event\":\"done\"}]",
        "{\"channel\":\"c\"}",
        "{\"event\":\"done\"}",
        "{\"channel\":\"c\",\"event\":\"done\"",
        "{\"channel\":\"c\",\"event\":\"done}",
        "{\"channel\":\"c\",\"event\":\"do ne\"}",
        "{\"channel\":\"c c\",\"event\":\"done\"}",
        "{\"channel\":\"\",\"event\":\"done\"}",
        "{\"channel\":\"c\",\"event\":\"\"}",
        "{\"channel\":\"c\\\",\"event\":\"done\"}",
        "{\"channel\":\"c\",\"event\":\"done\"x}",
        "{\"channel\":1,\"event\":\"done\"}",
        "{\"channel\":\"c\",\"event\":[\"done\"]}",
        "{\"channel\":\"c\",\"event\":\"d\\u006fne\",\"x\":1}",
        "{\"at\":1,\"channel\":\"c\",\"event\":\"done\"} trailing",
        "{\"at\":01,\"channel\":\"c\",\"event\":\"done\"}",
        "{\"id\":\"x\",\"channel\":\"c\",\"event\":\"done\",}",
        "\xff\xfe{\"channel\":\"c\",\"event\":\"done\"}",
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_peek(others[i], "", "message");
    struct rb_event_view view;
    rb_event_peek(rb_text(NULL, 0), &view);
    assert_true(rb_text_is(view.event, "message"));
    rb_event_peek(rb_text("{\"channel\":\"c\0\",\"event\":\"done\"}", 32), &view);
    assert_true(rb_text_is(view.event, "message"));
}

/* Cut anywhere: never an overrun (under ASan), never an event. */
static void peeks_cut(void **state) {
    (void)state;
    static const char json[] =
        "{\"id\":\"12-3\",\"channel\":\"c\",\"event\":\"done\",\"data\":[1,2]}";
    for (size_t len = 0; len < sizeof json - 1; len++) {
        char exact[sizeof json];
        struct rb_event_view view;
        memcpy(exact + sizeof exact - len, json, len);
        rb_event_peek(rb_text(exact + sizeof exact - len, len), &view);
        assert_true(rb_text_is(view.event, "message"));
        assert_false(view.terminal);
    }
}

static void puts_the_id_in_front(void **state) {
    (void)state;
    struct rb_stream_id id = {12, 3};
    rb_event_with_id(&out, id, RB_TEXT("{\"channel\":\"c\"}"));
    assert_out("{\"id\":\"12-3\",\"channel\":\"c\"}");
    rb_event_with_id(&out, id, RB_TEXT("{}"));
    assert_out("{\"id\":\"12-3\"}");
    rb_event_with_id(&out, id, RB_TEXT("{ }"));
    assert_out("{\"id\":\"12-3\"}");
    rb_event_with_id(&out, id, RB_TEXT("{ \r\n\t}"));
    assert_out("{\"id\":\"12-3\"}");
    rb_event_with_id(&out, id, RB_TEXT("[1]"));
    assert_out("[1]");
    rb_event_with_id(&out, id, RB_TEXT("{"));
    assert_out("{");
    rb_event_with_id(&out, id, RB_TEXT(""));
    rb_event_with_id(&out, id, RB_TEXT("{ x"));
    assert_out("{\"id\":\"12-3\",x");
}

static void assert_told(const char *json, bool trusted, const char *event,
                        const char *told) {
    struct rb_event_view view;
    rb_event_tell(&out, RB_TEXT("c"), (struct rb_stream_id){12, 3}, rb_text_of(json),
                  trusted, &view);
    assert_true(rb_text_is(view.event, event));
    assert_int_equal(view.terminal, !strcmp(event, "done"));
    assert_out(told);
}

/* Whatever stands in a stream, clients get a JSON object with its id. */
static void tells_what_is_an_event(void **state) {
    (void)state;
    static const char event[] = "{\"channel\":\"c\",\"event\":\"done\",\"data\":[1]}",
                      told[] = "{\"id\":\"12-3\",\"channel\":\"c\",\"event\":\"done\","
                               "\"data\":[1]}";
    assert_told(event, true, "done", told);
    assert_told(event, false, "done", told);
    assert_told("{\"a\":1}", true, "message", "{\"id\":\"12-3\",\"a\":1}");
    assert_told(" {\"event\": \"done\",\n\"channel\":\"c\"}\n", true, "done",
                "{\"id\":\"12-3\",\"event\": \"done\",\n\"channel\":\"c\"}");
    /* One that was heard and is told again has another id now. */
    assert_told("{\"id\":\"7-0\",\"channel\":\"c\",\"event\":\"done\",\"data\":[1]}",
                true, "done", told);
    assert_told("{\"channel\":\"c\",\"event\":\"done\",\"data\":[1], \"id\" :{}}", false,
                "done", told);
    assert_told("{ \"\\u0069d\" : {},\"channel\":\"c\" , \"event\":\"done\"}", false,
                "done", "{\"id\":\"12-3\",\"channel\":\"c\",\"event\":\"done\"}");
    assert_told("{\"id\":1}", false, "message", "{\"id\":\"12-3\"}");
}

static void tells_what_is_none(void **state) {
    static const char *const others[][2] = {
        {"", "\"\""},
        {"no JSON\n", "\"no JSON\\n\""},
        {"[1,\n2]", "[1, 2]"},
        {"{oops}", "\"{oops}\""},
        {"{}]});alert(1)//}", "\"{}]});alert(1)//}\""},
        {"{\"a\":1}{\"b\":2}", "\"{\\\"a\\\":1}{\\\"b\\\":2}\""},
        {"{\"a\":\"\r\"}", "\"{\\\"a\\\":\\\"\\r\\\"}\""},
        {"{\"a\":\"\xff\"}", "\"{\\\"a\\\":\\\"\xef\xbf\xbd\\\"}\""},
        {"{\"channel\":\"c\",\"event\":\"done\",x}",
         "\"{\\\"channel\\\":\\\"c\\\",\\\"event\\\":\\\"done\\\",x}\""},
        {"{\"id\":\"1-0\",\"channel\":\"c\",\"event\":\"done\",x}",
         "\"{\\\"id\\\":\\\"1-0\\\",\\\"channel\\\":\\\"c\\\","
         "\\\"event\\\":\\\"done\\\",x}\""},
    };
    char told[300];
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        snprintf(told, sizeof told,
                 "{\"id\":\"12-3\",\"channel\":\"c\",\"event\":\"message\",\"at\":12,"
                 "\"data\":%s}",
                 others[i][1]);
        assert_told(others[i][0], false, "message", told);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(writes, setup, teardown),
        cmocka_unit_test_setup_teardown(leaves_out, setup, teardown),
        cmocka_unit_test_setup_teardown(tells_where_it_is_from, setup, teardown),
        cmocka_unit_test_setup_teardown(tells_gaps, setup, teardown),
        cmocka_unit_test(codes),
        cmocka_unit_test_setup_teardown(peeks, setup, teardown),
        cmocka_unit_test(peeks_nothing),
        cmocka_unit_test(peeks_cut),
        cmocka_unit_test_setup_teardown(tells_what_is_an_event, setup, teardown),
        cmocka_unit_test_setup_teardown(tells_what_is_none, setup, teardown),
        cmocka_unit_test_setup_teardown(puts_the_id_in_front, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
