/* Time zones: the system's files against libc, rules at their edges, and broken files. */
#include "jobs/zone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "config/buffer.h"
#include "jobs/calendar.h"
#include "jobs/zone_rule.h"

static struct rb_zone *load(const char *name) {
    struct rb_zone *zone;
    if (rb_zone_load(RB_ZONE_FOLDER, rb_text_of(name), &zone) != RB_OK)
        fail_msg("no zone %s", name);
    return zone;
}

static int64_t unix_of(int64_t year, int month, int day, int hour, int minute) {
    return rb_calendar_days(year, month, day) * RB_DAY_S + hour * 3600 + minute * 60;
}

static void agrees_with_libc(void **state) {
    (void)state;
    static const char *const names[] = {
        "UTC",
        "Europe/Berlin",
        "Europe/Dublin",
        "America/New_York",
        "America/St_Johns",
        "America/Nuuk",
        "America/Argentina/Buenos_Aires",
        "Australia/Lord_Howe",
        "Australia/Sydney",
        "Africa/Casablanca",
        "Africa/Cairo",
        "Asia/Gaza",
        "Asia/Kolkata",
        "Pacific/Apia",
        "Etc/GMT+12",
        "EST5EDT",
    };
    uint64_t seed = 7;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct rb_zone *zone = load(names[i]);
        setenv("TZ", names[i], 1);
        tzset();
        for (int n = 0; n < 20000; n++) {
            seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            /* 1902 … 2106, behind the end of every table */
            time_t at = (time_t)(seed >> 31) % INT64_C(6442450944) - INT64_C(2147483648);
            struct tm tm;
            assert_non_null(localtime_r(&at, &tm));
            struct rb_zone_span span = rb_zone_at(zone, at);
            if (span.offset_s != tm.tm_gmtoff || span.start_s > at || span.end_s <= at)
                fail_msg("%s at %lld: %d, libc says %ld", names[i], (long long)at,
                         span.offset_s, tm.tm_gmtoff);
        }
        rb_zone_free(zone);
    }
}

static void a_span_ends_where_the_next_begins(void **state) {
    (void)state;
    static const char *const names[] = {"Europe/Berlin", "Australia/Lord_Howe",
                                        "America/Sao_Paulo", "Africa/Casablanca"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct rb_zone *zone = load(names[i]);
        int64_t at = unix_of(1950, 1, 1, 0, 0);
        while (at < unix_of(2150, 1, 1, 0, 0)) {
            struct rb_zone_span span = rb_zone_at(zone, at);
            assert_true(span.end_s > at);
            assert_int_equal(rb_zone_at(zone, span.end_s - 1).offset_s, span.offset_s);
            assert_true(rb_zone_at(zone, span.end_s - 1).end_s == span.end_s);
            at = span.end_s;
            if (at != INT64_MAX)
                assert_true(rb_zone_at(zone, at).start_s == at);
        }
        rb_zone_free(zone);
    }
}

static void rules_at_their_edges(void **state) {
    (void)state;
    struct rb_zone_rule rule;
    assert_int_equal(rb_zone_rule_parse(RB_TEXT("CET-1CEST,M3.5.0,M10.5.0/3"), &rule),
                     RB_OK);
    assert_int_equal(rule.standard_s, 3600);
    assert_int_equal(rule.summer_s, 7200);
    assert_int_equal(rb_zone_change_at(&rule.to_summer, 2026, 3600),
                     unix_of(2026, 3, 29, 1, 0));
    assert_int_equal(rb_zone_change_at(&rule.to_standard, 2026, 7200),
                     unix_of(2026, 10, 25, 1, 0));

    assert_int_equal(
        rb_zone_rule_parse(RB_TEXT("<-02>2<-01>,M3.5.0/-1,M10.5.0/0"), &rule), RB_OK);
    assert_int_equal(rule.standard_s, -7200);
    assert_int_equal(rb_zone_change_at(&rule.to_summer, 2026, -7200),
                     unix_of(2026, 3, 29, 1, 0));

    assert_int_equal(rb_zone_rule_parse(RB_TEXT("NST3:30NDT,M3.2.0,M11.1.0"), &rule),
                     RB_OK);
    assert_int_equal(rule.standard_s, -12600);
    assert_int_equal(rule.summer_s, -9000);

    /* Jn never counts Feb 29, n does. */
    assert_int_equal(rb_zone_rule_parse(RB_TEXT("AAA0BBB,J60/0,59/0"), &rule), RB_OK);
    assert_int_equal(rb_zone_change_at(&rule.to_summer, 2024, 0),
                     unix_of(2024, 3, 1, 0, 0));
    assert_int_equal(rb_zone_change_at(&rule.to_summer, 2023, 0),
                     unix_of(2023, 3, 1, 0, 0));
    assert_int_equal(rb_zone_change_at(&rule.to_standard, 2024, 0),
                     unix_of(2024, 2, 29, 0, 0));
    assert_int_equal(rb_zone_change_at(&rule.to_standard, 2023, 0),
                     unix_of(2023, 3, 1, 0, 0));
}

static void rules_that_are_none(void **state) {
    (void)state;
    static const char *const wrong[] = {
        "",
        "CET",
        "CE-1",
        "-1",
        "CET-25",
        "CET-1:60",
        "CET-1CEST",
        "CET-1CEST,M3.5.0",
        "<CET-1",
        "CET-1CEST,M13.5.0,M10.5.0",
        "CET-1 ",
        "CET-1CEST,M3.6.0,M10.5.0",
        "CET-1CEST,M3.5.7,M10.5.0",
        "CET-1CEST,J0,J1",
        "CET-1CEST,366,1",
        "CET-1CEST,M3.5.0/168,M10.5.0",
        "CET-1CEST,M3.5.0,M10.5.0/3x",
        "CET-99999",
    };
    struct rb_zone_rule rule;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (rb_zone_rule_parse(rb_text_of(wrong[i]), &rule) != RB_INVALID)
            fail_msg("taken for a rule: \"%s\"", wrong[i]);
}

static void add_big(struct rb_buffer *out, uint64_t value, int bytes) {
    while (bytes-- > 0)
        if (bytes < 8)
            rb_buffer_char(out, (char)(value >> 8 * bytes & 0xff));
        else
            rb_buffer_char(out, '\0');
}

static void add_header(struct rb_buffer *out, char version, uint32_t times,
                       uint32_t types) {
    rb_buffer_add(out, "TZif", 4);
    rb_buffer_char(out, version);
    add_big(out, 0, 15);
    add_big(out, 0, 4);
    add_big(out, 0, 4);
    add_big(out, 0, 4);
    add_big(out, times, 4);
    add_big(out, types, 4);
    add_big(out, 4, 4); /* one abbreviation */
}

static void add_type(struct rb_buffer *out, int32_t offset_s) {
    add_big(out, (uint32_t)offset_s, 4);
    add_big(out, 0, 2);
}

/* As zic -b slim writes: an empty block of version 1, one change, and a rule. */
static void add_slim(struct rb_buffer *out, const char *footer) {
    add_header(out, '2', 0, 1);
    add_type(out, 0);
    rb_buffer_add(out, "LMT", 4);
    add_header(out, '2', 1, 2);
    add_big(out, (uint64_t)-1000000, 8);
    rb_buffer_char(out, 1);
    add_type(out, 3208);
    add_type(out, 3600);
    rb_buffer_add(out, "LMT", 4);
    rb_buffer_string(out, footer);
}

static void a_slim_file_lives_by_its_rule(void **state) {
    (void)state;
    struct rb_buffer file;
    struct rb_zone *zone;
    rb_buffer_init(&file, 4096);
    add_slim(&file, "\nCET-1CEST,M3.5.0,M10.5.0/3\n");
    assert_int_equal(rb_zone_parse(rb_buffer_view(&file), &zone), RB_OK);
    struct rb_zone *system = load("Europe/Berlin");
    for (int64_t at = unix_of(1997, 1, 1, 0, 0); at < unix_of(2100, 1, 1, 0, 0);
         at += 7201) {
        struct rb_zone_span a = rb_zone_at(zone, at), b = rb_zone_at(system, at);
        assert_int_equal(a.offset_s, b.offset_s);
        assert_true(a.end_s == b.end_s);
    }
    assert_int_equal(rb_zone_at(zone, -1000001).offset_s, 3208);
    assert_true(rb_zone_at(zone, -1000001).start_s == INT64_MIN);
    assert_true(rb_zone_at(zone, -1000001).end_s == -1000000);
    assert_int_equal(rb_zone_at(zone, -1000000).start_s, -1000000);
    rb_zone_free(system);
    rb_zone_free(zone);
    rb_buffer_fini(&file);
}

static void a_file_without_a_rule(void **state) {
    (void)state;
    struct rb_buffer file;
    struct rb_zone *zone;
    rb_buffer_init(&file, 4096);
    add_slim(&file, "\n\n");
    assert_int_equal(rb_zone_parse(rb_buffer_view(&file), &zone), RB_OK);
    assert_int_equal(rb_zone_at(zone, unix_of(2050, 7, 1, 0, 0)).offset_s, 3600);
    assert_true(rb_zone_at(zone, 0).end_s == INT64_MAX);
    rb_zone_free(zone);
    rb_buffer_fini(&file);
}

/* Each cut and each changed byte is refused or read, and never read beyond. */
static void broken_files(void **state) {
    (void)state;
    struct rb_buffer file;
    struct rb_zone *zone;
    rb_buffer_init(&file, 4096);
    add_slim(&file, "\nCET-1CEST,M3.5.0,M10.5.0/3\n");
    for (size_t len = 0; len < file.len; len++) {
        char *exact = malloc(len > 0 ? len : 1);
        assert_non_null(exact);
        memcpy(exact, file.at, len);
        assert_int_equal(rb_zone_parse(rb_text(exact, len), &zone), RB_INVALID);
        free(exact);
    }
    for (size_t i = 0; i < file.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            file.at[i] = (char)(file.at[i] ^ 1 << bit);
            if (rb_zone_parse(rb_buffer_view(&file), &zone) == RB_OK) {
                (void)rb_zone_at(zone, 0);
                (void)rb_zone_at(zone, unix_of(2050, 7, 1, 0, 0));
                rb_zone_free(zone);
            }
            file.at[i] = (char)(file.at[i] ^ 1 << bit);
        }
    }
    rb_buffer_fini(&file);
}

static void names_that_are_none(void **state) {
    (void)state;
    static const char *const wrong[] = {
        "",
        "/etc/passwd",
        "../../../etc/passwd",
        "Europe/../Europe/Berlin",
        "Europe/",
        "/Europe/Berlin",
        "Europe//Berlin",
        "Europe/Berlin\n",
        ".hidden",
        "Europe Berlin",
        "-x",
        "posix/.",
    };
    struct rb_zone *zone;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(rb_zone_load(RB_ZONE_FOLDER, rb_text_of(wrong[i]), &zone),
                         RB_INVALID);
        assert_null(zone);
    }
    assert_int_equal(rb_zone_load(RB_ZONE_FOLDER, RB_TEXT("Europe/Atlantis"), &zone),
                     RB_NOT_FOUND);
    assert_int_equal(rb_zone_load(RB_ZONE_FOLDER, RB_TEXT("Europe"), &zone),
                     RB_NOT_FOUND);
    assert_int_equal(rb_zone_load("/nowhere", RB_TEXT("Europe/Berlin"), &zone),
                     RB_NOT_FOUND);
    assert_int_equal(rb_zone_load("/nowhere", RB_TEXT("UTC"), &zone), RB_OK);
    rb_zone_free(zone);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_libc),
        cmocka_unit_test(a_span_ends_where_the_next_begins),
        cmocka_unit_test(rules_at_their_edges),
        cmocka_unit_test(rules_that_are_none),
        cmocka_unit_test(a_slim_file_lives_by_its_rule),
        cmocka_unit_test(a_file_without_a_rule),
        cmocka_unit_test(broken_files),
        cmocka_unit_test(names_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
