/* Where Redis is: what is read, what is refused, and that passwords stay out of messages.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "config/settings.h"
#include "jobs/redis_address.h"

static struct rb_redis_address parse(const char *url) {
    struct rb_redis_address address;
    struct rb_error error = {0};
    enum rb_status status = rb_redis_address_parse(rb_text_of(url), &address, &error);
    if (status != RB_OK)
        fail_msg("%s: %s", url, error.text);
    return address;
}

static void same(const char *a, const char *b) {
    if (!a || !b)
        assert_true(a == b);
    else
        assert_string_equal(a, b);
}

static void test_tcp(void **state) {
    static const struct {
        const char *url, *host;
        int port, db;
        const char *user, *password, *described;
    } cases[] = {
        {"redis://127.0.0.1", "127.0.0.1", 6379, 0, NULL, NULL, "127.0.0.1:6379/0"},
        {"redis://h:1/", "h", 1, 0, NULL, NULL, "h:1/0"},
        {"redis://redis.local:65535/15", "redis.local", 65535, 15, NULL, NULL,
         "redis.local:65535/15"},
        {"redis://[::1]:6380/2", "::1", 6380, 2, NULL, NULL, "[::1]:6380/2"},
        {"redis://[fe80::1%eth0]", "fe80::1%eth0", 6379, 0, NULL, NULL,
         "[fe80::1%eth0]:6379/0"},
        {"redis://:secret@h", "h", 6379, 0, NULL, "secret", "h:6379/0"},
        {"redis://u:secret@h:7/1", "h", 7, 1, "u", "secret", "h:7/1"},
        {"redis://u%40x:p%3a%2F%25%C3%A9@h", "h", 6379, 0, "u@x", "p:/%\xc3\xa9",
         "h:6379/0"},
        {"redis://u:a:b@c@h", "h", 6379, 0, "u", "a:b@c", "h:6379/0"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rb_redis_address address = parse(cases[i].url);
        char described[300];
        same(address.path, NULL);
        same(address.host, cases[i].host);
        assert_int_equal(address.port, cases[i].port);
        assert_int_equal(address.db, cases[i].db);
        same(address.user, cases[i].user);
        same(address.password, cases[i].password);
        rb_redis_address_describe(&address, described, sizeof described);
        assert_string_equal(described, cases[i].described);
        rb_redis_address_fini(&address);
    }
}

static void test_unix(void **state) {
    (void)state;
    struct rb_redis_address address = parse("unix:///run/redis.sock");
    char described[300];
    assert_string_equal(address.path, "/run/redis.sock");
    assert_null(address.host);
    assert_int_equal(address.db, 0);
    rb_redis_address_describe(&address, described, sizeof described);
    assert_string_equal(described, "/run/redis.sock");
    rb_redis_address_fini(&address);

    address = parse("unix://u:p@/run/redis.sock?db=3");
    assert_string_equal(address.user, "u");
    assert_string_equal(address.password, "p");
    assert_int_equal(address.db, 3);
    rb_redis_address_describe(&address, described, sizeof described);
    assert_string_equal(described, "/run/redis.sock?db=3");
    rb_redis_address_fini(&address);
    rb_redis_address_fini(&address); /* again is legal */
}

static void test_what_is_refused(void **state) {
    static const char *const urls[] = {
        "",
        "redis",
        "redis:",
        "redis:/h",
        "redis://",
        "redis:///0",
        "redis://:6379",
        "REDIS://h",
        "http://h",
        "rediss://h",
        "redis://h:",
        "redis://h:0",
        "redis://h:65536",
        "redis://h:6379x",
        "redis://h:-1",
        "redis://h/x",
        "redis://h/-1",
        "redis://h/99999999999",
        "redis://h/1/2",
        "redis://h?db=1",
        "redis://h/1?x=1",
        "redis://h#1",
        "redis://a b",
        "redis://[::1",
        "redis://[]",
        "redis://[::1]x",
        "redis://::1",
        "redis://secret@h",
        "redis://u:@h",
        "redis://:@h",
        "redis://u:secret%@h",
        "redis://u:secret%4@h",
        "redis://u:secret%zz@h",
        "redis://u:secret%00@h",
        "redis://u:sec/ret@h",
        "redis://u:sec?ret@h",
        "unix://",
        "unix://path",
        "unix://host/path",
        "unix:///path?",
        "unix:///path?db=",
        "unix:///path?db=x",
        "unix:///path?x=1",
        "unix:///path?db=1&x=1",
    };
    (void)state;
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct rb_redis_address address;
        struct rb_error error = {0};
        if (rb_redis_address_parse(rb_text_of(urls[i]), &address, &error) != RB_INVALID)
            fail_msg("\"%s\" was not refused", urls[i]);
        assert_true(error.text[0] != '\0');
        assert_null(strstr(error.text, "secret"));
        assert_null(strstr(error.text, "ret"));
        assert_null(address.host);
        assert_null(address.password);
    }
    struct rb_redis_address address;
    assert_int_equal(rb_redis_address_parse(RB_TEXT("redis://h\0x"), &address, NULL),
                     RB_INVALID);
    assert_int_equal(rb_redis_address_parse(RB_TEXT("unix:///a\0b"), &address, NULL),
                     RB_INVALID);
}

static void test_the_longest_path(void **state) {
    char url[200] = "unix://";
    struct rb_redis_address address;
    (void)state;
    memset(url + 7, '/', 107);
    url[7 + 107] = '\0';
    assert_int_equal(rb_redis_address_parse(rb_text_of(url), &address, NULL), RB_OK);
    rb_redis_address_fini(&address);
    url[7 + 107] = '/';
    url[7 + 108] = '\0';
    assert_int_equal(rb_redis_address_parse(rb_text_of(url), &address, NULL), RB_INVALID);
}

static void test_nodes(void **state) {
    static const char *const wrong[] = {"", ":1", "h:0", "h:65536", "u@h", "h/0", "[::1"};
    struct rb_redis_address address;
    (void)state;
    assert_int_equal(rb_redis_address_parse_node(RB_TEXT("h"), &address, NULL), RB_OK);
    same(address.host, "h");
    assert_int_equal(address.port, 26379);
    rb_redis_address_fini(&address);
    assert_int_equal(
        rb_redis_address_parse_node(RB_TEXT("u:p%40@[::1]:5"), &address, NULL), RB_OK);
    same(address.host, "::1");
    same(address.user, "u");
    same(address.password, "p@");
    assert_int_equal(address.port, 5);
    rb_redis_address_fini(&address);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (rb_redis_address_parse_node(rb_text_of(wrong[i]), &address, NULL) !=
            RB_INVALID)
            fail_msg("\"%s\" was not refused", wrong[i]);
}

static void test_of_settings(void **state) {
    static char url[] = "redis://u:p@h:1/3", path[] = "unix:///x", master[] = "main",
                none[] = "", node[] = "s1", bad[] = "s2:x";
    char *nodes[] = {node, bad};
    struct rb_settings s = {.redis = {.url = url, .sentinel_master = none}};
    struct rb_redis_address address;
    struct rb_error error;
    char described[300];
    (void)state;
    assert_int_equal(rb_redis_address_of_settings(&s, &address, &error), RB_OK);
    assert_null(address.sentinel);
    rb_redis_address_fini(&address);

    s.redis.sentinel_master = master;
    assert_int_equal(rb_redis_address_of_settings(&s, &address, &error), RB_INVALID);
    s.redis.sentinel_nodes = (struct rb_list){.items = nodes, .count = 1};
    assert_int_equal(rb_redis_address_of_settings(&s, &address, &error), RB_OK);
    same(address.sentinel->master, "main");
    assert_int_equal(address.sentinel->node_count, 1);
    same(address.sentinel->nodes[0].host, "s1");
    same(address.password, "p");
    rb_redis_address_describe(&address, described, sizeof described);
    assert_string_equal(described, "main by Sentinel, database 3");
    rb_redis_address_fini(&address);

    s.redis.sentinel_nodes.count = 2;
    assert_int_equal(rb_redis_address_of_settings(&s, &address, &error), RB_INVALID);
    assert_non_null(strstr(error.text, "redis.sentinel.nodes: expected a port"));
    s.redis.sentinel_nodes.count = 1;
    s.redis.url = path;
    assert_int_equal(rb_redis_address_of_settings(&s, &address, &error), RB_INVALID);
    s.redis.url = url;
    s.redis.sentinel_master = none;
    assert_int_equal(rb_redis_address_of_settings(&s, &address, &error), RB_INVALID);
    assert_null(address.host);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tcp),
        cmocka_unit_test(test_unix),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_the_longest_path),
        cmocka_unit_test(test_nodes),
        cmocka_unit_test(test_of_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
