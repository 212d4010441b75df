/* Each allocation failed in turn: what is read or rendered fails with a status or with a
 * mistake, leaks nothing (under LeakSanitizer) and breaks nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "definitions.h"
#include "jobs/services.h"

/* The linker leads the rooms' allocations here (--wrap), jansson's come by its own hook.
 */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *at, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *at, size_t size);

static long left = -1; /* allocations until one fails; -1 = none does */
static bool failed;

static bool fails(void) {
    if (left < 0)
        return false;
    if (left-- > 0)
        return false;
    left = -1;
    failed = true;
    return true;
}

void *__wrap_malloc(size_t size) { return fails() ? NULL : __real_malloc(size); }

void *__wrap_calloc(size_t count, size_t size) {
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *at, size_t size) {
    return fails() ? NULL : __real_realloc(at, size);
}

/* Runs `work` with the first, the second, … allocation failing, until none does. True
 * from `work` means that all went well. */
static void each_in_turn(bool (*work)(void)) {
    for (long n = 0;; n++) {
        assert_true(n < 100000);
        failed = false;
        left = n;
        bool well = work();
        left = -1;
        if (failed)
            continue; /* a failure may pass unseen where memory is only a help */
        assert_true(well);
        assert_true(n > 3);
        return;
    }
}

static bool read_job(void) {
    static const char json[] = "{\"id\":\"i\",\"service\":\"s\",\"params\":{\"a\":[1,0.5,"
                               "\"x\"]},\"channel\":\"c\","
                               "\"unique\":\"u\"}";
    struct rb_job job;
    struct rb_error error = {.text = ""};
    struct rb_buffer out;
    rb_buffer_init(&out, 4096);
    enum rb_status status = rb_job_parse(rb_text_of(json), &job, &error);
    if (status == RB_OK) {
        rb_job_write(&job, &out);
        status = out.status;
    } else {
        assert_true(error.text[0] != '\0');
    }
    if (status != RB_OK && status != RB_NOMEM)
        fail_msg("%s", error.text);
    rb_buffer_fini(&out);
    rb_job_fini(&job);
    return status == RB_OK;
}

static const char definition_text[] =
    "service: test\n"
    "description: d\n"
    "params:\n"
    "  s: {type: string, pattern: \"^[A-Z]+$\", required: true}\n"
    "  e: {enum: [a, b], default: a}\n"
    "  n: {type: integer, minimum: 1, maximum: 9, default: 5}\n"
    "  l: {type: array, default: [x, 0.5]}\n"
    "channel: quote:${s}\n"
    "request:\n"
    "  url: https://x:1/v1/${s}?a=${n}\n"
    "  query: {q: [\"1\", \"${e}\"], l: \"${l}\"}\n"
    "  headers: {X-A: \"${secret.k}\"}\n"
    "  json: {a: \"${n}\", b: [\"<${s}>\", 1, {c: ~}]}\n"
    "secrets: {k: {env: RB_TEST_SECRET}}\n"
    "result: {select: {a: /a, b: \"\"}}\n"
    "tls: {min_version: 1.3}\n"
    "redirects: {max: 2, allow: [a.example, \"b.example:8443\"]}\n"
    "network: {deny: [private, 10.0.0.0/8]}\n";

static struct rb_yaml *root;
static struct rb_definition *definition;

static bool compile(void) {
    static struct rb_errors errors;
    errors.count = 0;
    struct rb_definition *d = rb_definition_compile("test.yaml", root, &errors);
    assert_true((d == NULL) == (errors.count > 0));
    bool told = d != NULL;
    for (size_t i = 0; i < errors.count; i++)
        told = told || strstr(errors.kept[i].text, "out of memory") ||
               strstr(errors.kept[i].text, "Memory exhausted");
    if (!told)
        fail_msg("%s", errors.kept[0].text);
    rb_definition_free(d);
    return d != NULL;
}

static bool render(void) {
    json_t *given = json_pack("{s:s}", "s", "ACME"), *params = NULL;
    struct rb_job job = {.params = given};
    struct rb_request *request = NULL;
    struct rb_error error = {.text = ""};
    struct rb_buffer out;
    enum rb_status status = given ? RB_OK : RB_NOMEM;
    rb_buffer_init(&out, 4096);
    if (status == RB_OK)
        status = rb_definition_check(definition, &job, &params, &error);
    if (status == RB_OK)
        status = rb_definition_channel(definition, &job, params, &out, &error);
    if (status == RB_OK)
        status = rb_definition_render(definition, &job, rb_buffer_view(&out), params,
                                      &request, &error);
    if (status == RB_OK)
        status = rb_definition_result(definition, RB_TEXT(""), RB_TEXT("{\"a\":1}"), &out,
                                      &error);
    if (status != RB_OK && status != RB_NOMEM)
        fail_msg("%s", error.text);
    rb_request_free(request);
    rb_buffer_fini(&out);
    json_decref(params);
    json_decref(given);
    return status == RB_OK;
}

static bool load(void) {
    static struct rb_errors errors;
    struct rb_services *services;
    errors.count = 0;
    enum rb_status status =
        rb_services_load(RINGBACK_SOURCE_DIR "/jobs/services", &services, &errors);
    assert_true((status == RB_OK) == (services != NULL));
    assert_true((status == RB_OK) == (errors.count == 0));
    rb_services_unref(services);
    return status == RB_OK;
}

static void jobs(void **state) {
    (void)state;
    each_in_turn(read_job);
}

static void definitions(void **state) {
    (void)state;
    each_in_turn(compile);
}

static void requests(void **state) {
    (void)state;
    each_in_turn(render);
}

static void folders(void **state) {
    (void)state;
    each_in_turn(load);
}

static int setup(void **state) {
    struct rb_errors errors = {0};
    (void)state;
    json_set_alloc_funcs(__wrap_malloc, free);
    setenv("RB_TEST_SECRET", "hush", 1);
    if (rb_yaml_parse("test.yaml", rb_text_of(definition_text), &root, &errors) != RB_OK)
        return -1;
    definition = rb_definition_compile("test.yaml", root, &errors);
    rb_errors_print(&errors);
    return definition ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    rb_definition_free(definition);
    rb_yaml_free(root);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs),
        cmocka_unit_test(definitions),
        cmocka_unit_test(requests),
        cmocka_unit_test(folders),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
