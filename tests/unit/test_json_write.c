/* Values as text: digits as people write them, strings that stay what they are. */
#include <float.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jobs/json_write.h"

static void assert_written(json_t *value, const char *expected) {
    struct rb_buffer out;
    rb_buffer_init(&out, 4096);
    assert_non_null(value);
    rb_json_write(&out, value);
    assert_int_equal(out.status, RB_OK);
    assert_string_equal(out.at, expected);
    rb_buffer_fini(&out);
    json_decref(value);
}

static void numbers(void **state) {
    (void)state;
    assert_written(json_integer(INT64_MIN), "-9223372036854775808");
    assert_written(json_integer(INT64_MAX), "9223372036854775807");
    assert_written(json_real(0.1), "0.1");
    assert_written(json_real(1.0), "1.0");
    assert_written(json_real(-0.0), "-0.0");
    assert_written(json_real(1e21), "1e+21");
    assert_written(json_real(100000.0), "100000.0");
    assert_written(json_real(0.30000000000000004), "0.30000000000000004");
    assert_written(json_real(DBL_MAX), "1.7976931348623157e+308");
    assert_written(json_real(5e-324), "4.94065645841247e-324");
}

static void round_trip(void **state) {
    (void)state;
    static const double values[] = {
        0.1, 1.0 / 3, 1e15, 123456789.123456789, 1e-7, 2e22, 9e15, DBL_MIN, 5e-324, -1.5};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct rb_buffer out;
        rb_buffer_init(&out, 64);
        json_t *value = json_real(values[i]);
        rb_json_write_number(&out, value);
        json_decref(value);
        json_t *back = json_loads(out.at, JSON_DECODE_ANY, NULL);
        assert_true(json_is_real(back));
        assert_true(json_real_value(back) == values[i]);
        json_decref(back);
        rb_buffer_fini(&out);
    }
}

static void values(void **state) {
    (void)state;
    static const char json[] = "{\"z\":[1,2.5,\"a\\\"\\\\\\n\\u0001/\xc3\xa4\"],\"a\":{},"
                               "\"e\":[],\"t\":true,\"f\":false,\"n\":null}";
    assert_written(json_loads(json, 0, NULL), json);
}

static void ceiling(void **state) {
    (void)state;
    struct rb_buffer out;
    rb_buffer_init(&out, 4);
    json_t *value = json_loads("[1,2,3]", 0, NULL);
    rb_json_write(&out, value);
    assert_int_equal(out.status, RB_TOO_LARGE);
    json_decref(value);
    rb_buffer_fini(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(round_trip),
        cmocka_unit_test(values),
        cmocka_unit_test(ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
