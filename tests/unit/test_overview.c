/* Figures of services out of what workers tell, and how it all stands as JSON. */
#include "jobs/overview.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define TOLD(at, calls, breaker)                                                         \
    "{\"at\":" at ",\"bounds_s\":[0.1,1],\"services\":{\"quote\":{\"in_flight\":1,"      \
    "\"done\":4,\"failed\":2,\"calls\":" calls ",\"cache_hits\":3,"                      \
    "\"cache_lookups\":4,\"breaker\":\"" breaker "\"}}}"

static struct rb_figures figures_of(const char *one, const char *other) {
    struct rb_figures figures = {0};
    rb_figures_add(rb_text_of(one), &figures);
    rb_figures_add(rb_text_of(other), &figures);
    rb_figures_finish(&figures);
    return figures;
}

static void workers_are_added_up(void **unused) {
    (void)unused;
    struct rb_figures figures =
        figures_of(TOLD("2000", "[0,10,0]", "closed"), TOLD("1000", "[10,0,0]", "open"));
    assert_true(figures.told && figures.count == 1 && figures.at_ms == 2000);
    const struct rb_figure *f = rb_figures_of(&figures, "quote");
    assert_true(f->in_flight == 2 && f->done == 8 && f->failed == 4 && f->calls == 20);
    assert_true(f->p50_s > 0.099 && f->p50_s < 0.101);
    assert_true(f->p95_s > 0.90 && f->p95_s < 0.92);
    assert_string_equal(rb_figure_breaker(f), "open");
    assert_null(rb_figures_of(&figures, "none"));
    rb_figures_fini(&figures);
}

static void what_is_beyond_the_bounds_counts_as_the_last(void **unused) {
    (void)unused;
    struct rb_figures figures = figures_of(TOLD("1", "[0,0,5]", "half_open"), "{}");
    assert_true(figures.at[0].p50_s == 1 && figures.at[0].p95_s == 1);
    assert_string_equal(rb_figure_breaker(&figures.at[0]), "half-open");
    rb_figures_fini(&figures);
}

static void rubbish_is_passed_over(void **unused) {
    (void)unused;
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{\"services\":[]}",
        "{\"services\":{\"A b\":{}}}",
        "{\"bounds_s\":[1],\"services\":{\"a\":{\"calls\":[1]}}}",
        "{\"services\":{\"a\":{\"done\":-1,\"calls\":\"x\",\"breaker\":7}}}"};
    struct rb_figures figures = {0};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        rb_figures_add(rb_text_of(texts[i]), &figures);
    rb_figures_finish(&figures);
    for (size_t i = 0; i < figures.count; i++)
        assert_true(figures.at[i].calls == 0 && figures.at[i].done == 0 &&
                    figures.at[i].p50_s < 0);
    rb_figures_fini(&figures);
}

static void a_rate_needs_two_looks(void **unused) {
    (void)unused;
    struct rb_figures before = figures_of(TOLD("1000", "[1,0,0]", "closed"), "");
    struct rb_figures now = figures_of(TOLD("3000", "[5,0,0]", "closed"), "");
    struct rb_figures none = {.told = true, .at_ms = 1000};
    const struct rb_figure *f = &now.at[0];
    assert_true(rb_figure_rate(f, &now, &before) == 2);
    assert_true(rb_figure_rate(f, &now, &none) == 2.5); /* it was not there: no calls */
    assert_true(rb_figure_rate(f, &now, NULL) < 0);
    assert_true(rb_figure_rate(&before.at[0], &before, &now) < 0);
    assert_true(rb_figure_rate(f, &now, &now) < 0);
    before.at[0].calls = 9; /* a worker has begun again */
    assert_true(rb_figure_rate(f, &now, &before) < 0);
    rb_figures_fini(&before);
    rb_figures_fini(&now);
}

static void json_is(const struct rb_overview *o, bool latency, const char *expected) {
    struct rb_buffer out;
    rb_buffer_init(&out, 65536);
    rb_overview_write(&out, o, NULL, latency);
    assert_int_equal(out.status, RB_OK);
    assert_string_equal(out.at, expected);
    rb_buffer_fini(&out);
}

static void it_is_json(void **unused) {
    (void)unused;
    struct rb_overview_queue queues[] = {
        {.name = "default", .waiting = 3, .retry = 1, .oldest_ms = 7500},
        {.name = "slow", .paused = true}};
    struct rb_overview_worker workers[] = {
        {.id = "w-1", .lease_end_ms = 12500, .held = 2}};
    char paused[1][RB_NAME_MAX + 1] = {"quote"};
    struct rb_overview o = {.now_ms = 10000,
                            .due = 5,
                            .dead = 6,
                            .queues = queues,
                            .queue_count = 2,
                            .workers = workers,
                            .worker_count = 1,
                            .paused_services = paused,
                            .paused_service_count = 1};
#define REDIS                                                                            \
    "\"queues\":{\"default\":{\"waiting\":3,\"retry\":1,\"oldest_s\":2.500,"             \
    "\"paused\":false},\"slow\":{\"waiting\":0,\"retry\":0,\"oldest_s\":null,"           \
    "\"paused\":true}},\"due\":5,\"dead\":6,\"paused_services\":[\"quote\"],"            \
    "\"workers\":[{\"id\":\"w-1\",\"lease_ms\":2500,\"held\":2}],\"services\":{"
#define SERVICE                                                                          \
    "\"quote\":{\"in_flight\":1,\"done\":4,\"failed\":2,\"calls\":2,"                    \
    "\"cache_hits\":3,\"cache_lookups\":4,\"breaker\":\"closed\",\"calls_per_s\":null,"  \
    "\"p50_s\":0.100,\"p95_s\":1.000"
    json_is(&o, true, REDIS "}");
    o.figures = figures_of(TOLD("1", "[1,0,1]", "closed"), "");
    json_is(&o, false, REDIS SERVICE "}}");
    json_is(&o, true,
            REDIS SERVICE ",\"latency\":[{\"le_s\":0.1,\"calls\":1},"
                          "{\"le_s\":1,\"calls\":0},{\"le_s\":null,\"calls\":1}]}}");
    rb_figures_fini(&o.figures);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workers_are_added_up),
        cmocka_unit_test(what_is_beyond_the_bounds_counts_as_the_last),
        cmocka_unit_test(rubbish_is_passed_over),
        cmocka_unit_test(a_rate_needs_two_looks),
        cmocka_unit_test(it_is_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
