/* Gathering answers: when it is enough, when it can't be, and what is made of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "worker/gather.h"

static char a[] = "a", b[] = "b", c[] = "c";
static const struct rb_leg legs[] = {{a, NULL}, {b, NULL}, {c, NULL}};

static struct rb_gather *gather_of(int64_t need) {
    struct rb_gather *g = rb_gather_new(legs, 3, need);
    assert_non_null(g);
    assert_int_equal(rb_gather_verdict(g), RB_GATHER_WAIT);
    return g;
}

static void answer(struct rb_gather *g, size_t leg, const char *data) {
    assert_int_equal(rb_gather_answered(g, leg, rb_text_of(data)), RB_OK);
}

static void break_off(struct rb_gather *g, size_t leg, int status) {
    const struct rb_event_error error = {RB_FAIL_HTTP_STATUS, "no \"luck\"", status};
    assert_int_equal(rb_gather_failed(g, leg, &error), RB_OK);
}

static void assert_written(const struct rb_gather *g, const char *data,
                           const char *missing) {
    struct rb_buffer out;
    rb_buffer_init(&out, 4096);
    rb_buffer_string(&out, "");
    rb_gather_write(g, &out);
    assert_string_equal(out.at, data);
    rb_buffer_clear(&out);
    rb_buffer_string(&out, "");
    rb_gather_write_missing(g, &out);
    rb_buffer_char(&out, '\0');
    assert_string_equal(out.at, missing);
    rb_buffer_fini(&out);
}

static void all(void **state) {
    (void)state;
    struct rb_gather *g = gather_of(3);
    assert_written(g, "{}", "[\"a\",\"b\",\"c\"]");
    answer(g, 2, "1.50");
    assert_int_equal(rb_gather_verdict(g), RB_GATHER_WAIT);
    assert_true(rb_gather_ended(g, 2));
    assert_false(rb_gather_ended(g, 0));
    assert_written(g, "{\"c\":1.50}", "[\"a\",\"b\"]");
    assert_int_equal(rb_gather_close(g), RB_GATHER_DONE);
    answer(g, 0, "[]");
    answer(g, 1, "null");
    assert_int_equal(rb_gather_verdict(g), RB_GATHER_DONE);
    assert_null(rb_gather_error(g));
    assert_written(g, "{\"a\":[],\"b\":null,\"c\":1.50}", "");
    rb_gather_free(g);
}

static void all_can_not_be_reached(void **state) {
    (void)state;
    struct rb_gather *g = gather_of(3);
    answer(g, 0, "1");
    break_off(g, 1, 503);
    assert_int_equal(rb_gather_verdict(g), RB_GATHER_FAILED);
    break_off(g, 2, 404);
    assert_int_equal(rb_gather_error(g)->status, 503);
    assert_string_equal(rb_gather_error(g)->message, "no \"luck\"");
    rb_gather_free(g);
}

static void any(void **state) {
    (void)state;
    struct rb_gather *g = gather_of(1);
    break_off(g, 0, 503);
    assert_int_equal(rb_gather_verdict(g), RB_GATHER_WAIT);
    assert_int_equal(rb_gather_close(g), RB_GATHER_FAILED);
    answer(g, 2, "true");
    assert_int_equal(rb_gather_verdict(g), RB_GATHER_DONE);
    assert_written(g,
                   "{\"a\":{\"error\":{\"code\":\"http_status\",\"message\":\"no "
                   "\\\"luck\\\"\",\"status\":503}},\"c\":true}",
                   "[\"b\"]");
    rb_gather_free(g);
    g = gather_of(1);
    break_off(g, 0, 1);
    break_off(g, 1, 2);
    assert_int_equal(rb_gather_verdict(g), RB_GATHER_WAIT);
    break_off(g, 2, 3);
    assert_int_equal(rb_gather_verdict(g), RB_GATHER_FAILED);
    rb_gather_free(g);
}

static void two_of_three(void **state) {
    (void)state;
    struct rb_gather *g = gather_of(2);
    break_off(g, 0, 500);
    answer(g, 1, "1");
    assert_int_equal(rb_gather_verdict(g), RB_GATHER_WAIT);
    answer(g, 2, "2");
    assert_int_equal(rb_gather_verdict(g), RB_GATHER_DONE);
    rb_gather_free(g);
    g = gather_of(2);
    break_off(g, 0, 500);
    break_off(g, 2, 500);
    assert_int_equal(rb_gather_verdict(g), RB_GATHER_FAILED);
    rb_gather_free(g);
}

static void settled(void **state) {
    (void)state;
    struct rb_gather *g = gather_of(RB_NEED_SETTLED);
    break_off(g, 0, 500);
    answer(g, 1, "1");
    assert_int_equal(rb_gather_verdict(g), RB_GATHER_WAIT);
    break_off(g, 2, 500);
    assert_int_equal(rb_gather_verdict(g), RB_GATHER_DONE);
    rb_gather_free(g);
    g = gather_of(RB_NEED_SETTLED);
    for (size_t i = 0; i < 3; i++)
        break_off(g, i, 500);
    assert_int_equal(rb_gather_verdict(g), RB_GATHER_FAILED);
    rb_gather_free(g);
    rb_gather_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all),     cmocka_unit_test(all_can_not_be_reached),
        cmocka_unit_test(any),     cmocka_unit_test(two_of_three),
        cmocka_unit_test(settled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
