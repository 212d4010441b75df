/* Names: which bytes, how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jobs/name.h"

static struct rb_text repeated(char *room, char c, size_t len) {
    memset(room, c, len);
    return rb_text(room, len);
}

static void lengths(void **state) {
    (void)state;
    char room[200];
    assert_false(rb_name_is_channel(RB_TEXT("")));
    assert_false(rb_name_is_channel(rb_text(NULL, 0)));
    assert_true(rb_name_is_channel(repeated(room, 'x', 128)));
    assert_false(rb_name_is_channel(repeated(room, 'x', 129)));
    assert_true(rb_name_is_job_id(repeated(room, 'x', 128)));
    assert_false(rb_name_is_job_id(repeated(room, 'x', 129)));
    assert_true(rb_name_is_queue(repeated(room, 'x', 64)));
    assert_false(rb_name_is_queue(repeated(room, 'x', 65)));
    assert_true(rb_name_is_service(repeated(room, 'x', 64)));
    assert_false(rb_name_is_service(repeated(room, 'x', 65)));
    assert_true(rb_name_is_event(repeated(room, 'x', 64)));
    assert_false(rb_name_is_event(repeated(room, 'x', 65)));
}

/* Each of the 256 bytes against the classes as the contract writes them. */
static void bytes(void **state) {
    (void)state;
    static const char alphanumeric[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    static const char lower[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    for (int i = 0; i < 256; i++) {
        char c = (char)i;
        struct rb_text one = rb_text(&c, 1);
        bool name = memchr(alphanumeric, c, 62) || memchr("_.:@=~-", c, 7);
        assert_int_equal(rb_name_byte(c), name);
        assert_int_equal(rb_name_is_channel(one), name);
        assert_int_equal(rb_name_is_job_id(one), name);
        assert_int_equal(rb_name_is_queue(one), name);
        assert_int_equal(rb_name_is_event(one), memchr(alphanumeric, c, 62) != NULL ||
                                                    memchr("_.-", c, 3) != NULL);
        assert_int_equal(rb_name_is_service(one), memchr(lower, c, 36) != NULL);
        char two[2] = {'a', c};
        assert_int_equal(rb_name_is_service(rb_text(two, 2)),
                         memchr(lower, c, 36) != NULL || c == '_' || c == '-');
    }
}

static void secrets_are_not_shown(void **state) {
    (void)state;
    assert_true(rb_text_is(rb_name_shown(RB_TEXT("session:abc")), "session:"));
    assert_true(rb_text_is(rb_name_shown(RB_TEXT("me:abc")), "me:"));
    assert_true(rb_text_is(rb_name_shown(RB_TEXT("meal:7")), "meal:7"));
    assert_true(rb_text_is(rb_name_shown(RB_TEXT("session")), "session"));
    assert_true(rb_text_is(rb_name_shown(RB_TEXT("")), ""));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths),
        cmocka_unit_test(bytes),
        cmocka_unit_test(secrets_are_not_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
