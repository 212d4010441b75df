/* The WebSocket codec: RFC 6455 case by case, and every stream fed whole, byte by byte
 * and in random pieces with the same outcome. */
#include "notifier/websocket.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MAX_MESSAGE 70000

/* What the codec said, as text that a test can compare. */
struct heard {
    struct rb_buffer log;
    enum rb_status status;
    uint16_t code;
    int stop_after; /* the callback of this number (from 1) says stop; 0 = none */
    int callbacks;
    bool in_place; /* the last message lay in the bytes fed */
    const char *fed;
    size_t fed_len;
};

static bool note(struct heard *h, const char *what, struct rb_text data) {
    rb_buffer_printf(&h->log, "%s:", what);
    rb_buffer_text(&h->log, data);
    rb_buffer_char(&h->log, '\n');
    h->in_place = h->fed && data.at >= h->fed && data.at <= h->fed + h->fed_len;
    return ++h->callbacks != h->stop_after;
}

static bool on_message(void *ctx, enum rb_ws_opcode opcode, struct rb_text data) {
    return note(ctx, opcode == RB_WS_TEXT ? "text" : "binary", data);
}

static bool on_ping(void *ctx, struct rb_text data) { return note(ctx, "ping", data); }

static bool on_pong(void *ctx, struct rb_text data) { return note(ctx, "pong", data); }

static bool on_close(void *ctx, uint16_t code, struct rb_text reason) {
    struct heard *h = ctx;
    rb_buffer_printf(&h->log, "close %u ", code);
    return note(h, "", reason);
}

static const struct rb_ws_events events = {.on_message = on_message,
                                           .on_ping = on_ping,
                                           .on_pong = on_pong,
                                           .on_close = on_close};

/* A small generator of our own, so that a failure comes again on the next run. */
static uint64_t seed = 42;

static size_t below(size_t bound) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (size_t)(seed % bound);
}

/* piece: bytes a feed; 0 = random pieces. The bytes are copied to a block of exactly
 * their size each time, so that a sanitizer sees every step outside. */
static void hear(struct heard *h, struct rb_text wire, size_t piece, size_t max_message) {
    struct rb_ws_state *state = NULL;
    int stop_after = h->stop_after;
    *h = (struct heard){.stop_after = stop_after};
    rb_buffer_init(&h->log, 4 * 1024 * 1024);
    bool over = false;
    for (size_t at = 0; at < wire.len && h->status == RB_OK && !over;) {
        size_t n = piece > 0 ? piece : 1 + below(below(2) ? 8 : 3000);
        if (n > wire.len - at)
            n = wire.len - at;
        char *bytes = malloc(n);
        assert_non_null(bytes);
        memcpy(bytes, wire.at + at, n);
        h->fed = bytes;
        h->fed_len = n;
        h->status = rb_ws_feed(&state, bytes, n, max_message, &events, h, &h->code);
        h->fed = NULL;
        free(bytes);
        at += n;
        over = (h->log.len > 0 && strstr(h->log.at, "close ")) ||
               (stop_after > 0 && h->callbacks >= stop_after);
    }
    rb_ws_state_free(state);
}

static void put(struct rb_buffer *out, unsigned first, struct rb_text payload) {
    static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    char header[RB_WS_HEADER_MAX];
    size_t size = rb_ws_header(header, RB_WS_TEXT, payload.len);
    header[0] = (char)first;
    header[1] = (char)(header[1] | (char)0x80);
    rb_buffer_add(out, header, size);
    rb_buffer_add(out, mask, 4);
    for (size_t i = 0; i < payload.len; i++)
        rb_buffer_char(out, (char)((unsigned char)payload.at[i] ^ mask[i & 3]));
}

#define FIN 0x80u

static void check(struct rb_text wire, const char *log, enum rb_status status,
                  uint16_t code) {
    for (size_t round = 0; round < 8; round++) {
        struct heard h = {0};
        hear(&h, wire, round == 0 ? wire.len : round == 1 ? 1 : 0, MAX_MESSAGE);
        assert_string_equal(h.log.at ? h.log.at : "", log);
        assert_int_equal(h.status, status);
        if (status != RB_OK)
            assert_int_equal(h.code, code);
        rb_buffer_fini(&h.log);
    }
}

static void check_frames(const char *log, enum rb_status status, uint16_t code,
                         size_t count, const unsigned *first,
                         const struct rb_text *payload) {
    struct rb_buffer wire;
    rb_buffer_init(&wire, 1024 * 1024);
    for (size_t i = 0; i < count; i++)
        put(&wire, first[i], payload[i]);
    check(rb_buffer_view(&wire), log, status, code);
    rb_buffer_fini(&wire);
}

#define FRAMES(log, status, code, firsts, ...)                                           \
    do {                                                                                 \
        const unsigned first_[] = firsts;                                                \
        const struct rb_text payload_[] = {__VA_ARGS__};                                 \
        assert_int_equal(sizeof first_ / sizeof *first_,                                 \
                         sizeof payload_ / sizeof *payload_);                            \
        check_frames(log, status, code, sizeof first_ / sizeof *first_, first_,          \
                     payload_);                                                          \
    } while (0)
#define F(...)                                                                           \
    { __VA_ARGS__ }

static void whole_messages(void **unused) {
    (void)unused;
    FRAMES("text:Hello\n", RB_OK, 0, F(FIN | RB_WS_TEXT), RB_TEXT("Hello"));
    FRAMES("text:\n", RB_OK, 0, F(FIN | RB_WS_TEXT), RB_TEXT(""));
    FRAMES("binary:\xff\n", RB_OK, 0, F(FIN | RB_WS_BINARY), RB_TEXT("\xff"));
    FRAMES("text:a\ntext:b\ntext:c\n", RB_OK, 0,
           F(FIN | RB_WS_TEXT, FIN | RB_WS_TEXT, FIN | RB_WS_TEXT), RB_TEXT("a"),
           RB_TEXT("b"), RB_TEXT("c"));
    FRAMES("ping:\npong:x\n", RB_OK, 0, F(FIN | RB_WS_PING, FIN | RB_WS_PONG),
           RB_TEXT(""), RB_TEXT("x"));
}

static void fragments(void **unused) {
    (void)unused;
    FRAMES("text:Hello\n", RB_OK, 0, F(RB_WS_TEXT, FIN | RB_WS_CONTINUATION),
           RB_TEXT("Hel"), RB_TEXT("lo"));
    FRAMES("text:\n", RB_OK, 0, F(RB_WS_TEXT, 0, FIN), RB_TEXT(""), RB_TEXT(""),
           RB_TEXT(""));
    FRAMES("binary:abc\n", RB_OK, 0, F(RB_WS_BINARY, 0, 0, FIN), RB_TEXT("a"),
           RB_TEXT(""), RB_TEXT("b"), RB_TEXT("c"));
    FRAMES("ping:p\npong:q\ntext:ab\ntext:z\n", RB_OK, 0,
           F(RB_WS_TEXT, FIN | RB_WS_PING, FIN | RB_WS_PONG, FIN, FIN | RB_WS_TEXT),
           RB_TEXT("a"), RB_TEXT("p"), RB_TEXT("q"), RB_TEXT("b"), RB_TEXT("z"));
    /* A close between fragments ends it, what follows is not looked at. */
    FRAMES("close 1000 :\n", RB_OK, 0, F(RB_WS_TEXT, FIN | RB_WS_CLOSE, 0x70),
           RB_TEXT("a"), RB_TEXT("\x03\xe8"), RB_TEXT(""));
}

static void broken_frames(void **unused) {
    (void)unused;
    const enum rb_status bad = RB_INVALID;
    const uint16_t protocol = RB_WS_PROTOCOL_ERROR;
    for (unsigned bits = 1; bits < 8; bits++)
        FRAMES("", bad, protocol, F(FIN | bits << 4 | RB_WS_TEXT), RB_TEXT("x"));
    for (unsigned opcode = 0; opcode < 16; opcode++) {
        if (opcode == RB_WS_TEXT || opcode == RB_WS_BINARY ||
            (opcode >= RB_WS_CLOSE && opcode <= RB_WS_PONG))
            continue;
        FRAMES("text:1\n", bad, protocol, F(FIN | RB_WS_TEXT, FIN | opcode), RB_TEXT("1"),
               RB_TEXT("x"));
    }
    /* Fragmented control frames, and control frames that are too long. */
    for (unsigned opcode = RB_WS_CLOSE; opcode <= RB_WS_PONG; opcode++) {
        char big[126] = {0};
        FRAMES("", bad, protocol, F(opcode), RB_TEXT("\x03\xe8"));
        FRAMES("", bad, protocol, F(FIN | opcode), rb_text(big, sizeof big));
    }
    /* A new message inside a message; a continuation outside. */
    FRAMES("", bad, protocol, F(RB_WS_TEXT, FIN | RB_WS_TEXT), RB_TEXT("a"),
           RB_TEXT("b"));
    FRAMES("", bad, protocol, F(RB_WS_TEXT, RB_WS_BINARY), RB_TEXT("a"), RB_TEXT("b"));
    FRAMES("text:a\n", bad, protocol, F(RB_WS_TEXT, FIN, FIN), RB_TEXT("a"), RB_TEXT(""),
           RB_TEXT("b"));
    /* Without a mask. */
    check(RB_TEXT("\x81\x05Hello"), "", bad, protocol);
    check(RB_TEXT("\x89"
                  "\x00"),
          "", bad, protocol);
}

static void lengths(void **unused) {
    (void)unused;
    const uint16_t protocol = RB_WS_PROTOCOL_ERROR;
    /* Longer forms than needed, and the highest bit. */
    check(RB_TEXT("\x82\xfe\x00\x7d"), "", RB_INVALID, protocol);
    check(RB_TEXT("\x82\xff\0\0\0\0\0\0\xff\xff"), "", RB_INVALID, protocol);
    check(RB_TEXT("\x82\xff\x80\0\0\0\0\x01\0\0"), "", RB_INVALID, protocol);
    /* Too big is told from the header alone. */
    check(RB_TEXT("\x82\xff\0\0\0\0\0\x01\x11\x71mask"), "", RB_TOO_LARGE, RB_WS_TOO_BIG);
    check(RB_TEXT("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xffmask"), "", RB_TOO_LARGE,
          RB_WS_TOO_BIG);
    static const size_t sizes[] = {0,   1,    7,    8,    9,     124,   125,        126,
                                   127, 4095, 4096, 4097, 65535, 65536, MAX_MESSAGE};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct rb_buffer log, data;
        rb_buffer_init(&log, 1024 * 1024);
        rb_buffer_init(&data, 1024 * 1024);
        for (size_t j = 0; j < sizes[i]; j++)
            rb_buffer_char(&data, (char)('a' + j % 26));
        rb_buffer_string(&log, "text:");
        rb_buffer_text(&log, rb_buffer_view(&data));
        rb_buffer_char(&log, '\n');
        FRAMES(log.at, RB_OK, 0, F(FIN | RB_WS_TEXT), rb_buffer_view(&data));
        FRAMES(log.at, RB_OK, 0, F(RB_WS_TEXT, FIN), rb_buffer_view(&data), RB_TEXT(""));
        rb_buffer_fini(&log);
        rb_buffer_fini(&data);
    }
}

static void too_big_in_pieces(void **unused) {
    (void)unused;
    struct rb_buffer wire;
    char bytes[50] = {0};
    rb_buffer_init(&wire, 1024);
    put(&wire, RB_WS_BINARY, rb_text(bytes, 50));
    put(&wire, 0, rb_text(bytes, 50));
    put(&wire, FIN, RB_TEXT(""));
    struct heard h = {0};
    hear(&h, rb_buffer_view(&wire), 1, 100);
    assert_int_equal(h.status, RB_OK);
    assert_int_equal(h.callbacks, 1);
    rb_buffer_fini(&h.log);
    hear(&h, rb_buffer_view(&wire), 1, 99);
    assert_int_equal(h.status, RB_TOO_LARGE);
    assert_int_equal(h.code, RB_WS_TOO_BIG);
    assert_int_equal(h.callbacks, 0);
    rb_buffer_fini(&h.log);
    rb_buffer_fini(&wire);
}

static void text_must_be_utf8(void **unused) {
    (void)unused;
    const uint16_t invalid = RB_WS_INVALID_DATA;
    static const char *const good[] = {"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5",
                                       "\xc2\x80",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "1234567\xc3\xa9xyz123456\xe2\x82\xac"};
    static const char *const bad[] = {"\x80",
                                      "\xbf",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xe2\x82",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xfe",
                                      "\xff",
                                      "\xf8\x88\x80\x80\x80",
                                      "12345678\xe2\x28\xa1",
                                      "\xf0\x90\x80",
                                      "abcdefgh1234567\xc3"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char log[64];
        snprintf(log, sizeof log, "text:%s\n", good[i]);
        struct rb_text text = rb_text_of(good[i]);
        FRAMES(log, RB_OK, 0, F(FIN | RB_WS_TEXT), text);
        for (size_t cut = 0; cut <= text.len; cut++)
            FRAMES(log, RB_OK, 0, F(RB_WS_TEXT, FIN), rb_text(text.at, cut),
                   rb_text(text.at + cut, text.len - cut));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct rb_text text = rb_text_of(bad[i]);
        FRAMES("", RB_INVALID, invalid, F(FIN | RB_WS_TEXT), text);
        for (size_t cut = 0; cut <= text.len; cut++)
            FRAMES("", RB_INVALID, invalid, F(RB_WS_TEXT, FIN), rb_text(text.at, cut),
                   rb_text(text.at + cut, text.len - cut));
    }
    /* Binary messages are left alone. */
    FRAMES("binary:\xc3\x28\n", RB_OK, 0, F(RB_WS_BINARY, FIN), RB_TEXT("\xc3"),
           RB_TEXT("\x28"));
}

static void bad_text_fails_fast(void **unused) {
    (void)unused;
    /* A frame of 100 bytes whose sixth byte is wrong: not one more is waited for. */
    char wire[] = "\x81\xe4\0\0\0\0hello\xff";
    struct rb_ws_state *state = NULL;
    struct heard h = {0};
    assert_int_equal(rb_ws_feed(&state, wire, 11, MAX_MESSAGE, &events, &h, &h.code),
                     RB_OK);
    assert_non_null(state);
    assert_int_equal(rb_ws_feed(&state, wire + 11, 1, MAX_MESSAGE, &events, &h, &h.code),
                     RB_INVALID);
    assert_int_equal(h.code, RB_WS_INVALID_DATA);
    rb_ws_state_free(state);
}

static void close_frames(void **unused) {
    (void)unused;
    const uint16_t protocol = RB_WS_PROTOCOL_ERROR;
    FRAMES("close 1005 :\n", RB_OK, 0, F(FIN | RB_WS_CLOSE), RB_TEXT(""));
    FRAMES("", RB_INVALID, protocol, F(FIN | RB_WS_CLOSE), RB_TEXT("\x03"));
    FRAMES("close 1000 :bye\n", RB_OK, 0, F(FIN | RB_WS_CLOSE),
           RB_TEXT("\x03\xe8"
                   "bye"));
    FRAMES("", RB_INVALID, RB_WS_INVALID_DATA, F(FIN | RB_WS_CLOSE),
           RB_TEXT("\x03\xe8\xce\xba\xff"));
    FRAMES("", RB_INVALID, RB_WS_INVALID_DATA, F(FIN | RB_WS_CLOSE),
           RB_TEXT("\x03\xe8\xe2\x82"));
    static const unsigned good[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010,
                                    1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999};
    static const unsigned bad[] = {0,    1,    999,  1004, 1005, 1006, 1015,
                                   1016, 1100, 2000, 2999, 5000, 65535};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char payload[2] = {(char)(good[i] >> 8), (char)good[i]}, log[32];
        snprintf(log, sizeof log, "close %u :\n", good[i]);
        FRAMES(log, RB_OK, 0, F(FIN | RB_WS_CLOSE), rb_text(payload, 2));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char payload[2] = {(char)(bad[i] >> 8), (char)bad[i]};
        FRAMES("", RB_INVALID, protocol, F(FIN | RB_WS_CLOSE), rb_text(payload, 2));
    }
}

static void small_messages_cost_nothing(void **unused) {
    (void)unused;
    struct rb_buffer wire;
    struct rb_ws_state *state = NULL;
    struct heard h = {0};
    rb_buffer_init(&wire, 1024);
    rb_buffer_init(&h.log, 1024);
    put(&wire, FIN | RB_WS_TEXT, RB_TEXT("one"));
    put(&wire, FIN | RB_WS_PING, RB_TEXT("two"));
    h.fed = wire.at;
    h.fed_len = wire.len;
    assert_int_equal(rb_ws_feed(&state, wire.at, wire.len, 100, &events, &h, &h.code),
                     RB_OK);
    assert_null(state);
    assert_true(h.in_place);
    /* A header in two pieces needs the state for a moment only. */
    rb_buffer_clear(&wire);
    put(&wire, FIN | RB_WS_TEXT, RB_TEXT("three"));
    assert_int_equal(rb_ws_feed(&state, wire.at, 3, 100, &events, &h, &h.code), RB_OK);
    assert_non_null(state);
    assert_int_equal(
        rb_ws_feed(&state, wire.at + 3, wire.len - 3, 100, &events, &h, &h.code), RB_OK);
    assert_null(state);
    assert_string_equal(h.log.at, "text:one\nping:two\ntext:three\n");
    rb_buffer_fini(&h.log);
    rb_buffer_fini(&wire);
}

static void a_callback_stops_the_feeding(void **unused) {
    (void)unused;
    struct rb_buffer wire;
    rb_buffer_init(&wire, 1024);
    put(&wire, RB_WS_TEXT, RB_TEXT("a"));
    put(&wire, FIN | RB_WS_PING, RB_TEXT("b"));
    put(&wire, FIN, RB_TEXT("c"));
    put(&wire, 0x7f, RB_TEXT("broken"));
    for (int stop = 1; stop <= 2; stop++)
        for (size_t piece = 1; piece <= wire.len; piece++) {
            struct heard h = {.stop_after = stop};
            hear(&h, rb_buffer_view(&wire), piece, 100);
            assert_int_equal(h.status, RB_OK);
            assert_string_equal(h.log.at, stop == 1 ? "ping:b\n" : "ping:b\ntext:ac\n");
            rb_buffer_fini(&h.log);
        }
    rb_buffer_fini(&wire);
}

static void announced_sizes_reserve_nothing(void **unused) {
    (void)unused;
    /* A megabyte announced and allowed, four bytes of it sent. */
    char wire[] = "\x82\xff\0\0\0\0\0\x10\0\0\0\0\0\0data";
    struct rb_ws_state *state = NULL;
    struct heard h = {0};
    size_t before = mallinfo2().uordblks;
    assert_int_equal(
        rb_ws_feed(&state, wire, sizeof wire - 1, (size_t)1 << 31, &events, &h, &h.code),
        RB_OK);
    assert_non_null(state);
    assert_true(mallinfo2().uordblks - before < 1024);
    rb_ws_state_free(state);
}

/* Streams of frames put together at random, right and wrong ones: however they are cut,
 * the codec says the same. */
static void random_streams(void **unused) {
    (void)unused;
    static const unsigned firsts[] = {
        FIN | RB_WS_TEXT, RB_WS_TEXT,         0,           FIN, 0, FIN, FIN | RB_WS_PING,
        FIN | RB_WS_PONG, FIN | RB_WS_BINARY, RB_WS_BINARY};
    for (int round = 0; round < 300; round++) {
        struct rb_buffer wire;
        struct heard whole = {0};
        rb_buffer_init(&wire, 1024 * 1024);
        for (size_t i = 0, n = 1 + below(12); i < n; i++) {
            char data[400];
            size_t len = below(below(4) ? 40 : sizeof data);
            for (size_t j = 0; j < len; j++)
                data[j] = (char)(below(400) ? 'a' + below(26) : below(256));
            unsigned first = firsts[below(sizeof firsts / sizeof *firsts)];
            put(&wire, first, rb_text(data, (first & 8) && len > 125 ? 125 : len));
        }
        hear(&whole, rb_buffer_view(&wire), wire.len, 600);
        for (size_t piece = 0; piece < 6; piece++) {
            struct heard h = {0};
            hear(&h, rb_buffer_view(&wire), piece, 600);
            assert_int_equal(h.status, whole.status);
            assert_int_equal(h.code, whole.code);
            assert_int_equal(h.log.len, whole.log.len);
            if (h.log.len > 0)
                assert_memory_equal(h.log.at, whole.log.at, h.log.len);
            rb_buffer_fini(&h.log);
        }
        rb_buffer_fini(&whole.log);
        rb_buffer_fini(&wire);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_messages),
        cmocka_unit_test(fragments),
        cmocka_unit_test(broken_frames),
        cmocka_unit_test(lengths),
        cmocka_unit_test(too_big_in_pieces),
        cmocka_unit_test(text_must_be_utf8),
        cmocka_unit_test(bad_text_fails_fast),
        cmocka_unit_test(close_frames),
        cmocka_unit_test(small_messages_cost_nothing),
        cmocka_unit_test(a_callback_stops_the_feeding),
        cmocka_unit_test(announced_sizes_reserve_nothing),
        cmocka_unit_test(random_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
