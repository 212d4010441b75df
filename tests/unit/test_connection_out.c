/* The queue of frames of one client, on a pair of sockets. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "notifier/connection.h"

static int ours, theirs;

static int set_up(void **state) {
    int pair[2], small = 4096;
    (void)state;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) != 0)
        return -1;
    ours = pair[0];
    theirs = pair[1];
    return setsockopt(ours, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
}

static int tear_down(void **state) {
    (void)state;
    close(ours);
    if (theirs >= 0)
        close(theirs);
    return 0;
}

static struct rb_bytes *bytes_of(size_t len, unsigned first) {
    char *text = malloc(len + 1);
    for (size_t i = 0; i < len; i++)
        text[i] = (char)(first + i);
    struct rb_bytes *bytes = rb_bytes_new(rb_text(text, len));
    free(text);
    return bytes;
}

/* What is read continues the sequence of bytes. */
static size_t drain(size_t at) {
    char got[10000];
    ssize_t n;
    while ((n = recv(theirs, got, sizeof got, 0)) > 0)
        for (ssize_t i = 0; i < n; i++)
            assert_int_equal((unsigned char)got[i], (unsigned char)at++);
    return at;
}

static void in_order_whatever_the_kernel_takes(void **state) {
    struct rb_out *out = NULL;
    size_t queued = 0, read = 0, written, sum = 0;
    uint32_t random = 5;
    (void)state;
    for (int i = 0; i < 3000; i++) {
        random = random * 1664525 + 1013904223;
        struct rb_bytes *bytes = bytes_of((random >> 16) % 700, (unsigned)queued & 0xff);
        queued += bytes->len;
        assert_int_equal(rb_out_add(&out, bytes), RB_OK);
        rb_bytes_unref(bytes);
        if (random >> 28 == 0) {
            enum rb_status status = rb_out_write(&out, ours, &written);
            assert_true(status == RB_OK || status == RB_UNAVAILABLE);
            assert_true((status == RB_OK) == (out == NULL));
            sum += written;
            assert_int_equal(rb_out_bytes(out), queued - sum);
        }
        if (random >> 29 == 1)
            read = drain(read);
    }
    while (rb_out_write(&out, ours, &written) == RB_UNAVAILABLE)
        read = drain(read);
    assert_null(out);
    assert_int_equal(drain(read), queued);
}

static void shared_bytes_are_let_go(void **state) {
    struct rb_out *out = NULL;
    struct rb_bytes *bytes = bytes_of(10, 0);
    size_t written;
    (void)state;
    for (int i = 0; i < 100; i++)
        assert_int_equal(rb_out_add(&out, bytes), RB_OK);
    assert_int_equal(bytes->refs, 101);
    assert_int_equal(rb_out_bytes(out), 1000);
    rb_out_free(out);
    assert_int_equal(bytes->refs, 1);
    out = NULL;
    assert_int_equal(rb_out_add(&out, bytes), RB_OK);
    assert_int_equal(rb_out_write(&out, ours, &written), RB_OK);
    assert_int_equal(written, 10);
    assert_int_equal(bytes->refs, 1);
    rb_bytes_unref(bytes);
    rb_out_free(NULL);
    assert_int_equal(rb_out_bytes(NULL), 0);
}

static void gathered_from_the_first_byte_that_is_not_written(void **state) {
    struct rb_out *out = NULL;
    struct rb_bytes *bytes = bytes_of(10, 0);
    char got[100];
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(rb_out_add(&out, bytes), RB_OK);
    assert_int_equal(rb_out_gather(out, got, sizeof got), 30);
    assert_int_equal(rb_out_gather(out, got, 15), 15);
    assert_memory_equal(got, "\0\1\2\3\4\5\6\7\10\11\0\1\2\3\4", 15);
    assert_int_equal(rb_out_drop(&out, 14), RB_OK);
    assert_int_equal(rb_out_bytes(out), 16);
    assert_int_equal(bytes->refs, 3);
    assert_int_equal(rb_out_gather(out, got, sizeof got), 16);
    assert_memory_equal(got, "\4\5\6\7\10\11\0\1", 8);
    assert_int_equal(rb_out_drop(&out, 16), RB_OK);
    assert_null(out);
    assert_int_equal(bytes->refs, 1);
    rb_bytes_unref(bytes);
}

/* One frame alone is kept without a list; more, or a part of it, make one. */
static void one_frame_in_parts(void **state) {
    struct rb_out *out = NULL;
    struct rb_bytes *bytes = bytes_of(10, 0);
    char got[100];
    (void)state;
    assert_int_equal(rb_out_add(&out, bytes), RB_OK);
    assert_int_equal(rb_out_bytes(out), 10);
    assert_int_equal(rb_out_gather(out, got, 4), 4);
    assert_int_equal(rb_out_drop(&out, 4), RB_OK);
    assert_int_equal(rb_out_bytes(out), 6);
    assert_int_equal(rb_out_gather(out, got, sizeof got), 6);
    assert_memory_equal(got, "\4\5\6\7\10\11", 6);
    assert_int_equal(rb_out_add(&out, bytes), RB_OK);
    assert_int_equal(rb_out_bytes(out), 16);
    assert_int_equal(rb_out_drop(&out, 6), RB_OK);
    assert_int_equal(bytes->refs, 2);
    assert_int_equal(rb_out_drop(&out, 10), RB_OK);
    assert_null(out);
    assert_int_equal(rb_out_add(&out, bytes), RB_OK);
    rb_out_free(out);
    assert_int_equal(bytes->refs, 1);
    rb_bytes_unref(bytes);
}

static void nothing_is_nothing(void **state) {
    struct rb_out *out = NULL;
    struct rb_bytes *bytes = bytes_of(0, 0);
    size_t written;
    (void)state;
    assert_int_equal(rb_out_add(&out, bytes), RB_OK);
    assert_null(out);
    assert_int_equal(rb_out_write(&out, ours, &written), RB_OK);
    rb_bytes_unref(bytes);
}

static void a_client_that_is_gone(void **state) {
    struct rb_out *out = NULL;
    struct rb_bytes *bytes = bytes_of(10, 0);
    size_t written;
    (void)state;
    close(theirs);
    theirs = -1;
    assert_int_equal(rb_out_add(&out, bytes), RB_OK);
    assert_int_equal(rb_out_write(&out, ours, &written), RB_SYSTEM);
    rb_out_free(out);
    rb_bytes_unref(bytes);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(in_order_whatever_the_kernel_takes),
        TEST(shared_bytes_are_let_go),
        TEST(gathered_from_the_first_byte_that_is_not_written),
        TEST(one_frame_in_parts),
        TEST(nothing_is_nothing),
        TEST(a_client_that_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
