/* The names in Redis are a contract with producers in other languages: spelled out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "jobs/keys.h"

static const struct rb_keys keys = {RB_TEXT("ringback"), RB_TEXT("ringback:ch")};

static void is(const struct rb_key *key, const char *expected) {
    char text[RB_KEY_MAX + 1];
    memcpy(text, key->at, key->len);
    text[key->len] = '\0';
    assert_string_equal(text, expected);
}

static void test_every_name(void **state) {
    struct rb_key key;
    (void)state;
    rb_key_queue(&keys, RB_TEXT("default"), &key);
    is(&key, "ringback:queue:default");
    rb_key_retry(&keys, RB_TEXT("default"), &key);
    is(&key, "ringback:retry:default");
    rb_key_due(&keys, &key);
    is(&key, "ringback:due");
    rb_key_workers(&keys, &key);
    is(&key, "ringback:workers");
    rb_key_held(&keys, RB_TEXT("w1"), &key);
    is(&key, "ringback:held:w1");
    rb_key_dead(&keys, &key);
    is(&key, "ringback:dead");
    rb_key_cancelled(&keys, &key);
    is(&key, "ringback:cancelled");
    rb_key_paused(&keys, &key);
    is(&key, "ringback:paused");
    rb_key_rate(&keys, RB_TEXT("quote"), &key);
    is(&key, "ringback:rate:quote");
    rb_key_slots(&keys, RB_TEXT("quote"), &key);
    is(&key, "ringback:slots:quote");
    rb_key_once(&keys, RB_TEXT("report:42"), &key);
    is(&key, "ringback:once:report:42");
    rb_key_tick(&keys, RB_TEXT("report"), 1767225600, &key);
    is(&key, "ringback:once:tick:report:1767225600");
    rb_key_channel(&keys, RB_TEXT("order:42"), &key);
    is(&key, "ringback:ch:{order:42}");
    rb_key_meta(&keys, RB_TEXT("order:42"), &key);
    is(&key, "ringback:ch:{order:42}:meta");
    rb_key_notifiers(&keys, &key);
    is(&key, "ringback:ch:notifiers");
    rb_key_notifier(&keys, RB_TEXT("n1"), &key);
    is(&key, "ringback:ch:notifier:n1");
}

static void test_a_prefix_with_a_hash_tag(void **state) {
    const struct rb_keys cluster = {RB_TEXT("{ringback}"), RB_TEXT("ch")};
    struct rb_key key;
    (void)state;
    rb_key_queue(&cluster, RB_TEXT("q"), &key);
    is(&key, "{ringback}:queue:q");
}

static void test_the_longest_names_fit(void **state) {
    char prefix[128], name[128];
    struct rb_key key;
    (void)state;
    memset(prefix, 'p', sizeof prefix);
    memset(name, 'n', sizeof name);
    struct rb_keys longest = {rb_text(prefix, 128), rb_text(prefix, 128)};
    rb_key_meta(&longest, rb_text(name, 128), &key);
    assert_int_equal(key.len, 128 + 2 + 128 + 6);
    rb_key_queue(&longest, rb_text(name, 128), &key);
    assert_int_equal(key.len, 128 + 7 + 128);
    rb_key_result(&longest, rb_text(name, 128), rb_text(name, 128), &key);
    assert_int_equal(key.len, 128 + 2 + 128 + 9 + 128);
    rb_key_cache(&longest, rb_text(name, 64), rb_text(name, 32), &key);
    assert_int_equal(key.len, 128 + 7 + 64 + 1 + 32);
}

static void test_a_channel_is_found_in_its_name(void **state) {
    struct rb_key key;
    struct rb_text channel;
    (void)state;
    rb_key_channel(&keys, RB_TEXT("a:b@c"), &key);
    assert_true(rb_key_parse_channel(&keys, rb_key_text(&key), &channel));
    assert_true(rb_text_is(channel, "a:b@c"));
}

static void test_other_names_are_no_channels(void **state) {
    static const char *const others[] = {
        "",
        "ringback:ch",
        "ringback:ch:",
        "ringback:ch:{",
        "ringback:ch:{}",
        "ringback:ch:{a}:meta",
        "ringback:ch:{a",
        "ringback:ch:{a}b}",
        "ringback:ch:{{a}",
        "ringback:ch:notifiers",
        "ringback:cx:{a}",
        "xringback:ch:{a}",
        "{a}",
    };
    struct rb_text channel = RB_TEXT("untouched");
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(rb_key_parse_channel(&keys, rb_text_of(others[i]), &channel));
    assert_true(rb_text_is(channel, "untouched"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_name),
        cmocka_unit_test(test_a_prefix_with_a_hash_tag),
        cmocka_unit_test(test_the_longest_names_fit),
        cmocka_unit_test(test_a_channel_is_found_in_its_name),
        cmocka_unit_test(test_other_names_are_no_channels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
