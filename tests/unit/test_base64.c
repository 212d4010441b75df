/* Base 64: the vectors of RFC 4648 §10, the ceiling; and the URL alphabet read strictly.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jobs/base64.h"

static void vectors(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xff\xfe\xfd", "//79"},
        {"\xfb\xf0", "+/A="},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rb_buffer out;
        rb_buffer_init(&out, 100);
        rb_base64(&out, rb_text_of(cases[i][0]));
        assert_int_equal(out.len, strlen(cases[i][1]));
        assert_memory_equal(out.at ? out.at : "", cases[i][1], out.len);
        rb_buffer_fini(&out);
    }
}

static void ceiling(void **state) {
    (void)state;
    struct rb_buffer out;
    rb_buffer_init(&out, 7);
    rb_base64(&out, RB_TEXT("foob"));
    assert_int_equal(out.status, RB_TOO_LARGE);
    rb_buffer_fini(&out);
}

static void url_alphabet(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {"f", "Zg"},
        {"fo", "Zm8"},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg"},
        {"\xff\xfe\xfd", "__79"},
        {"\xfb\xf0", "-_A"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rb_text plain = rb_text_of(cases[i][0]), coded = rb_text_of(cases[i][1]);
        struct rb_buffer out;
        rb_buffer_init(&out, coded.len > plain.len ? coded.len + 2 : plain.len);
        rb_base64url(&out, plain);
        assert_true(rb_text_equal(rb_buffer_view(&out), coded));
        rb_buffer_fini(&out);
        rb_buffer_init(&out, plain.len); /* not a byte more is needed */
        assert_int_equal(rb_base64url_read(coded, &out), RB_OK);
        assert_true(rb_text_equal(rb_buffer_view(&out), plain));
        rb_buffer_fini(&out);
    }
}

static void url_strict(void **state) {
    (void)state;
    static const char *const cases[] = {"Z",      "Zg==",    "Zh",    "Zm9",
                                        "Zm9v\n", " Zg",     "Zm+v",  "Zm/v",
                                        "Z g",    "Zm9vYg=", "Zm9vY", "Z\xc3g"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rb_buffer out;
        rb_buffer_init(&out, 100);
        assert_int_equal(rb_base64url_read(rb_text_of(cases[i]), &out), RB_INVALID);
        assert_int_equal(out.len, 0);
        rb_buffer_fini(&out);
    }
    struct rb_buffer out;
    rb_buffer_init(&out, 2);
    assert_int_equal(rb_base64url_read(RB_TEXT("Zm9v"), &out), RB_TOO_LARGE);
    rb_buffer_fini(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(ceiling),
        cmocka_unit_test(url_alphabet),
        cmocka_unit_test(url_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
