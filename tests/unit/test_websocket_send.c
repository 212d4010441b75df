/* What we say on a WebSocket: frames, and the answer to the client's key. */
#include "notifier/websocket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void frames_we_send(void **unused) {
    (void)unused;
    struct rb_buffer out;
    char big[70000];
    memset(big, 'x', sizeof big);
    rb_buffer_init(&out, 100000);
    rb_ws_frame(&out, RB_WS_TEXT, RB_TEXT("Hello"));
    assert_memory_equal(out.at, "\x81\x05Hello", 7);
    assert_int_equal(out.len, 7);
    rb_buffer_clear(&out);
    rb_ws_frame(&out, RB_WS_BINARY, rb_text(big, 126));
    assert_memory_equal(out.at, "\x82\x7e\x00\x7exx", 6);
    assert_int_equal(out.len, 4 + 126);
    rb_buffer_clear(&out);
    rb_ws_frame(&out, RB_WS_BINARY, rb_text(big, 65535));
    assert_memory_equal(out.at, "\x82\x7e\xff\xffxx", 6);
    rb_buffer_clear(&out);
    rb_ws_frame(&out, RB_WS_BINARY, rb_text(big, 65536));
    assert_memory_equal(out.at, "\x82\x7f\0\0\0\0\0\x01\0\0xx", 12);
    rb_buffer_clear(&out);
    rb_ws_frame(&out, RB_WS_PING, rb_text(big, 200));
    assert_int_equal(out.len, 127);
    assert_memory_equal(out.at, "\x89\x7dxx", 4);
    rb_buffer_clear(&out);
    rb_ws_close_frame(&out, RB_WS_NORMAL, RB_TEXT("bye"));
    assert_int_equal(out.len, 7);
    assert_memory_equal(out.at,
                        "\x88\x05\x03\xe8"
                        "bye",
                        7);
    rb_buffer_clear(&out);
    rb_ws_close_frame(&out, RB_WS_NO_STATUS, RB_TEXT("ignored"));
    assert_int_equal(out.len, 2);
    assert_memory_equal(out.at, "\x88\x00", 2);
    rb_buffer_clear(&out);
    /* 122 bytes and then a character of two: it must not be cut in half. */
    memcpy(big + 122, "\xc3\xa9", 2);
    rb_ws_close_frame(&out, RB_WS_POLICY, rb_text(big, 130));
    assert_int_equal(out.len, 2 + 2 + 122);
    rb_buffer_fini(&out);
    /* A full buffer keeps no half frame. */
    rb_buffer_init(&out, 10);
    rb_ws_frame(&out, RB_WS_TEXT, RB_TEXT("123456789"));
    assert_int_equal(out.len, 0);
    assert_int_equal(out.status, RB_TOO_LARGE);
    rb_buffer_fini(&out);
}

static void accept_keys(void **unused) {
    (void)unused;
    char out[RB_WS_ACCEPT_LEN + 1];
    struct rb_ws_hash *hash = rb_ws_hash_new();
    assert_non_null(hash);
    assert_int_equal(rb_ws_accept_key(hash, RB_TEXT("dGhlIHNhbXBsZSBub25jZQ=="), out),
                     RB_OK);
    assert_string_equal(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    static const char *const bad[] = {"",
                                      "dGhlIHNhbXBsZSBub25jZQ=",
                                      "dGhlIHNhbXBsZSBub25jZQ===",
                                      "dGhlIHNhbXBsZSBub25jZTEx",
                                      "dGhlIHNhbXBsZSBub25jZQ= ",
                                      "dGhlIHNhbXBsZSBub25jZ===",
                                      "dGhlIHNhbXBsZSBub-5jZQ==",
                                      "dGhlIHNhbXBs ZSBub25jQ=="};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(rb_ws_accept_key(hash, rb_text_of(bad[i]), out), RB_INVALID);
    /* A key that was refused leaves nothing behind. */
    assert_int_equal(rb_ws_accept_key(hash, RB_TEXT("dGhlIHNhbXBsZSBub25jZQ=="), out),
                     RB_OK);
    assert_string_equal(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    rb_ws_hash_free(hash);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_we_send),
        cmocka_unit_test(accept_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
