/* Receipts: one for each terminal event of a job, at the first client that has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "notifier/channel.h"
#include "notifier/encode.h"
#include "notifier/receipt.h"

static struct {
    struct rb_receipts *receipts;
    struct rb_receipt *out[RB_RECEIPTS_OUT + 8];
    size_t count;
    char last[128];
} t;

static void record(void *ctx, struct rb_receipt *receipt, struct rb_text channel,
                   struct rb_text job) {
    assert_ptr_equal(ctx, &t);
    snprintf(t.last, sizeof t.last, RB_TEXT_FMT " " RB_TEXT_FMT, RB_TEXT_ARG(channel),
             RB_TEXT_ARG(job));
    t.out[t.count++] = receipt;
}

static void answer(bool good) {
    while (t.count > 0)
        rb_receipt_recorded(t.out[--t.count], good);
}

static int setup(void **state) {
    static const uint64_t seed[2] = {1, 2};
    (void)state;
    memset(&t, 0, sizeof t);
    t.receipts = rb_receipts_new(record, &t, seed);
    assert_non_null(t.receipts);
    rb_receipts_set(t.receipts, true);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    answer(true);
    assert_true(rb_receipts_idle(t.receipts));
    rb_receipts_free(t.receipts);
    return 0;
}

static struct rb_delivery delivery_of(const char *json) {
    return (struct rb_delivery){.kind = RB_DELIVERY_EVENT,
                                .terminal = true,
                                .channel = RB_TEXT("c"),
                                .json = rb_text_of(json)};
}

#define DONE(job)                                                                        \
    "{\"id\":\"1-0\",\"channel\":\"c\",\"event\":\"done\",\"job\":\"" job "\"}"

/* The caller's own reference, where the delivery's is the test's no more. */
static struct rb_receipt *receipt_of(const char *json) {
    struct rb_delivery delivery = delivery_of(json);
    return rb_receipt_of(t.receipts, &delivery);
}

static void assert_stats(uint64_t written, uint64_t unwritten, uint64_t lost) {
    const struct rb_receipts_stats *stats = rb_receipts_stats(t.receipts);
    assert_int_equal(stats->written, written);
    assert_int_equal(stats->unwritten, unwritten);
    assert_int_equal(stats->lost, lost);
}

static void test_the_first_writing_is_recorded(void **state) {
    struct rb_receipt *receipt = receipt_of(DONE("j"));
    (void)state;
    assert_non_null(receipt);
    rb_receipt_written(receipt);
    rb_receipt_written(receipt);
    assert_int_equal(t.count, 1);
    assert_string_equal(t.last, "c j");
    assert_false(rb_receipts_idle(t.receipts));
    rb_receipt_unref(receipt);
    answer(true);
    assert_stats(1, 0, 0);
}

static void test_all_who_get_a_delivery_share_one(void **state) {
    struct rb_delivery delivery = delivery_of(DONE("j"));
    (void)state;
    struct rb_receipt *receipt = rb_receipt_of(t.receipts, &delivery);
    assert_non_null(receipt);
    assert_ptr_equal(rb_receipt_of(t.receipts, &delivery), receipt);
    rb_receipt_unref(delivery.receipt);
    assert_stats(0, 1, 0);
}

static void test_what_is_recorded_is_known(void **state) {
    struct rb_receipt *one = receipt_of(DONE("j")), *other = receipt_of(DONE("j"));
    (void)state;
    rb_receipt_written(one);
    rb_receipt_written(other); /* read from the stream meanwhile, by another client */
    assert_int_equal(t.count, 1);
    answer(true);
    assert_null(receipt_of(DONE("j")));
    rb_receipt_unref(one);
    rb_receipt_unref(other);
    assert_stats(1, 0, 0);
    struct rb_receipt *next = receipt_of(DONE("k"));
    assert_non_null(next);
    rb_receipt_unref(next);
    assert_stats(1, 1, 0);
}

static void test_what_is_lost_is_tried_with_the_next_client(void **state) {
    struct rb_receipt *receipt = receipt_of(DONE("j"));
    (void)state;
    rb_receipt_written(receipt);
    answer(false);
    rb_receipt_unref(receipt);
    assert_stats(1, 0, 1);
    receipt = receipt_of(DONE("j"));
    assert_non_null(receipt);
    rb_receipt_written(receipt);
    assert_int_equal(t.count, 1);
    rb_receipt_unref(receipt);
}

static void test_recordings_are_bounded(void **state) {
    char json[128];
    (void)state;
    for (int i = 0; i < RB_RECEIPTS_OUT + 3; i++) {
        snprintf(json, sizeof json, "{\"event\":\"done\",\"job\":\"j%d\"}", i);
        struct rb_receipt *receipt = receipt_of(json);
        assert_non_null(receipt);
        rb_receipt_written(receipt);
        rb_receipt_unref(receipt);
    }
    assert_int_equal(t.count, RB_RECEIPTS_OUT);
    assert_stats(RB_RECEIPTS_OUT + 3, 0, 3);
}

static void test_of_what_there_is_none(void **state) {
    struct rb_delivery delivery = delivery_of(DONE("j"));
    static const char *const others[] = {
        "{\"channel\":\"c\",\"event\":\"done\",\"data\":1}",
        "{\"event\":\"done\",\"job\":7}",
        "{\"event\":\"done\",\"job\":\"a b\"}",
        "{\"event\":\"done\",\"job\":\"\"}",
        "{\"event\":\"done\",\"data\":{\"job\":\"j\"}}",
        "[1]",
        "",
    };
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_null(receipt_of(others[i]));
    delivery.terminal = false;
    assert_null(rb_receipt_of(t.receipts, &delivery));
    delivery.terminal = true;
    delivery.kind = RB_DELIVERY_GAP;
    assert_null(rb_receipt_of(t.receipts, &delivery));
    delivery.kind = RB_DELIVERY_EVENT;
    assert_stats(0, 0, 0);
}

static void test_off_they_are_counted(void **state) {
    struct rb_receipt *receipt = receipt_of(DONE("j"));
    (void)state;
    rb_receipts_set(t.receipts, false);
    rb_receipt_written(receipt);
    rb_receipt_unref(receipt);
    assert_int_equal(t.count, 0);
    assert_true(rb_receipts_idle(t.receipts));
    assert_null(receipt_of(DONE("j")));
    assert_stats(1, 0, 0);
}

static void test_joined_ones(void **state) {
    struct rb_receipt *all = NULL;
    struct rb_receipt *each[] = {receipt_of(DONE("a")), NULL, receipt_of(DONE("b")),
                                 receipt_of(DONE("d"))};
    (void)state;
    for (size_t i = 0; i < 4; i++)
        all = rb_receipt_join(all, each[i]);
    rb_receipt_written(all);
    assert_int_equal(t.count, 3);
    answer(true);
    rb_receipt_unref(all);
    for (size_t i = 0; i < 4; i++)
        rb_receipt_unref(each[i]);
    assert_stats(3, 0, 0);
}

static void test_joined_ones_that_are_not_written(void **state) {
    struct rb_receipt *a = receipt_of(DONE("a")), *b = receipt_of(DONE("b"));
    struct rb_receipt *all = rb_receipt_join(rb_receipt_join(NULL, a), b);
    (void)state;
    rb_receipt_unref(a);
    rb_receipt_unref(b);
    assert_stats(0, 0, 0);
    rb_receipt_unref(all);
    assert_stats(0, 2, 0);
    assert_null(rb_receipt_join(NULL, NULL));
    rb_receipt_written(NULL);
    rb_receipt_unref(NULL);
}

/* Bytes bring their receipt along. */
static void test_it_goes_with_the_bytes(void **state) {
    struct rb_bytes *bytes = rb_bytes_new(RB_TEXT("frame"));
    (void)state;
    bytes->receipt = receipt_of(DONE("j"));
    rb_bytes_ref(bytes);
    rb_bytes_unref(bytes);
    assert_stats(0, 0, 0);
    rb_bytes_unref(bytes);
    assert_stats(0, 1, 0);
}

int main(void) {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_the_first_writing_is_recorded),
        TEST(test_all_who_get_a_delivery_share_one),
        TEST(test_what_is_recorded_is_known),
        TEST(test_what_is_lost_is_tried_with_the_next_client),
        TEST(test_recordings_are_bounded),
        TEST(test_of_what_there_is_none),
        TEST(test_off_they_are_counted),
        TEST(test_joined_ones),
        TEST(test_joined_ones_that_are_not_written),
        TEST(test_it_goes_with_the_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
