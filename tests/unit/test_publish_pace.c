/* The pace of publishing, and what an Idempotency-Key may be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "notifier/admin_once.h"
#include "notifier/publish_pace.h"

static void no_rate_is_no_limit(void **state) {
    (void)state;
    struct rb_publish_pace pace = {0};
    for (int i = 0; i < 1000; i++)
        assert_int_equal(rb_publish_pace(&pace, 0, 1000000, 5), 0);
}

static void a_second_ahead(void **state) {
    (void)state;
    struct rb_publish_pace pace = {0};
    for (int i = 0; i < 10; i++)
        assert_int_equal(rb_publish_pace(&pace, 10, 1, 1000), 0);
    assert_int_equal(rb_publish_pace(&pace, 10, 1, 1000), 100);
    assert_int_equal(rb_publish_pace(&pace, 10, 1, 1099), 1);
    assert_int_equal(rb_publish_pace(&pace, 10, 1, 1100), 0);
    assert_int_equal(rb_publish_pace(&pace, 10, 1, 1100), 100);
    /* Who was quiet has no more than a second's worth. */
    for (int i = 0; i < 10; i++)
        assert_int_equal(rb_publish_pace(&pace, 10, 1, 900000), 0);
    assert_int_not_equal(rb_publish_pace(&pace, 10, 1, 900000), 0);
}

static void a_batch_is_paid_later(void **state) {
    (void)state;
    struct rb_publish_pace pace = {0};
    assert_int_equal(rb_publish_pace(&pace, 10, 100, 1000), 0);
    assert_int_equal(rb_publish_pace(&pace, 10, 1, 1000), 9100);
    assert_int_equal(rb_publish_pace(&pace, 10, 1, 10100), 0);
}

static void keys(void **state) {
    (void)state;
    char longest[RB_ONCE_KEY_MAX + 1];
    struct rb_text key;
    assert_true(rb_once_key(RB_TEXT(" \"8e03978e-40d5\" "), &key));
    assert_true(rb_text_is(key, "8e03978e-40d5"));
    assert_true(rb_once_key(RB_TEXT("8e03978e"), &key));
    assert_true(rb_text_is(key, "8e03978e"));
    assert_true(rb_once_key(RB_TEXT("\""), &key));
    memset(longest, 'k', sizeof longest);
    assert_true(rb_once_key(rb_text(longest, RB_ONCE_KEY_MAX), &key));
    assert_false(rb_once_key(rb_text(longest, RB_ONCE_KEY_MAX + 1), &key));
    assert_false(rb_once_key(RB_TEXT(""), &key));
    assert_false(rb_once_key(RB_TEXT("\"\""), &key));
    assert_false(rb_once_key(RB_TEXT("a b"), &key));
    assert_false(rb_once_key(RB_TEXT("\xc3\xa4"), &key));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_rate_is_no_limit),
        cmocka_unit_test(a_second_ahead),
        cmocka_unit_test(a_batch_is_paid_later),
        cmocka_unit_test(keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
