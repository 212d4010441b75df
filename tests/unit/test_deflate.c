/* permessage-deflate: what is agreed on, and messages there and back. */
#include "notifier/deflate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define MAX_MESSAGE ((size_t)1 << 20)

static struct rb_deflate *deflate;
static struct rb_buffer out;

static int setup(void **unused) {
    (void)unused;
    deflate = rb_deflate_new();
    rb_buffer_init(&out, (size_t)1 << 24);
    return deflate ? 0 : -1;
}

static int teardown(void **unused) {
    (void)unused;
    rb_deflate_free(deflate);
    rb_buffer_fini(&out);
    return 0;
}

/* --- the offer --- */

static void offers_that_are_taken(void **unused) {
    static const struct {
        const char *offer;
        unsigned window;
        bool named;
    } cases[] = {
        {"permessage-deflate", 15, false},
        {"permessage-deflate; client_max_window_bits", 15, false},
        {"permessage-deflate;client_max_window_bits=8", 15, false},
        {"permessage-deflate; server_no_context_takeover; client_no_context_takeover", 15,
         false},
        {"permessage-deflate; server_max_window_bits=15", 15, true},
        {"permessage-deflate; server_max_window_bits=8", 8, true},
        {"permessage-deflate; server_max_window_bits=\"10\"", 10, true},
        {"  permessage-deflate ;  server_max_window_bits=9  ", 9, true},
        {"x-webkit-deflate-frame, permessage-deflate", 15, false},
        {"foo; a=\"b,c;d\", permessage-deflate", 15, false},
        {"permessage-deflate; nonsense, permessage-deflate; server_max_window_bits=12",
         12, true},
        {"permessage-deflate; server_max_window_bits=7, permessage-deflate", 15, false},
    };
    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rb_deflate_terms terms = rb_deflate_choose_of(rb_text_of(cases[i].offer));
        if (terms.window != cases[i].window || terms.named != cases[i].named)
            fail_msg("%s: %u", cases[i].offer, terms.window);
    }
}

static void offers_that_are_declined(void **unused) {
    static const char *const cases[] = {
        "",
        ",",
        "permessage-deflat",
        "permessage-deflate2",
        "Permessage Deflate",
        "permessage-deflate; foo",
        "permessage-deflate; foo=1",
        "permessage-deflate;",
        "permessage-deflate;;",
        "permessage-deflate; =1",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; server_no_context_takeover=",
        "permessage-deflate; client_no_context_takeover=true",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=08",
        "permessage-deflate; server_max_window_bits=+9",
        "permessage-deflate; server_max_window_bits=9.0",
        "permessage-deflate; server_max_window_bits=100",
        "permessage-deflate; server_max_window_bits=\"9",
        "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9",
        "permessage-deflate; client_max_window_bits=",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=16",
        "permessage-deflate; client_max_window_bits; client_max_window_bits=9",
        "\"permessage-deflate\"",
        "a=\"permessage-deflate, permessage-deflate",
    };
    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (rb_deflate_choose_of(rb_text_of(cases[i])).window != 0)
            fail_msg("%s", cases[i]);
}

static void several_header_fields_are_one_list(void **unused) {
    struct rb_http_request request = {
        .headers = {{RB_TEXT("Sec-WebSocket-Extensions"), RB_TEXT("foo; bar")},
                    {RB_TEXT("Host"), RB_TEXT("permessage-deflate")},
                    {RB_TEXT("sec-websocket-extensions"),
                     RB_TEXT("permessage-deflate; server_max_window_bits=11")}},
        .header_count = 2};
    (void)unused;
    assert_int_equal(rb_deflate_choose(&request).window, 0);
    request.header_count = 3;
    assert_int_equal(rb_deflate_choose(&request).window, 11);
}

static void answers(void **unused) {
    (void)unused;
    rb_deflate_answer((struct rb_deflate_terms){0}, &out);
    assert_int_equal(out.len, 0);
    rb_deflate_answer((struct rb_deflate_terms){.window = 15}, &out);
    assert_string_equal(out.at, "Sec-WebSocket-Extensions: permessage-deflate; "
                                "server_no_context_takeover; "
                                "client_no_context_takeover\r\n");
    rb_buffer_clear(&out);
    rb_deflate_answer((struct rb_deflate_terms){.window = 9, .named = true}, &out);
    assert_non_null(strstr(out.at, "; server_max_window_bits=9\r\n"));
}

static void only_what_fits_into_the_window(void **unused) {
    (void)unused;
    assert_false(rb_deflate_suits(0, 1000));
    assert_false(rb_deflate_suits(15, RB_DEFLATE_MIN - 1));
    assert_true(rb_deflate_suits(15, RB_DEFLATE_MIN));
    assert_true(rb_deflate_suits(15, 32768));
    assert_false(rb_deflate_suits(15, 32769));
    assert_true(rb_deflate_suits(8, 256));
    assert_false(rb_deflate_suits(8, 257));
}

/* --- messages --- */

static enum rb_status restore(struct rb_text packed, size_t max, struct rb_text *plain) {
    return rb_deflate_restore(deflate, packed, max, plain);
}

static void expect(struct rb_text packed, const char *plain) {
    struct rb_text got;
    assert_int_equal(restore(packed, MAX_MESSAGE, &got), RB_OK);
    assert_int_equal(got.len, strlen(plain));
    assert_memory_equal(got.at, plain, got.len);
}

/* RFC 7692 §7.2.3: the same word in each kind of block. */
static void examples_of_the_rfc(void **unused) {
    (void)unused;
    expect(RB_TEXT("\xf2\x48\xcd\xc9\xc9\x07\x00"), "Hello");
    expect(RB_TEXT("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"), "Hello");
    expect(RB_TEXT("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), "Hello");
    expect(RB_TEXT("\xf3\x48\xcd\xc9\xc9\x07\x00"), "Hello");
    expect(RB_TEXT("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), "Hello");
    expect(RB_TEXT("\x00"), "");
    expect(RB_TEXT(""), "");
}

static void what_is_not_deflate(void **unused) {
    static const struct rb_text cases[] = {
        {"\xff", 1},                             /* a kind of block that there is not */
        {"\x06\x00", 2},                         /* likewise */
        {"\x00\x05\x00\xfb\xff\x48", 6},         /* a length that its complement denies */
        {"\xf2\x48\xcd", 3},                     /* cut off */
        {"\x00\x05\x00\xfa\xff", 5},             /* cut off, and the tail is not enough */
        {"\x78\x9c\xf3\x48\xcd\xc9\xc9\x07", 8}, /* zlib's format around it */
        {"\x02\x02\x00\x00", 4},                 /* a distance before the beginning */
    };
    struct rb_text got;
    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (restore(cases[i], MAX_MESSAGE, &got) != RB_INVALID)
            fail_msg("case %zu", i);
        expect(RB_TEXT("\xf2\x48\xcd\xc9\xc9\x07\x00"), "Hello"); /* it serves on */
    }
}

static uint64_t seed = 7;

static unsigned char any(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned char)seed;
}

/* The payload of the one frame in `out`. */
static struct rb_text payload(bool *packed) {
    const unsigned char *at = (const unsigned char *)out.at;
    size_t head = at[1] < 126 ? 2 : at[1] == 126 ? 4 : 10;
    *packed = (at[0] & 0x40) != 0;
    assert_int_equal(at[0] & 0xbf, 0x80 | RB_WS_TEXT);
    return rb_text(out.at + head, out.len - head);
}

static void there_and_back(void **unused) {
    static const size_t sizes[] = {0, 1, 16, 255, 256, 1000, 32768, 65536, 1000000};
    (void)unused;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (unsigned alphabet = 1; alphabet <= 256; alphabet *= 4) {
            char *text = malloc(sizes[i] + 1);
            bool packed;
            assert_non_null(text);
            for (size_t n = 0; n < sizes[i]; n++)
                text[n] = (char)(any() % alphabet);
            rb_buffer_clear(&out);
            rb_deflate_frame(deflate, &out, RB_WS_TEXT, rb_text(text, sizes[i]));
            struct rb_text got = payload(&packed);
            assert_true(got.len <= sizes[i]);
            assert_true(packed == (got.len < sizes[i]));
            assert_true(packed || alphabet > 16 || sizes[i] < 256);
            if (packed)
                assert_int_equal(restore(got, sizes[i], &got), RB_OK);
            assert_true(rb_text_equal(got, rb_text(text, sizes[i])));
            free(text);
        }
    }
}

/* A thousandth of it on the wire: not one byte more than allowed is let out. */
static void bombs(void **unused) {
    static char zeros[1 << 20];
    bool packed;
    struct rb_text got;
    (void)unused;
    rb_deflate_frame(deflate, &out, RB_WS_TEXT, rb_text(zeros, sizeof zeros));
    struct rb_text bomb = payload(&packed);
    assert_true(packed && bomb.len < 2000);
    assert_int_equal(restore(bomb, sizeof zeros, &got), RB_OK);
    assert_int_equal(got.len, sizeof zeros);
    assert_int_equal(restore(bomb, sizeof zeros - 1, &got), RB_TOO_LARGE);
    assert_int_equal(restore(bomb, 128, &got), RB_TOO_LARGE);
    assert_int_equal(restore(bomb, 0, &got), RB_TOO_LARGE);
    assert_int_equal(restore(RB_TEXT("\x00"), 0, &got), RB_OK);
}

/* --- through the codec --- */

struct heard {
    struct rb_buffer log;
};

static bool on_message(void *ctx, enum rb_ws_opcode opcode, struct rb_text data) {
    struct heard *h = ctx;
    rb_buffer_printf(&h->log, "%u:", (unsigned)opcode);
    rb_buffer_text(&h->log, data);
    return true;
}

static bool on_control(void *ctx, struct rb_text data) {
    struct heard *h = ctx;
    rb_buffer_string(&h->log, "ping:");
    rb_buffer_text(&h->log, data);
    return true;
}

static bool on_close(void *ctx, uint16_t code, struct rb_text reason) {
    (void)ctx;
    (void)code;
    (void)reason;
    return false;
}

static enum rb_status on_packed(void *ctx, struct rb_text packed, struct rb_text *data) {
    (void)ctx;
    return restore(packed, 1000, data);
}

/* Feeds in pieces of that size; what was heard, or the close code. */
static void hear(struct rb_text wire, size_t piece, bool agreed, const char *expected) {
    const struct rb_ws_events events = {.on_message = on_message,
                                        .on_ping = on_control,
                                        .on_pong = on_control,
                                        .on_close = on_close,
                                        .restore = agreed ? on_packed : NULL};
    struct heard h;
    struct rb_ws_state *state = NULL;
    uint16_t code = 0;
    enum rb_status status = RB_OK;
    char *bytes = malloc(wire.len);
    assert_non_null(bytes);
    memcpy(bytes, wire.at, wire.len);
    rb_buffer_init(&h.log, 100000);
    rb_buffer_string(&h.log, "");
    for (size_t at = 0; at < wire.len && status == RB_OK; at += piece) {
        size_t n = wire.len - at < piece ? wire.len - at : piece;
        status = rb_ws_feed(&state, bytes + at, n, 1000, &events, &h, &code);
    }
    if (status != RB_OK)
        rb_buffer_printf(&h.log, "!%u", code);
    rb_buffer_add(&h.log, "", 0);
    assert_string_equal(h.log.at, expected);
    rb_buffer_fini(&h.log);
    rb_ws_state_free(state);
    free(bytes);
}

#define KEY "\0\0\0\0"
#define WHOLE "\xc1\x87" KEY "\xf2\x48\xcd\xc9\xc9\x07\x00"
#define FIRST "\x41\x83" KEY "\xf2\x48\xcd"
#define PING "\x89\x81" KEY "p"
#define LAST "\x80\x84" KEY "\xc9\xc9\x07\x00"
#define PLAIN "\x81\x82" KEY "hi"

static void frames(void **unused) {
    static const struct {
        struct rb_text wire;
        const char *heard;
    } cases[] = {
        {RB_TEXT(WHOLE), "1:Hello"},
        {RB_TEXT(WHOLE PLAIN WHOLE), "1:Hello1:hi1:Hello"},
        {RB_TEXT(FIRST PING LAST PLAIN), "ping:p1:Hello1:hi"},
        {RB_TEXT(FIRST "\x00\x80" KEY LAST), "1:Hello"},
        {RB_TEXT("\xc1\x80" KEY), "1:"},
        {RB_TEXT("\xc2\x81" KEY "\x00"), "2:"},
        {RB_TEXT(FIRST "\xc0\x84" KEY "\xc9\xc9\x07\x00"), "!1002"}, /* on the second */
        {RB_TEXT("\xc9\x81" KEY "p"), "!1002"},                      /* on a ping */
        {RB_TEXT("\xa1\x82" KEY "hi"), "!1002"},                     /* RSV2 */
        {RB_TEXT("\xd1\x82" KEY "hi"), "!1002"},                     /* RSV1 and 3 */
        {RB_TEXT("\xc1\x83" KEY "\xf2\x48\xcd"), "!1007"},           /* cut off */
        {RB_TEXT("\xc1\x87" KEY "\x00\x01\x00\xfe\xff\xff\x00"), "!1007"}, /* UTF-8 */
        {RB_TEXT("\xc2\x87" KEY "\x00\x01\x00\xfe\xff\xff\x00"), "2:\xff"},
        {RB_TEXT("\xc1\xfe\x05\x00" KEY), "!1009"}, /* 1280, more than it may become */
    };
    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t piece = 1; piece <= cases[i].wire.len; piece++)
            hear(cases[i].wire, piece, true, cases[i].heard);
    hear(RB_TEXT(PLAIN WHOLE), 1, false, "1:hi!1002");
    hear(RB_TEXT(PLAIN WHOLE), 100, false, "1:hi!1002");
}

static void large_ones_are_refused(void **unused) {
    static char zeros[1001];
    bool packed;
    struct rb_buffer wire;
    (void)unused;
    for (size_t len = 1000; len <= 1001; len++) {
        rb_buffer_init(&wire, 1000);
        rb_buffer_clear(&out);
        rb_deflate_frame(deflate, &out, RB_WS_BINARY, rb_text(zeros, len));
        assert_int_equal((unsigned char)out.at[0], 0xc2);
        out.at[0] = (char)0xc1;
        struct rb_text body = payload(&packed);
        rb_buffer_printf(&wire, "\xc1%c", (int)(0x80 | body.len));
        rb_buffer_add(&wire, KEY, 4);
        rb_buffer_text(&wire, body);
        if (len == 1001)
            hear(rb_buffer_view(&wire), 3, true, "!1009");
        else
            hear(rb_buffer_view(&wire), 3, true, "1:");
        rb_buffer_fini(&wire);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(offers_that_are_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(offers_that_are_declined, setup, teardown),
        cmocka_unit_test_setup_teardown(several_header_fields_are_one_list, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(answers, setup, teardown),
        cmocka_unit_test_setup_teardown(only_what_fits_into_the_window, setup, teardown),
        cmocka_unit_test_setup_teardown(examples_of_the_rfc, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_deflate, setup, teardown),
        cmocka_unit_test_setup_teardown(there_and_back, setup, teardown),
        cmocka_unit_test_setup_teardown(bombs, setup, teardown),
        cmocka_unit_test_setup_teardown(frames, setup, teardown),
        cmocka_unit_test_setup_teardown(large_ones_are_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
