/* Recurring jobs in a definition. */
#include "jobs/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct rb_errors errors;

static struct rb_schedule *schedule(const char *yaml) {
    struct rb_yaml *root = NULL;
    errors = (struct rb_errors){0};
    assert_int_equal(rb_yaml_parse("s.yaml", rb_text_of(yaml), &root, &errors), RB_OK);
    struct rb_params *params = rb_params_compile(rb_yaml_get(root, "params"), &errors);
    struct rb_schedule *out = rb_schedule_read(root, params, &errors);
    rb_params_free(params);
    rb_yaml_free(root);
    return out;
}

static void a_time_in_a_zone(void **state) {
    (void)state;
    struct rb_schedule *s = schedule("params: {symbol: {type: string, required: true}}\n"
                                     "schedule: \"30 2 * * *\"\n"
                                     "time_zone: Europe/Berlin\n"
                                     "schedule_params: {symbol: ACME}\n");
    assert_non_null(s);
    /* 2026-01-01: 02:30 is 01:30 UTC. */
    assert_int_equal(rb_schedule_next(s, 1767225600), 1767225600 + 5400);
    assert_string_equal(json_string_value(json_object_get(s->params, "symbol")), "ACME");
    rb_schedule_free(s);
    s = schedule("schedule: '@hourly'");
    assert_non_null(s);
    assert_int_equal(rb_schedule_next(s, 1767225600), 1767225600 + 3600);
    assert_int_equal(json_object_size(s->params), 0);
    rb_schedule_free(s);
    rb_schedule_free(NULL);
}

static void mistakes_have_their_place(void **state) {
    (void)state;
    static const struct {
        const char *yaml;
        int line, column;
        const char *says;
    } wrong[] = {
        {"schedule: \"* 24 * * *\"", 1, 14, "hour: expected"},
        {"schedule: 0 24 * * *", 1, 13, "hour: expected"},
        {"schedule: [1]", 1, 11, "got a list"},
        {"schedule: ''", 1, 12, "got nothing"},
        {"schedule: '@daily'\ntime_zone: Europe/Atlantis", 2, 12, "no time zone"},
        {"schedule: '@daily'\ntime_zone: ../../etc/passwd", 2, 12, "is no time zone"},
        {"schedule: '@daily'\ntime_zone: [UTC]", 2, 12, "got a list"},
        {"schedule: '@daily'\nschedule_params: 5", 2, 18, "expected a mapping"},
        {"schedule: '@daily'\nschedule_params: {a: 1}", 2, 18, "schedule_params: "},
        {"params: {s: {type: string, required: true}}\nschedule: '@daily'", 2, 11,
         "schedule_params: "},
        {"params: {s: {type: string}}\nschedule: '@daily'\nschedule_params: {s: 5}", 3,
         18, "schedule_params: "},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_null(schedule(wrong[i].yaml));
        const struct rb_error *e = &errors.kept[0];
        if (errors.count != 1 || e->line != wrong[i].line ||
            e->column != wrong[i].column || !strstr(e->text, wrong[i].says))
            fail_msg("%s: %zu: %d:%d: %s", wrong[i].yaml, errors.count, e->line,
                     e->column, e->text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_time_in_a_zone),
        cmocka_unit_test(mistakes_have_their_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
