/* HTTP dates: the three forms of RFC 9110 §5.6.7, and what only looks like one. */
#include "jobs/http_date.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW INT64_C(1767225600) /* 2026-01-01 00:00:00 */

static int64_t parsed(const char *text, int64_t now_s) {
    int64_t unix_s = -1;
    return rb_http_date_parse(rb_text_of(text), now_s, &unix_s) == RB_OK ? unix_s : -1;
}

static void the_three_forms_say_the_same(void **state) {
    (void)state;
    assert_int_equal(parsed("Sun, 06 Nov 1994 08:49:37 GMT", NOW), 784111777);
    assert_int_equal(parsed("Sunday, 06-Nov-94 08:49:37 GMT", NOW), 784111777);
    assert_int_equal(parsed("Sun Nov  6 08:49:37 1994", NOW), 784111777);
    assert_int_equal(parsed("Sun Nov 06 08:49:37 1994", NOW), 784111777);
    assert_int_equal(parsed("Wed Nov 16 08:49:37 1994", NOW), 784975777);
}

static void edges_of_the_calendar(void **state) {
    (void)state;
    assert_int_equal(parsed("Thu, 01 Jan 1970 00:00:00 GMT", NOW), 0);
    assert_int_equal(parsed("Thu, 29 Feb 2024 23:59:59 GMT", NOW), 1709251199);
    assert_int_equal(parsed("Tue, 29 Feb 2000 00:00:00 GMT", NOW), 951782400);
    assert_int_equal(parsed("Wed, 01 Mar 1900 00:00:00 GMT", NOW), -2203891200);
    assert_int_equal(parsed("Sat, 31 Dec 2016 23:59:60 GMT", NOW), 1483228800);
    assert_int_equal(parsed("Fri, 31 Dec 9999 23:59:59 GMT", NOW), 253402300799);
}

static void two_digits_of_a_year(void **state) {
    (void)state;
    /* In 2026: 76 is fifty years ahead, and 77 would be more. */
    assert_int_equal(parsed("Wednesday, 01-Jan-76 00:00:00 GMT", NOW), 3345062400);
    assert_int_equal(parsed("Saturday, 01-Jan-77 00:00:00 GMT", NOW), 220924800);
    assert_int_equal(parsed("Saturday, 01-Jan-00 00:00:00 GMT", NOW), 946684800);
    /* In 2090 the next 05 is ahead, not 85 years back. */
    assert_int_equal(parsed("Thursday, 01-Jan-05 00:00:00 GMT", 3786912000), 4260211200);
}

static void what_is_no_date(void **state) {
    (void)state;
    static const char *const wrong[] = {
        "",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        " Sun, 06 Nov 1994 08:49:37 GMT",
        "sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 29 Feb 2023 08:49:37 GMT",
        "Sun, 29 Feb 1900 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov -994 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sunday, 06 Nov 1994 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 94",
        "1994-11-06T08:49:37Z",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (parsed(wrong[i], NOW) != -1)
            fail_msg("taken for a date: \"%s\"", wrong[i]);
    }
    /* No byte behind the text is looked at. */
    char *exact = malloc(28);
    assert_non_null(exact);
    memcpy(exact, "Sun, 06 Nov 1994 08:49:37 GM", 28);
    int64_t unix_s;
    for (size_t len = 0; len <= 28; len++)
        assert_int_equal(rb_http_date_parse(rb_text(exact, len), NOW, &unix_s),
                         RB_INVALID);
    free(exact);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_three_forms_say_the_same),
        cmocka_unit_test(edges_of_the_calendar),
        cmocka_unit_test(two_digits_of_a_year),
        cmocka_unit_test(what_is_no_date),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
