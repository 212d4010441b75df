/* The bytes of events: framing, line ends, escapes, and whose JSON is whose. */
#include "notifier/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct rb_buffer out;

static int setup(void **unused) {
    (void)unused;
    rb_buffer_init(&out, 100000);
    return 0;
}

static int teardown(void **unused) {
    (void)unused;
    rb_buffer_fini(&out);
    return 0;
}

static void expect(struct rb_text bytes) {
    assert_int_equal(out.status, RB_OK);
    assert_int_equal(out.len, bytes.len);
    assert_memory_equal(out.at, bytes.at, bytes.len);
    rb_buffer_clear(&out);
}

static struct rb_event_frame event(struct rb_text json) {
    return (struct rb_event_frame){json, RB_TEXT("done"), true, RB_TEXT("1-2"), NULL};
}

static struct rb_event_frame raw(struct rb_text payload) {
    return (struct rb_event_frame){payload, RB_TEXT("message"), false, {NULL, 0}, NULL};
}

static void shared_bytes(void **unused) {
    (void)unused;
    struct rb_bytes *bytes = rb_bytes_new(RB_TEXT("abc"));
    assert_non_null(bytes);
    assert_int_equal(bytes->len, 3);
    assert_memory_equal(bytes->at, "abc", 3);
    assert_ptr_equal(rb_bytes_ref(bytes), bytes);
    rb_bytes_unref(bytes);
    assert_int_equal(bytes->refs, 1);
    rb_bytes_unref(bytes);
    rb_bytes_unref(NULL);
    bytes = rb_bytes_new((struct rb_text){NULL, 0});
    assert_non_null(bytes);
    assert_int_equal(bytes->len, 0);
    rb_bytes_unref(bytes);
}

static void websocket(void **unused) {
    (void)unused;
    struct rb_event_frame frame = event(RB_TEXT("{\"a\":\"\xc3\xa9\"}"));
    rb_encode_websocket(&out, &frame);
    expect(RB_TEXT("\x81\x0a{\"a\":\"\xc3\xa9\"}"));
    frame = raw(RB_TEXT("\xff\0"));
    rb_encode_websocket(&out, &frame);
    expect(RB_TEXT("\x82\x02\xff\0"));
}

static void sse(void **unused) {
    (void)unused;
    static const struct {
        struct rb_text data, lines;
    } cases[] = {
        {{"{}", 2}, {"data: {}\n", 9}},
        {{"", 0}, {"data: \n", 7}},
        {{"a\nb", 3}, {"data: a\ndata: b\n", 16}},
        {{"a\rb", 3}, {"data: a\ndata: b\n", 16}},
        {{"a\r\nb", 4}, {"data: a\ndata: b\n", 16}},
        {{"a\n\rb", 4}, {"data: a\ndata: \ndata: b\n", 23}},
        {{"a\r\r\nb", 5}, {"data: a\ndata: \ndata: b\n", 23}},
        {{"a\n", 2}, {"data: a\ndata: \n", 15}},
        {{"a\r", 2}, {"data: a\ndata: \n", 15}},
        {{"\r\n", 2}, {"data: \ndata: \n", 14}},
        {{" a", 2}, {"data:  a\n", 9}},
        {{"id: 7\n\nevent: x", 15}, {"data: id: 7\ndata: \ndata: event: x\n", 34}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rb_buffer want;
        struct rb_event_frame frame = raw(cases[i].data);
        rb_buffer_init(&want, 1000);
        rb_buffer_string(&want, "event: message\n");
        rb_buffer_text(&want, cases[i].lines);
        rb_buffer_char(&want, '\n');
        rb_encode_sse_plain(&out, &frame);
        expect(rb_buffer_view(&want));
        rb_buffer_fini(&want);
    }
    struct rb_event_frame frame = event(RB_TEXT("{}"));
    rb_encode_sse(&out, &frame);
    expect(RB_TEXT("1e\r\nid: 1-2\nevent: done\ndata: {}\n\n\r\n"));
    /* A name that would break out of its line. */
    frame.event = RB_TEXT("x\ndata: y");
    rb_encode_sse_plain(&out, &frame);
    expect(RB_TEXT("id: 1-2\nevent: message\ndata: {}\n\n"));
}

static void stream(void **unused) {
    (void)unused;
    static const struct {
        const char *payload, *line;
    } cases[] = {
        {"{\"a\": 1}", "{\"a\": 1}\n"},
        {"12345678901234567890123", "12345678901234567890123\n"},
        {"1e999", "1e999\n"},
        {"hello", "\"hello\"\n"},
        {"", "\"\"\n"},
        {"{} {}", "\"{} {}\"\n"},
        {"{\n}", "{ }\n"},
        {"{\n", "\"{\\n\"\n"},
        {"\"\xff\"", "\"\\\"\xef\xbf\xbd\\\"\"\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rb_event_frame frame = raw(rb_text_of(cases[i].payload));
        rb_encode_stream_plain(&out, &frame);
        expect(rb_text_of(cases[i].line));
    }
    struct rb_event_frame frame = event(RB_TEXT("{\"a\":1}"));
    rb_encode_stream(&out, &frame);
    expect(RB_TEXT("8\r\n{\"a\":1}\n\r\n"));
    /* An entry that somebody else wrote over several lines is still one line here. */
    frame.json = RB_TEXT("{\n\"a\":\r\n1}");
    rb_encode_stream_plain(&out, &frame);
    assert_ptr_equal(memchr(out.at, '\n', out.len), out.at + out.len - 1);
    assert_null(memchr(out.at, '\r', out.len));
    assert_int_equal(out.at[0], '{');
    rb_buffer_clear(&out);
}

static void poll(void **unused) {
    (void)unused;
    rb_encode_poll(&out, RB_TEXT("{\"a\":1},2"), RB_TEXT("1-2,-"), NULL);
    expect(RB_TEXT("{\"events\":[{\"a\":1},2],\"cursor\":\"1-2,-\"}"));
    rb_encode_poll(&out, RB_TEXT(""), RB_TEXT("-"), "");
    expect(RB_TEXT("{\"events\":[],\"cursor\":\"-\"}"));
    rb_encode_poll(&out, RB_TEXT("\"\xe2\x80\xa8x\xe2\x80\xa9\xe2\x80\xaa\xe2\x80\""),
                   RB_TEXT("1-2"), "jQuery.f_1$");
    expect(
        RB_TEXT("/**/jQuery.f_1$({\"events\":[\"\\u2028x\\u2029\xe2\x80\xaa\xe2\x80\"],"
                "\"cursor\":\"1-2\"});"));
    rb_encode_raw_json(&out, RB_TEXT(" [1.0] "));
    rb_encode_raw_json(&out, RB_TEXT("[1"));
    rb_encode_raw_json(&out, RB_TEXT(""));
    expect(RB_TEXT(" [1.0] \"[1\"\"\""));
}

static void full_buffers_say_so(void **unused) {
    (void)unused;
    struct rb_buffer small;
    struct rb_event_frame frame = event(RB_TEXT("{\"a\":\"0123456789\"}"));
    void (*const encoders[])(struct rb_buffer *, const struct rb_event_frame *) = {
        rb_encode_websocket, rb_encode_sse, rb_encode_sse_plain, rb_encode_stream,
        rb_encode_stream_plain};
    for (size_t i = 0; i < sizeof encoders / sizeof *encoders; i++) {
        rb_buffer_init(&small, 10);
        encoders[i](&small, &frame);
        assert_int_equal(small.status, RB_TOO_LARGE);
        rb_buffer_fini(&small);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shared_bytes), cmocka_unit_test(websocket),
        cmocka_unit_test(sse),          cmocka_unit_test(stream),
        cmocka_unit_test(poll),         cmocka_unit_test(full_buffers_say_so),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
