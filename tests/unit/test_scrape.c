/* What the metrics listener answers to what comes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "worker/scrape.h"
#include "worker/stats.h"

static struct rb_metrics *metrics;

static int setup(void **state) {
    (void)state;
    metrics = rb_stats_metrics(1);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    rb_metrics_free(metrics);
    return 0;
}

static void answers(const char *head, bool ready, const char *status, const char *part) {
    struct rb_buffer out;
    rb_buffer_init(&out, 1 << 20);
    assert_int_equal(rb_scrape_answer(rb_text_of(head), ready, metrics, &out), RB_OK);
    assert_int_equal(out.status, RB_OK);
    assert_memory_equal(out.at, "HTTP/1.1 ", 9);
    if (strncmp(out.at + 9, status, strlen(status)) != 0)
        fail_msg("to %s: %.40s", head, out.at);
    const char *body = strstr(out.at, "\r\n\r\n");
    assert_non_null(body);
    const char *length = strstr(out.at, "Content-Length: ");
    assert_non_null(length);
    if (part[0])
        assert_non_null(strstr(body, part));
    if (strncmp(head, "HEAD", 4) != 0)
        assert_int_equal(strtol(length + 16, NULL, 10), strlen(body + 4));
    else
        assert_string_equal(body, "\r\n\r\n");
    rb_buffer_fini(&out);
}

static void test_answers(void **state) {
    (void)state;
    answers("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", true, "200",
            "# TYPE ringback_worker_claims_total counter");
    answers("GET /metrics?x=y HTTP/1.1\r\n\r\n", true, "200", "ringback_worker_claims");
    answers("HEAD /metrics HTTP/1.0\r\n\r\n", true, "200", "");
    answers("GET /healthz HTTP/1.1\r\n\r\n", false, "200", "ok");
    answers("GET /readyz HTTP/1.1\r\n\r\n", true, "200", "ready");
    answers("GET /readyz HTTP/1.1\r\n\r\n", false, "503", "");
    answers("GET / HTTP/1.1\r\n\r\n", true, "404", "");
    answers("GET /metricsx HTTP/1.1\r\n\r\n", true, "404", "");
    answers("POST /metrics HTTP/1.1\r\n\r\n", true, "405", "");
    answers("GET /metrics\r\n\r\n", true, "400", "");
    answers("GET  /metrics HTTP/1.1\r\n\r\n", true, "400", "");
    answers("GET /metrics FTP/1.1\r\n\r\n", true, "400", "");
    answers("\r\n\r\n", true, "400", "");
    answers("\n\r\n\r\n", true, "400", "");
}

static void test_what_is_not_whole(void **state) {
    (void)state;
    struct rb_buffer out;
    char head[4096];
    rb_buffer_init(&out, 1 << 20);
    assert_int_equal(rb_scrape_answer(RB_TEXT(""), true, metrics, &out), RB_UNAVAILABLE);
    assert_int_equal(
        rb_scrape_answer(RB_TEXT("GET /metrics HTTP/1.1\r\n"), true, metrics, &out),
        RB_UNAVAILABLE);
    assert_int_equal(out.len, 0);
    memset(head, 'a', sizeof head);
    assert_int_equal(
        rb_scrape_answer(rb_text(head, sizeof head - 1), true, metrics, &out),
        RB_UNAVAILABLE);
    assert_int_equal(rb_scrape_answer(rb_text(head, sizeof head), true, metrics, &out),
                     RB_OK);
    assert_memory_equal(out.at, "HTTP/1.1 431", 12);
    rb_buffer_fini(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_what_is_not_whole),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
