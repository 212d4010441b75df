/* Log lines. Standard error is a socket that keeps packets apart, so that one write(2) is
 * one packet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config/log.h"

static int packets[2];
static int real_stderr;

static int catch_stderr(void **state) {
    (void)state;
    real_stderr = dup(2);
    rb_log_setup(NULL, RB_LOG_INFO, RB_LOG_TEXT);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, packets) != 0 || dup2(packets[0], 2) != 2)
        return -1;
    return 0;
}

static int give_stderr_back(void **state) {
    (void)state;
    dup2(real_stderr, 2);
    close(real_stderr);
    close(packets[0]);
    close(packets[1]);
    return 0;
}

/* The next line, or NULL when nothing was written. */
static const char *line(void) {
    static char out[8192];
    ssize_t len = recv(packets[1], out, sizeof out - 1, MSG_DONTWAIT);
    if (len < 0)
        return NULL;
    out[len] = '\0';
    return out;
}

/* What stands behind the time stamp, whose shape is checked. */
static const char *text_line(void) {
    const char *l = line();
    assert_non_null(l);
    int used = 0, year, month, day, hour, minute, second, ms;
    assert_int_equal(sscanf(l, "ts=%4d-%2d-%2dT%2d:%2d:%2d.%3dZ %n", &year, &month, &day,
                            &hour, &minute, &second, &ms, &used),
                     7);
    assert_int_equal(used, 28);
    return l + used;
}

static json_t *json_line(void) {
    const char *l = line();
    assert_non_null(l);
    size_t len = strlen(l);
    assert_true(len <= 4096);
    assert_int_equal(l[len - 1], '\n');
    json_error_t error;
    json_t *root = json_loads(l, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (!root)
        fail_msg("%s in %s", error.text, l);
    return root;
}

static void writes_logfmt(void **state) {
    (void)state;
    rb_log(RB_LOG_INFO, "worker.started", RB_S("id", "w1"), RB_I("max", -5),
           RB_D("load", 0.25), RB_T("queue", rb_text("defaultX", 7)));
    assert_string_equal(text_line(),
                        "level=info event=worker.started id=w1 max=-5 load=0.25 "
                        "queue=default\n");
    rb_log(RB_LOG_ERROR, "bare");
    assert_string_equal(text_line(), "level=error event=bare\n");
    rb_log_setup("prog", RB_LOG_DEBUG, RB_LOG_TEXT);
    rb_log(RB_LOG_DEBUG, "x", RB_I("n", INT64_MIN));
    assert_string_equal(text_line(),
                        "level=debug event=x program=prog n=-9223372036854775808\n");
    assert_null(line());
}

static void quotes_what_a_reader_would_misread(void **state) {
    (void)state;
    static const struct {
        const char *value;
        const char *written;
    } cases[] = {
        {"plain/a:b,c{}[]'\\", "plain/a:b,c{}[]'\\"},
        {"caf\xc3\xa9", "caf\xc3\xa9"},
        {"", "\"\""},
        {"a b", "\"a b\""},
        {"a=b", "\"a=b\""},
        {"a\"b\\", "\"a\\\"b\\\\\""},
        {"a\nlevel=info event=forged", "\"a\\nlevel=info event=forged\""},
        {"\x1b[2J", "\"\\u001b[2J\""},
        {"\x7f", "\"\\u007f\""},
        {"\xc2\x9b", "\"\\u009b\""},
        {"a\xff", "\"a\xef\xbf\xbd\""},
        {"\t", "\"\\t\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char expected[200];
        rb_log(RB_LOG_INFO, "x", RB_S("v", cases[i].value));
        snprintf(expected, sizeof expected, "level=info event=x v=%s\n",
                 cases[i].written);
        assert_string_equal(text_line(), expected);
    }
    rb_log(RB_LOG_INFO, "x", RB_T("v", rb_text("a\0b", 3)), RB_S("none", NULL));
    assert_string_equal(text_line(), "level=info event=x v=\"a\\u0000b\" none=\"\"\n");
}

static void writes_json(void **state) {
    (void)state;
    rb_log_setup("prog", RB_LOG_INFO, RB_LOG_JSON);
    rb_log(RB_LOG_WARN, "a.b", RB_S("s", "q\" \xff\n"), RB_I("n", 7), RB_D("d", 1e300),
           RB_D("nan", NAN), RB_D("inf", -INFINITY));
    json_t *root = json_line();
    assert_string_equal(json_string_value(json_object_get(root, "level")), "warn");
    assert_string_equal(json_string_value(json_object_get(root, "event")), "a.b");
    assert_string_equal(json_string_value(json_object_get(root, "program")), "prog");
    assert_string_equal(json_string_value(json_object_get(root, "s")),
                        "q\" \xef\xbf\xbd\n");
    assert_int_equal(json_integer_value(json_object_get(root, "n")), 7);
    assert_true(json_is_null(json_object_get(root, "nan")));
    assert_true(json_is_null(json_object_get(root, "inf")));
    assert_true(json_is_real(json_object_get(root, "d")));
    assert_int_equal(strlen(json_string_value(json_object_get(root, "ts"))), 24);
    json_decref(root);
}

/* Lines of every length around the ceilings, of bytes of every kind. */
static void long_and_wild_values_stay_valid(void **state) {
    (void)state;
    static char value[6000];
    uint32_t seed = 12345;
    rb_log_setup("prog", RB_LOG_INFO, RB_LOG_JSON);
    for (size_t len = 0; len < sizeof value; len += 37) {
        for (size_t i = 0; i < len; i++) {
            seed = seed * 1664525 + 1013904223;
            value[i] = (char)(seed >> 24);
        }
        struct rb_text v = rb_text(value, len);
        rb_log(RB_LOG_INFO, "x", RB_T("a", v), RB_T("b", v), RB_T("c", v), RB_T("d", v),
               RB_I("n", 1), RB_T("e", v), RB_D("f", 0.1));
        json_t *root = json_line();
        assert_non_null(json_object_get(root, "a"));
        assert_non_null(json_object_get(root, "b"));
        json_decref(root);
    }
    /* The end of the room comes at every offset within a field. */
    memset(value, 'v', sizeof value);
    for (size_t len = 900; len < 1100; len++) {
        struct rb_text v = rb_text(value, len);
        rb_log(RB_LOG_INFO, "x", RB_T("a", v), RB_T("b", v), RB_T("c", v), RB_T("d", v),
               RB_I("n", 123456789), RB_S("e", "\"\"\"\"\"\"\"\"\"\""));
        json_decref(json_line());
    }
    rb_log_setup("prog", RB_LOG_INFO, RB_LOG_TEXT);
    rb_log(RB_LOG_INFO, "x", RB_T("a", rb_text(value, 5000)), RB_S("b", "seen"));
    const char *l = text_line();
    const char *cut = strstr(l, "\xe2\x80\xa6 b=seen\n");
    assert_non_null(cut);
    assert_true(cut - l > 1000);
}

static void key_without_room_is_left_out(void **state) {
    (void)state;
    static char key[5000];
    memset(key, 'k', sizeof key - 1);
    rb_log_setup("prog", RB_LOG_INFO, RB_LOG_JSON);
    rb_log(RB_LOG_INFO, "x", RB_S(key, "v"), RB_I("n", 1));
    json_t *root = json_line();
    assert_int_equal(json_integer_value(json_object_get(root, "n")), 1);
    json_decref(root);
}

static int evaluated;
static const char *evaluate(void) {
    evaluated++;
    return "v";
}

static void fields_below_the_level_are_not_evaluated(void **state) {
    (void)state;
    rb_log_setup(NULL, RB_LOG_WARN, RB_LOG_TEXT);
    evaluated = 0;
    rb_log(RB_LOG_INFO, "x", RB_S("v", evaluate()));
    assert_int_equal(evaluated, 0);
    assert_null(line());
    rb_log(RB_LOG_WARN, "x", RB_S("v", evaluate()));
    assert_int_equal(evaluated, 1);
    assert_non_null(line());
    assert_false(rb_log_on(RB_LOG_INFO));
    assert_true(rb_log_on(RB_LOG_ERROR));
}

static void errno_survives(void **state) {
    (void)state;
    int closed = dup(2);
    close(2);
    errno = ENOENT;
    rb_log(RB_LOG_ERROR, "x");
    assert_int_equal(errno, ENOENT);
    dup2(closed, 2);
    close(closed);
}

static void limit_holds_back_and_tells(void **state) {
    (void)state;
    struct rb_log_limit limit = {0};
    unsigned held = 99;
    for (int i = 0; i < RB_LOG_BURST; i++) {
        assert_true(rb_log_allow(&limit, 5000 + i, &held));
        assert_int_equal(held, 0);
    }
    for (int i = 0; i < 7; i++)
        assert_false(rb_log_allow(&limit, 5999, &held));
    assert_true(rb_log_allow(&limit, 6000, &held));
    assert_int_equal(held, 7);
    assert_true(rb_log_allow(&limit, 6001, &held));
    assert_int_equal(held, 0);
}

int main(void) {
#define LOG_TEST(f) cmocka_unit_test_setup_teardown(f, catch_stderr, give_stderr_back)
    const struct CMUnitTest tests[] = {
        LOG_TEST(writes_logfmt),
        LOG_TEST(quotes_what_a_reader_would_misread),
        LOG_TEST(writes_json),
        LOG_TEST(long_and_wild_values_stay_valid),
        LOG_TEST(key_without_room_is_left_out),
        LOG_TEST(fields_below_the_level_are_not_evaluated),
        LOG_TEST(errno_survives),
        cmocka_unit_test(limit_holds_back_and_tells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
