/* What of a channel's meta hash is shown as receipts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "notifier/receipt_list.h"

#define MOST 256

static void assert_list(const char *const *words, const char *expected) {
    struct redisReply strings[MOST], *elements[MOST];
    struct redisReply hash = {.type = REDIS_REPLY_ARRAY, .element = elements};
    struct rb_buffer out;
    for (; words[hash.elements]; hash.elements++) {
        strings[hash.elements] = (struct redisReply){.type = REDIS_REPLY_STRING,
                                                     .str = (char *)words[hash.elements],
                                                     .len = strlen(words[hash.elements])};
        elements[hash.elements] = &strings[hash.elements];
    }
    rb_buffer_init(&out, 65536);
    assert_int_equal(rb_receipt_list_write(&hash, &out), RB_OK);
    assert_string_equal(out.at, expected);
    rb_buffer_fini(&out);
}

static void test_newest_first(void **state) {
    (void)state;
    assert_list((const char *[]){NULL}, "[]");
    assert_list((const char *[]){"last", "9-0", "t:b", "7-1", "r:a", "1700", "t:a", "7-2",
                                 "t:c", "12-0", "terminal", "12-0", "sweep", "0", "r:c",
                                 "1900", NULL},
                "[{\"job\":\"c\",\"event\":\"12-0\",\"delivered_at\":1900},"
                "{\"job\":\"a\",\"event\":\"7-2\",\"delivered_at\":1700},"
                "{\"job\":\"b\",\"event\":\"7-1\",\"delivered_at\":null}]");
}

static void test_what_is_none_is_passed_over(void **state) {
    (void)state;
    assert_list((const char *[]){"t:", "1-0", "t:x", "soon", "r:a", "never", "t:a", "1-0",
                                 "r:gone", "1700", "r", "1", "", "", NULL},
                "[{\"job\":\"a\",\"event\":\"1-0\",\"delivered_at\":null}]");
    assert_list((const char *[]){"t:\"\n", "1-0", NULL},
                "[{\"job\":\"\\\"\\n\",\"event\":\"1-0\",\"delivered_at\":null}]");
}

/* One name may begin another. */
static void test_names_are_compared_whole(void **state) {
    (void)state;
    assert_list((const char *[]){"t:a", "3-0", "t:aa", "2-0", "t:", "1-0", "r:aa", "5",
                                 "r:aaa", "6", NULL},
                "[{\"job\":\"a\",\"event\":\"3-0\",\"delivered_at\":null},"
                "{\"job\":\"aa\",\"event\":\"2-0\",\"delivered_at\":5}]");
}

static void test_so_many_are_shown(void **state) {
    static char fields[RB_RECEIPTS_SHOWN + 20][16], ids[RB_RECEIPTS_SHOWN + 20][16];
    const char *words[MOST] = {NULL};
    struct redisReply strings[MOST], *elements[MOST];
    struct redisReply hash = {.type = REDIS_REPLY_ARRAY, .element = elements};
    struct rb_buffer out;
    size_t shown = 0;
    (void)state;
    for (size_t i = 0; i < RB_RECEIPTS_SHOWN + 20; i++) {
        snprintf(fields[i], sizeof fields[i], "t:%zu", i);
        snprintf(ids[i], sizeof ids[i], "%zu-0", i + 1);
        words[2 * i] = fields[i];
        words[2 * i + 1] = ids[i];
    }
    for (; hash.elements < 2 * (RB_RECEIPTS_SHOWN + 20); hash.elements++) {
        strings[hash.elements] = (struct redisReply){.type = REDIS_REPLY_STRING,
                                                     .str = (char *)words[hash.elements],
                                                     .len = strlen(words[hash.elements])};
        elements[hash.elements] = &strings[hash.elements];
    }
    rb_buffer_init(&out, 65536);
    assert_int_equal(rb_receipt_list_write(&hash, &out), RB_OK);
    for (const char *at = out.at; (at = strstr(at, "\"job\"")); at++)
        shown++;
    assert_int_equal(shown, RB_RECEIPTS_SHOWN);
    assert_memory_equal(out.at, "[{\"job\":\"119\"", 13);
    rb_buffer_fini(&out);
}

static void test_no_hash(void **state) {
    struct redisReply nothing = {.type = REDIS_REPLY_NIL};
    struct rb_buffer out;
    (void)state;
    rb_buffer_init(&out, 64);
    assert_int_equal(rb_receipt_list_write(&nothing, &out), RB_INVALID);
    rb_buffer_fini(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_newest_first),
        cmocka_unit_test(test_what_is_none_is_passed_over),
        cmocka_unit_test(test_names_are_compared_whole),
        cmocka_unit_test(test_so_many_are_shown),
        cmocka_unit_test(test_no_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
