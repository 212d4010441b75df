/* Blocks kept by size: none overlaps another, and what comes back is used again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "worker/blocks.h"

#define COUNT 400
#define LARGE (64 * 1024)

static struct held {
    unsigned char *at;
    size_t size;
} held[COUNT];

static void check(const unsigned char *at, size_t size, size_t with) {
    for (size_t i = 0; i < size; i++)
        assert_int_equal(at[i], (unsigned char)with);
}

static void fill(size_t i, size_t size) {
    assert_non_null(held[i].at);
    held[i].size = size;
    memset(held[i].at, (int)(unsigned char)i, size);
}

/* Blocks of all sizes, written from end to end, come, grow, shrink and go. */
static void test_none_overlaps(void **state) {
    uint32_t random = 5;
    (void)state;
    for (int round = 0; round < 40 * COUNT; round++) {
        random = random * 1664525 + 1013904223;
        size_t i = (random >> 16) % COUNT, size = (random >> 8) % 6000;
        struct held *h = &held[i];
        check(h->at, h->size, i);
        if (random >> 31) {
            rb_blocks_free(h->at);
            h->at = rb_blocks_calloc(1, size);
            check(h->at, size, 0);
        } else {
            h->at = rb_blocks_realloc(h->at, size);
            check(h->at, size < h->size ? size : h->size, i);
        }
        fill(i, size);
    }
    for (size_t i = 0; i < COUNT; i++)
        rb_blocks_free(held[i].at);
    rb_blocks_trim();
    assert_int_equal(rb_blocks_kept_bytes(), 0);
}

static void test_the_last_comes_first(void **state) {
    (void)state;
    void *first = rb_blocks_malloc(100), *second = rb_blocks_malloc(100);
    rb_blocks_free(first);
    rb_blocks_free(second);
    assert_true(rb_blocks_kept_bytes() >= 200);
    assert_ptr_equal(rb_blocks_malloc(97), second);
    assert_ptr_equal(rb_blocks_malloc(104), first);
    assert_int_equal(rb_blocks_kept_bytes(), 0);
    rb_blocks_free(first);
    rb_blocks_free(second);
    rb_blocks_trim();
}

static void test_texts(void **state) {
    (void)state;
    char *text = rb_blocks_strdup("a text");
    assert_string_equal(text, "a text");
    rb_blocks_free(text);
    rb_blocks_free(NULL);
    rb_blocks_trim();
}

static void test_no_more_is_kept_than_may_be(void **state) {
    enum { MANY = RB_BLOCKS_KEPT_MAX_BYTES / 4000 + 500 };
    void **at = calloc(MANY, sizeof *at);
    (void)state;
    assert_non_null(at);
    for (size_t i = 0; i < MANY; i++)
        at[i] = rb_blocks_malloc(4000);
    for (size_t i = 0; i < MANY; i++)
        rb_blocks_free(at[i]);
    assert_true(rb_blocks_kept_bytes() >= RB_BLOCKS_KEPT_MAX_BYTES);
    assert_true(rb_blocks_kept_bytes() < RB_BLOCKS_KEPT_MAX_BYTES + 5000);
    rb_blocks_trim();
    void *large = rb_blocks_malloc(LARGE);
    rb_blocks_free(large);
    assert_int_equal(rb_blocks_kept_bytes(), 0);
    free(at);
}

/* A thread that did not ask for it keeps nothing, and may free what others got. */
static void *elsewhere(void *at) {
    rb_blocks_free(at);
    assert_int_equal(rb_blocks_kept_bytes(), 0);
    return rb_blocks_malloc(56);
}

static void test_other_threads(void **state) {
    pthread_t thread;
    void *made = NULL;
    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, elsewhere, rb_blocks_malloc(56)), 0);
    pthread_join(thread, &made);
    rb_blocks_free(made);
    assert_true(rb_blocks_kept_bytes() >= 56);
    rb_blocks_trim();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none_overlaps),
        cmocka_unit_test(test_the_last_comes_first),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_no_more_is_kept_than_may_be),
        cmocka_unit_test(test_other_threads),
    };
    rb_blocks_keep();
    return cmocka_run_group_tests_name("blocks", tests, NULL, NULL);
}
