/* Jobs that were given up and are queued again: as at their first claim, asked for now.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jobs/dead.h"

static const struct rb_keys keys = {.jobs = RB_TEXT("ringback"),
                                    .channels = RB_TEXT("ringback:ch")};

#define NOW INT64_C(1800000000000)
#define DEAD                                                                             \
    "rb1 id=w-7 queue=slow deliveries=3 attempts=2 at=5 until=6 reason=poisoned\n"
#define AGAIN "rb1 id=w-7 queue=slow deliveries=0 at=1800000000000\n"

static void check(const char *job, const char *wanted) {
    struct rb_buffer member, text;
    struct rb_key queue;
    rb_buffer_init(&member, RB_DEAD_ENVELOPE_BYTES);
    rb_buffer_init(&text, RB_DEAD_ENVELOPE_BYTES);
    rb_buffer_string(&member, DEAD);
    rb_buffer_string(&member, job);
    assert_int_equal(rb_dead_revive(&keys, rb_buffer_view(&member), NOW, &text, &queue),
                     RB_OK);
    assert_string_equal(text.at, wanted);
    assert_true(rb_text_is(rb_key_text(&queue), "ringback:retry:slow"));
    rb_buffer_fini(&member);
    rb_buffer_fini(&text);
}

static void is_asked_for_now(void **state) {
    (void)state;
    check("{\"service\":\"x\"}", AGAIN "{\"service\":\"x\"}");
    check("{\"at\":1700000000000,\"service\":\"x\"}",
          AGAIN "{\"at\":1800000000000,\"service\":\"x\"}");
    check("{\"service\":\"x\", \"params\":{\"at\":7,\"n\":1.50}, \"\\u0061t\" : 5 }",
          AGAIN "{\"service\":\"x\", \"params\":{\"at\":7,\"n\":1.50}, "
                "\"\\u0061t\" : 1800000000000 }");
}

/* What is no job stays as it is: to be told so again. */
static void other_bytes_stay(void **state) {
    static const char *const jobs[] = {
        "",
        "{",
        "[1]",
        "{\"at\":5}",
        "{\"service\":\"x\",\"at\":\"5\"}",
        "7",
        "\"at\"",
        "{\"service\":\"x\",\"at\":5,\"at\":6}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof jobs / sizeof jobs[0]; i++) {
        char wanted[256];
        snprintf(wanted, sizeof wanted, AGAIN "%s", jobs[i]);
        check(jobs[i], wanted);
    }
}

static void is_not_made_too_large(void **state) {
    struct rb_buffer job, wanted;
    (void)state;
    rb_buffer_init(&job, RB_DEAD_ENVELOPE_BYTES);
    rb_buffer_init(&wanted, RB_DEAD_ENVELOPE_BYTES);
    rb_buffer_string(&job, "{\"service\":\"x\",\"at\":1,\"params\":{\"a\":\"");
    while (job.len < RB_JOB_MAX_BYTES - 3)
        rb_buffer_char(&job, 'x');
    rb_buffer_string(&job, "\"}}");
    rb_buffer_string(&wanted, AGAIN);
    rb_buffer_text(&wanted, rb_buffer_view(&job));
    check(job.at, wanted.at);
    rb_buffer_fini(&job);
    rb_buffer_fini(&wanted);
}

static void needs_an_envelope(void **state) {
    struct rb_buffer text;
    struct rb_key queue;
    (void)state;
    rb_buffer_init(&text, 1024);
    assert_int_equal(
        rb_dead_revive(&keys, RB_TEXT("{\"service\":\"x\"}"), NOW, &text, &queue),
        RB_INVALID);
    rb_buffer_fini(&text);
}

/* What a worker notes of a job's end, and what a retry reads of it. */
static void check_end(struct rb_text channel, struct rb_stream_id id, const char *noted,
                      const char *job, const char *meta, const char *marker) {
    const struct rb_dead_fate fate = {channel, id, "poisoned", "it died"};
    struct rb_dead_end end;
    struct rb_buffer member;
    rb_buffer_init(&member, RB_DEAD_ENVELOPE_BYTES);
    rb_buffer_string(&member, "rb1 id=w-7 queue=slow");
    rb_dead_write_fate(&member, &fate);
    assert_string_equal(member.at + strlen("rb1 id=w-7 queue=slow"), noted);
    rb_buffer_char(&member, '\n');
    rb_buffer_string(&member, job);
    assert_int_equal(rb_dead_end(&keys, rb_buffer_view(&member), &end), meta != NULL);
    if (meta) {
        assert_true(rb_text_is(rb_key_text(&end.meta), meta));
        assert_string_equal(end.marker, marker);
        assert_string_equal(end.receipt + 2, marker + 2);
        assert_memory_equal(end.receipt, RB_META_RECEIPT, 2);
    }
    rb_buffer_fini(&member);
}

static void end_is_noted(void **state) {
    const struct rb_stream_id id = {1700000000000, 3}, none = {0, 0};
    (void)state;
    check_end(RB_TEXT("a=b"), id,
              " channel=a%3Db end=1700000000000-3 reason=poisoned error=it%20died",
              "{\"service\":\"x\",\"id\":\"j\"}", "ringback:ch:{a=b}:meta", "t:j");
    check_end(RB_TEXT("c"), none, " channel=c end=0-0 reason=poisoned error=it%20died",
              "{", "ringback:ch:{c}:meta", "t:w-7");
    check_end(RB_TEXT(""), none, " reason=poisoned error=it%20died",
              "{\"service\":\"x\",\"wrong\":1,\"channel\":\"d\"}", "ringback:ch:{d}:meta",
              "t:w-7");
    check_end(RB_TEXT(""), none, " reason=poisoned error=it%20died",
              "{\"service\":\"x\"}", NULL, NULL);
}

/* A hand may have written it. */
static void end_may_be_wrong(void **state) {
    static const char *const lines[] = {"",
                                        "rb1 id=w-7 queue=q channel=a%20b end=1-1\n{}",
                                        "rb1 id=w-7 queue=q channel= end=1-1\n{}"};
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct rb_dead_end end;
        assert_false(rb_dead_end(&keys, rb_text_of(lines[i]), &end));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_asked_for_now),      cmocka_unit_test(other_bytes_stay),
        cmocka_unit_test(is_not_made_too_large), cmocka_unit_test(needs_an_envelope),
        cmocka_unit_test(end_is_noted),          cmocka_unit_test(end_may_be_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
