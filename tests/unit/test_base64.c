/* Base 64: the vectors of RFC 4648 §10, all bytes, the ceiling. */
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
