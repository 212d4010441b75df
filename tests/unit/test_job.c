/* Jobs: read strictly, told whose they are even when broken, written as they were. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "jobs/job.h"

#define TRACE "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static void reads_all(void **state) {
    (void)state;
    static const char json[] =
        "{\"id\":\"j-1\",\"service\":\"stock-quote\",\"params\":{\"symbol\":\"ACME\","
        "\"n\":0.1},\"channel\":\"quote:ACME\",\"at\":1700000000000,\"expires\":"
        "1700000060000,\"run_at\":1700000001000,\"unique\":\"u:1\",\"trace\":\"" TRACE
        "\"}";
    struct rb_job job;
    struct rb_error error;
    assert_int_equal(rb_job_parse(rb_text_of(json), &job, &error), RB_OK);
    assert_string_equal(job.id, "j-1");
    assert_string_equal(job.service, "stock-quote");
    assert_string_equal(job.channel, "quote:ACME");
    assert_string_equal(job.unique, "u:1");
    assert_string_equal(job.trace, TRACE);
    assert_string_equal(json_string_value(json_object_get(job.params, "symbol")), "ACME");
    assert_true(job.at == 1700000000000 && job.expires == 1700000060000 &&
                job.run_at == 1700000001000);
    struct rb_buffer out;
    rb_buffer_init(&out, 1024);
    rb_job_write(&job, &out);
    assert_string_equal(out.at, json);
    rb_buffer_fini(&out);
    rb_job_fini(&job);
}

static void reads_little(void **state) {
    (void)state;
    struct rb_job job;
    assert_int_equal(rb_job_parse(RB_TEXT(" {\"service\":\"s\"}\n"), &job, NULL), RB_OK);
    assert_string_equal(job.service, "s");
    assert_non_null(job.params);
    assert_int_equal(json_object_size(job.params), 0);
    assert_null(job.id);
    assert_null(job.channel);
    assert_true(job.at == 0 && job.expires == 0 && job.run_at == 0);
    struct rb_buffer out;
    rb_buffer_init(&out, 1024);
    rb_job_write(&job, &out);
    assert_string_equal(out.at, "{\"service\":\"s\",\"params\":{}}");
    rb_buffer_clear(&out);
    rb_job_fini(&job);
    rb_job_write(&job, &out);
    assert_string_equal(out.at, "{}");
    rb_buffer_fini(&out);
    rb_job_fini(&job); /* twice is legal */
}

static void assert_refused(const char *json, const char *sentence) {
    struct rb_job job;
    struct rb_error error;
    assert_int_equal(rb_job_parse(rb_text_of(json), &job, &error), RB_INVALID);
    assert_string_equal(error.text, sentence);
    rb_job_fini(&job);
}

static void refuses(void **state) {
    (void)state;
    assert_refused("", "the job is not JSON at byte 1: expected a value");
    assert_refused("hello", "the job is not JSON at byte 1: expected a value");
    assert_refused("{\"service\":\"s\"}x",
                   "the job is not JSON at byte 16: expected nothing behind the value");
    assert_refused("{\"service\":\"\xff\"}",
                   "the job is not JSON at byte 13: expected UTF-8");
    assert_refused("[]", "a job must be a JSON object");
    assert_refused("null", "a job must be a JSON object");
    assert_refused("\"s\"", "a job must be a JSON object");
    assert_refused("{}", "\"service\" is missing: the name of the service to call");
    assert_refused("{\"serivce\":\"s\"}",
                   "\"serivce\" is not a member of a job; did you mean \"service\"?");
    assert_refused("{\"service\":\"s\",\"xyzzyx\":1}",
                   "\"xyzzyx\" is not a member of a job; known are: service, params, "
                   "channel, id, at, expires, run_at, unique, trace");
    assert_refused("{\"service\":\"s\",\"service\":\"s\"}",
                   "the job is refused at byte 24: a member is given twice");
    assert_refused("{\"service\":\"s\",\"params\":{\"a\":1,\"a\":2}}",
                   "the job is refused at byte 34: a member is given twice");
    assert_refused("{\"service\":\"s\",\"at\":0,\"at\":1}",
                   "the job is refused at byte 26: a member is given twice");
    assert_refused("{\"service\":\"s\",\"params\":{},\"params\":{}}",
                   "the job is refused at byte 35: a member is given twice");
    assert_refused("{\"service\":\"s\",\"params\":{\"a\":1,\"\\u0061\":2}}",
                   "the job is refused at byte 39: a member is given twice");
    assert_refused("{\"service\":\"s\",\"params\":{\"a\":{\"b\":1,\"b\":2}}}",
                   "the job is refused at byte 39: a member is given twice");
    assert_refused("{\"service\":\"s\",}",
                   "the job is not JSON at byte 16: expected a string");
    assert_refused("{\"service\":\"s\",\"params\":[]}", "\"params\" must be an object");
    assert_refused("{\"service\":\"s\",\"params\":null}", "\"params\" must be an object");
}

/* Each member against values that are of a wrong type, too long, or of wrong bytes. */
static void refuses_values(void **state) {
    (void)state;
    static const struct {
        const char *member, *value;
    } bad[] = {
        {"service", "1"},
        {"service", "\"\""},
        {"service", "null"},
        {"service", "\"a b\""},
        {"service", "\"a\\u0000\""},
        {"service", "\"../x\""},
        {"service",
         "\"12345678901234567890123456789012345678901234567890123456789012345\""},
        {"channel", "\"\""},
        {"channel", "\"a/b\""},
        {"channel", "\"a,b\""},
        {"channel", "\"{a}\""},
        {"channel", "\"\\u00e4\""},
        {"channel", "[\"a\"]"},
        {"id", "7"},
        {"id", "\"a b\""},
        {"id", "\"a\\n\""},
        {"unique", "\"\""},
        {"unique", "{}"},
        {"at", "\"1700000000000\""},
        {"at", "-1"},
        {"at", "1.5"},
        {"at", "1e3"},
        {"at", "true"},
        {"at", "1700000000000000"},
        {"expires", "null"},
        {"expires", "9223372036854775807"},
        {"expires", "9223372036854775808"},
        {"run_at", "[]"},
        {"trace", "\"\""},
        {"trace", "\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331\""},
        {"trace", "\"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\""},
        {"trace", "\"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01\""},
        {"trace", "\"00-00000000000000000000000000000000-b7ad6b7169203331-01\""},
        {"trace", "\"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01\""},
        {"trace", "\"00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\""},
        {"trace", "\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x\""},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char json[512];
        struct rb_job job;
        struct rb_error error;
        bool service = strcmp(bad[i].member, "service") == 0;
        snprintf(json, sizeof json, "{%s\"%s\":%s}", service ? "" : "\"service\":\"s\",",
                 bad[i].member, bad[i].value);
        assert_int_equal(rb_job_parse(rb_text_of(json), &job, &error), RB_INVALID);
        assert_true(error.text[0]);
        if (!service)
            assert_string_equal(job.service, "s");
        rb_job_fini(&job);
    }
}

static void assert_saved(const char *json, const char *id, const char *channel,
                         const char *service) {
    struct rb_job job;
    assert_int_equal(rb_job_parse(rb_text_of(json), &job, NULL), RB_INVALID);
#define SAME(a, b) assert_true((a) ? (b) && strcmp(a, b) == 0 : !(b))
    SAME(job.id, id);
    SAME(job.channel, channel);
    SAME(job.service, service);
#undef SAME
    rb_job_fini(&job);
}

static void saves_what_it_can(void **state) {
    (void)state;
    assert_saved("{\"id\":\"i\",\"channel\":\"c\",\"x\":1}", "i", "c", NULL);
    assert_saved("{\"id\":7,\"channel\":\"c\",\"service\":\"s\"}", NULL, "c", "s");
    assert_saved("{\"id\":\"i\",\"channel\":\"c c\",\"service\":\"s\"}", "i", NULL, "s");
    assert_saved("{\"params\":[],\"id\":\"i\",\"channel\":\"c\",\"service\":\"s\"}", "i",
                 "c", "s");
    /* Not JSON, or not what jansson takes: up to where it breaks. */
    assert_saved("{\"service\":\"s\",\"channel\":\"c\",\"params\":{\"a\":", NULL, "c",
                 "s");
    assert_saved("{\"service\":\"s\", oops \"channel\":\"c\"}", NULL, NULL, "s");
    assert_saved(
        "{\"id\":\"i\",\"params\":{\"n\":18446744073709551616},\"channel\":\"c\"}", "i",
        "c", NULL);
    assert_saved("{\"channel\":\"a\",\"channel\":\"b\",\"service\":\"s\"}", NULL, "b",
                 "s");
    assert_saved("{\"channel\":\"c\",\"params\":{\"s\":\"\\ud800\"}}", NULL, "c", NULL);
    assert_saved("[\"channel\",\"c\"]", NULL, NULL, NULL);
}

static void too_large(void **state) {
    (void)state;
    size_t len = RB_JOB_MAX_BYTES + 1;
    char *json = malloc(len);
    assert_non_null(json);
    static const char begin[] =
        "{\"service\":\"s\",\"channel\":\"c\",\"params\":{\"a\":\"";
    memset(json, 'x', len);
    memcpy(json, begin, sizeof begin - 1);
    memcpy(json + len - 3, "\"}}", 3);
    struct rb_job job;
    struct rb_error error;
    assert_int_equal(rb_job_parse(rb_text(json, len), &job, &error), RB_TOO_LARGE);
    assert_string_equal(error.text, "the job is larger than 1048576 bytes");
    assert_string_equal(job.channel, "c");
    rb_job_fini(&job);
    memcpy(json + len - 4, "\"}}", 3);
    assert_int_equal(rb_job_parse(rb_text(json, len - 1), &job, &error), RB_OK);
    rb_job_fini(&job);
    free(json);
}

static void deep(void **state) {
    (void)state;
    char json[4096] = "{\"service\":\"s\",\"params\":{\"a\":";
    size_t len = strlen(json);
    memset(json + len, '[', 1000);
    memset(json + len + 1000, ']', 1000);
    memcpy(json + len + 2000, "}}", 3);
    struct rb_job job;
    struct rb_error error;
    assert_int_equal(rb_job_parse(rb_text_of(json), &job, &error), RB_INVALID);
    assert_non_null(strstr(error.text, "at most 512 levels"));
    assert_string_equal(job.service, "s");
    rb_job_fini(&job);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_all), cmocka_unit_test(reads_little),
        cmocka_unit_test(refuses),   cmocka_unit_test(refuses_values),
        cmocka_unit_test(too_large), cmocka_unit_test(saves_what_it_can),
        cmocka_unit_test(deep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
