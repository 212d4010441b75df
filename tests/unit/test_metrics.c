/* Counters shared between processes, and their text form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

#include "config/metrics.h"
#include "config/metrics_table.h"

enum { JOBS, OPEN, TIMES, PLAIN, FAMILIES };

static const double bounds[] = {0.005, 0.1, 2.5, 0};
static const struct rb_metric_family families[] = {
    [JOBS] = {"rb_jobs_total", "Jobs \\ by\noutcome.", RB_METRIC_COUNTER,
              "service,outcome", NULL},
    [OPEN] = {"rb_open", "Open now.", RB_METRIC_GAUGE, NULL, NULL},
    [TIMES] = {"rb_call_seconds", "Calls.", RB_METRIC_HISTOGRAM, "service", bounds},
    [PLAIN] = {"rb_wait_seconds", "Waits.", RB_METRIC_HISTOGRAM, NULL, bounds},
    [FAMILIES] = {0},
};

static rb_series jobs(struct rb_metrics *m, const char *service, const char *outcome) {
    const struct rb_text values[] = {rb_text_of(service), rb_text_of(outcome)};
    return rb_metrics_series(m, JOBS, values);
}

/* The text form without what changes from run to run. */
static char *text_of(const struct rb_metrics *m) {
    static char out[1 << 20];
    struct rb_buffer b;
    rb_buffer_init(&b, sizeof out - 1);
    rb_metrics_write(m, &b);
    assert_int_equal(b.status, RB_OK);
    memcpy(out, b.at, b.len + 1);
    rb_buffer_fini(&b);
    return out;
}

static void series_are_found_again(void **state) {
    (void)state;
    struct rb_metrics *m = rb_metrics_new(families, 2, 100);
    rb_series a = jobs(m, "quote", "done"), b = jobs(m, "quote", "failed");
    assert_true(a != 0 && b != 0 && a != b);
    assert_int_equal(jobs(m, "quote", "done"), a);
    /* What stands in one label is not mistaken for the next. */
    assert_int_not_equal(jobs(m, "quoted", "one"), a);
    assert_int_not_equal(jobs(m, "", "quotedone"), jobs(m, "quotedone", ""));
    assert_int_equal(rb_metrics_series(m, OPEN, NULL), rb_metrics_series(m, OPEN, NULL));
    assert_int_equal(rb_metrics_series(m, -1, NULL), 0);
    assert_int_equal(rb_metrics_series(m, FAMILIES, NULL), 0);

    rb_metrics_add(m, a, 2);
    rb_metrics_add(m, a, 3);
    rb_metrics_add(m, 0, 7);
    rb_metrics_set(m, 0, 7);
    rb_metrics_observe(m, 0, 7);
    rb_metrics_observe(m, a, 7);
    assert_int_equal(rb_metrics_sum(m, a), 5);
    assert_int_equal(rb_metrics_sum(m, b), 0);
    assert_int_equal(rb_metrics_sum(m, 0), 0);
    rb_metrics_free(m);
    rb_metrics_free(NULL);
}

static void rows_add_up(void **state) {
    (void)state;
    struct rb_metrics *m = rb_metrics_new(families, 3, 100);
    rb_series counter = jobs(m, "s", "o"), gauge = rb_metrics_series(m, OPEN, NULL);
    for (int row = 0; row < 3; row++) {
        rb_metrics_attach(m, row);
        rb_metrics_add(m, counter, row + 1);
        rb_metrics_set(m, gauge, 10);
        rb_metrics_add(m, gauge, -row);
    }
    assert_int_equal(rb_metrics_sum(m, counter), 6);
    assert_int_equal(rb_metrics_sum(m, gauge), 27);
    /* A row that is handed on: counters go on, gauges start again. */
    rb_metrics_attach(m, 1);
    assert_int_equal(rb_metrics_sum(m, counter), 6);
    assert_int_equal(rb_metrics_sum(m, gauge), 18);
    rb_metrics_attach(m, 99);
    rb_metrics_attach(m, -1);
    rb_metrics_add(m, counter, 1);
    assert_int_equal(rb_metrics_sum(m, counter), 7);
    rb_metrics_free(m);
}

static void full_table_counts_what_it_drops(void **state) {
    (void)state;
    struct rb_metrics *m = rb_metrics_new(families, 1, 4); /* two are the plain ones */
    assert_int_not_equal(jobs(m, "a", "x"), 0);
    assert_int_not_equal(jobs(m, "b", "x"), 0);
    assert_int_equal(jobs(m, "c", "x"), 0);
    assert_int_equal(jobs(m, "d", "x"), 0);
    assert_int_not_equal(jobs(m, "a", "x"), 0);
    assert_non_null(strstr(text_of(m), "\nringback_series_dropped_total 2\n"));
    rb_metrics_free(m);
    m = rb_metrics_new(families, 0, 0);
    assert_int_not_equal(rb_metrics_series(m, PLAIN, NULL), 0);
    rb_metrics_free(m);
}

static void writes_prometheus_text(void **state) {
    (void)state;
    struct rb_metrics *m = rb_metrics_new(families, 2, 100);
    rb_metrics_add(m, jobs(m, "a\"b\\c\nd", "\xff\x01\xc3\xa9"), 5);
    const struct rb_text service = RB_TEXT("q");
    rb_series times = rb_metrics_series(m, TIMES, &service);
    static const int64_t observed[] = {-5,     0,       5000,    5001,
                                       100000, 2500000, 2500001, 60000000};
    for (size_t i = 0; i < sizeof observed / sizeof observed[0]; i++) {
        rb_metrics_observe(m, times, observed[i]);
        rb_metrics_attach(m, (int)(i % 2));
    }
    assert_int_equal(rb_metrics_sum(m, times), 8);
    const char *text = text_of(m);
    static const char expected[] =
        "# HELP rb_jobs_total Jobs \\\\ by\\noutcome.\n"
        "# TYPE rb_jobs_total counter\n"
        "rb_jobs_total{service=\"a\\\"b\\\\c\\nd\",outcome="
        "\"\xef\xbf\xbd\xef\xbf\xbd\xc3\xa9\"} "
        "5\n"
        "# HELP rb_open Open now.\n"
        "# TYPE rb_open gauge\n"
        "rb_open 0\n"
        "# HELP rb_call_seconds Calls.\n"
        "# TYPE rb_call_seconds histogram\n"
        "rb_call_seconds_bucket{service=\"q\",le=\"0.005\"} 3\n"
        "rb_call_seconds_bucket{service=\"q\",le=\"0.1\"} 5\n"
        "rb_call_seconds_bucket{service=\"q\",le=\"2.5\"} 6\n"
        "rb_call_seconds_bucket{service=\"q\",le=\"+Inf\"} 8\n"
        "rb_call_seconds_sum{service=\"q\"} 65.110002\n"
        "rb_call_seconds_count{service=\"q\"} 8\n"
        "# HELP rb_wait_seconds Waits.\n"
        "# TYPE rb_wait_seconds histogram\n"
        "rb_wait_seconds_bucket{le=\"0.005\"} 0\n"
        "rb_wait_seconds_bucket{le=\"0.1\"} 0\n"
        "rb_wait_seconds_bucket{le=\"2.5\"} 0\n"
        "rb_wait_seconds_bucket{le=\"+Inf\"} 0\n"
        "rb_wait_seconds_sum 0.000000\n"
        "rb_wait_seconds_count 0\n"
        "# HELP ringback_series_dropped_total ";
    if (strncmp(text, expected, sizeof expected - 1) != 0)
        fail_msg("%s", text);
    assert_non_null(strstr(text, "\n# TYPE process_start_time_seconds gauge\n"));
    rb_metrics_free(m);
}

static void long_values_are_cut_between_characters(void **state) {
    (void)state;
    struct rb_metrics *m = rb_metrics_new(families, 1, 10);
    char value[131], expected[200];
    memset(value, 'x', sizeof value);
    memcpy(value + 127, "\xc3\xa9", 2);
    const struct rb_text values[] = {rb_text(value, 130), RB_TEXT("o")};
    assert_int_not_equal(rb_metrics_series(m, JOBS, values), 0);
    snprintf(expected, sizeof expected, "{service=\"%.127s\",outcome=\"o\"}", value);
    assert_non_null(strstr(text_of(m), expected));
    rb_metrics_free(m);
}

static double sample(const char *text, const char *name) {
    const char *at = strstr(text, name);
    assert_non_null(at);
    return strtod(at + strlen(name), NULL);
}

static void tells_about_the_processes(void **state) {
    (void)state;
    struct rb_metrics *m = rb_metrics_new(families, 2, 10);
    assert_null(strstr(text_of(m), "process_")); /* nobody has attached */
    rb_metrics_attach(m, 0);
    const char *text = text_of(m);
    double fds = sample(text, "\nprocess_open_fds ");
    assert_true(fds >= 3);
    assert_true(sample(text, "\nprocess_resident_memory_bytes ") > 100000);
    assert_true(sample(text, "\nprocess_start_time_seconds ") > 1.6e9);
    int more[2];
    assert_int_equal(pipe(more), 0);
    assert_true(sample(text_of(m), "\nprocess_open_fds ") == fds + 2);
    close(more[0]);
    close(more[1]);
    /* A second row counts too, a process that is gone counts nothing. */
    pid_t pid = fork();
    if (pid == 0) {
        rb_metrics_attach(m, 1);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_true(sample(text_of(m), "\nprocess_open_fds ") == fds);
    rb_metrics_free(m);
}

/* Four processes make the same series at the same time, and count in them. */
static void processes_share_series_without_a_race(void **state) {
    (void)state;
    enum { PROCESSES = 4, SERIES = 200, ROUNDS = 20 };
    struct rb_metrics *m = rb_metrics_new(families, PROCESSES, 300);
    pid_t pids[PROCESSES];
    for (int p = 0; p < PROCESSES; p++) {
        pids[p] = fork();
        if (pids[p] != 0)
            continue;
        rb_metrics_attach(m, p);
        for (int round = 0; round < ROUNDS; round++) {
            for (int i = 0; i < SERIES; i++) {
                char name[16];
                snprintf(name, sizeof name, "s%d", (i * 7 + p * 50) % SERIES);
                rb_metrics_add(m, jobs(m, name, "done"), 1);
            }
        }
        _exit(0);
    }
    for (int p = 0; p < PROCESSES; p++) {
        int status;
        assert_int_equal(waitpid(pids[p], &status, 0), pids[p]);
        assert_int_equal(status, 0);
    }
    for (int i = 0; i < SERIES; i++) {
        char name[16];
        snprintf(name, sizeof name, "s%d", i);
        assert_int_equal(rb_metrics_sum(m, jobs(m, name, "done")), PROCESSES * ROUNDS);
    }
    const char *text = text_of(m);
    assert_non_null(strstr(text, "\nringback_series_dropped_total 0\n"));
    int lines = 0;
    for (const char *at = text; (at = strstr(at, "\nrb_jobs_total{")); at++)
        lines++;
    assert_int_equal(lines, SERIES);
    rb_metrics_free(m);
}

static void process_that_dies_with_the_lock_blocks_nobody(void **state) {
    (void)state;
    struct rb_metrics *m = rb_metrics_new(families, 2, 10);
    pid_t pid = fork();
    if (pid == 0) {
        if (pthread_mutex_lock(&m->head->lock) != 0)
            _exit(1);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_not_equal(jobs(m, "a", "x"), 0);
    assert_int_not_equal(jobs(m, "b", "x"), 0);
    rb_metrics_free(m);
}

static void rows_do_not_share_cache_lines(void **state) {
    (void)state;
    struct rb_metrics *m = rb_metrics_new(families, 3, 7);
    for (int row = 0; row < 3; row++)
        assert_int_equal((uintptr_t)rb_metric_row(m, row)->cells % RB_CACHE_LINE, 0);
    assert_true(m->row_bytes % RB_CACHE_LINE == 0);
    rb_metrics_free(m);
}

static void small_buffer_fails_and_says_so(void **state) {
    (void)state;
    struct rb_metrics *m = rb_metrics_new(families, 1, 10);
    size_t whole = strlen(text_of(m));
    for (size_t limit = 0; limit < whole; limit += 13) {
        struct rb_buffer b;
        rb_buffer_init(&b, limit);
        rb_metrics_write(m, &b);
        assert_int_equal(b.status, RB_TOO_LARGE);
        rb_buffer_fini(&b);
    }
    rb_metrics_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(series_are_found_again),
        cmocka_unit_test(rows_add_up),
        cmocka_unit_test(full_table_counts_what_it_drops),
        cmocka_unit_test(writes_prometheus_text),
        cmocka_unit_test(long_values_are_cut_between_characters),
        cmocka_unit_test(tells_about_the_processes),
        cmocka_unit_test(processes_share_series_without_a_race),
        cmocka_unit_test(process_that_dies_with_the_lock_blocks_nobody),
        cmocka_unit_test(rows_do_not_share_cache_lines),
        cmocka_unit_test(small_buffer_fails_and_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
