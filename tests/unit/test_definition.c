/* Definitions: defaults, every section, every mistake at its place and in one pass. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "definitions.h"

#define BASE "service: test\nrequest: {url: \"http://x\"}\n"

static void defaults(void **state) {
    (void)state;
    struct rb_definition *d = definition_of(BASE);
    assert_string_equal(d->service, "test");
    assert_string_equal(d->file, "services/test.yaml");
    assert_null(d->description);
    assert_null(d->channel);
    assert_int_equal(d->timeout.connect, 5000);
    assert_int_equal(d->timeout.per_try, 30000);
    assert_int_equal(d->timeout.total, 60000);
    assert_int_equal(d->result.max_bytes, 256 * 1024);
    assert_null(d->result.select);
    for (int i = -1; i < 700; i++)
        assert_int_equal(rb_definition_success(d, i), i >= 200 && i < 300);
    assert_true(!d->progress.started && d->progress.retrying && d->progress.partial);
    assert_null(d->network.allow);
    assert_null(d->network.deny);
    rb_definition_free(d);
    rb_definition_free(NULL);
}

static void timeouts(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t connect, per_try, total;
    } cases[] = {
        {"{connect: 1s, per_try: 2s, total: 3s}", 1000, 2000, 3000},
        {"{total: 10s}", 5000, 10000, 10000},
        {"{total: 2s}", 2000, 2000, 2000},
        {"{per_try: 2m}", 5000, 120000, 120000},
        {"{per_try: 1s}", 1000, 1000, 60000},
        {"{connect: 10s}", 10000, 30000, 60000},
        {"{}", 5000, 30000, 60000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[200];
        snprintf(text, sizeof text, BASE "timeout: %s\n", cases[i].text);
        struct rb_definition *d = definition_of(text);
        assert_int_equal(d->timeout.connect, cases[i].connect);
        assert_int_equal(d->timeout.per_try, cases[i].per_try);
        assert_int_equal(d->timeout.total, cases[i].total);
        rb_definition_free(d);
    }
    assert_mistakes(BASE "timeout: {per_try: 20s, total: 10s}\n",
                    "3:20: per_try must not be above total (10000ms)\n");
    assert_mistakes(BASE "timeout: {connect: 20s, total: 10s}\n",
                    "3:20: connect must not be above per_try (10000ms)\n");
    assert_mistakes(BASE "timeout: {conect: 20s}\n",
                    "3:11: unknown key \"conect\"; did you mean \"connect\"?\n");
    assert_mistakes(BASE "timeout: 5s\n", "3:10: expected a mapping, got a string\n");
    assert_mistakes(
        BASE "timeout: {connect: 5, total: 2d}\n",
        "3:20: expected a duration from 1ms to 1d (a number with ms, s, m, h or "
        "d), got \"5\"\n"
        "3:30: expected a duration from 1ms to 1d (a number with ms, s, m, h or "
        "d), got \"2d\"\n");
}

static void results(void **state) {
    (void)state;
    struct rb_definition *d =
        definition_of(BASE "result: {success: [201, 4xx], max_bytes: 1KiB}\n");
    assert_false(rb_definition_success(d, 200));
    assert_true(rb_definition_success(d, 201));
    assert_false(rb_definition_success(d, 399));
    assert_true(rb_definition_success(d, 400));
    assert_true(rb_definition_success(d, 499));
    assert_false(rb_definition_success(d, 500));
    assert_int_equal(d->result.max_bytes, 1024);
    rb_definition_free(d);
    d = definition_of(BASE "result: {success: 2xx, select: /a/0}\n");
    assert_true(rb_definition_success(d, 299));
    assert_int_equal(d->result.select_count, 1);
    assert_null(d->result.select[0].name);
    assert_string_equal(d->result.select[0].pointer, "/a/0");
    rb_definition_free(d);
    d = definition_of(BASE "result: {select: {b: /a, a: \"\"}}\n");
    assert_int_equal(d->result.select_count, 2);
    assert_string_equal(d->result.select[0].name, "b");
    assert_string_equal(d->result.select[1].pointer, "");
    rb_definition_free(d);

    assert_mistakes(
        BASE "result: {success: [99, 600, 2x, ok], select: a, max_bytes: 1GiB}\n",
        "3:20: expected an HTTP status from 200 to 599 or a class like 2xx, got "
        "\"99\"\n"
        "3:24: expected an HTTP status from 200 to 599 or a class like 2xx, got "
        "\"600\"\n"
        "3:29: expected an HTTP status from 200 to 599 or a class like 2xx, got "
        "\"2x\"\n"
        "3:33: expected an HTTP status from 200 to 599 or a class like 2xx, got "
        "\"ok\"\n"
        "3:46: expected a JSON Pointer like /data/quote or /items/0, got \"a\"\n"
        "3:60: expected a size from 1 to 16MiB (bytes, or with KiB, MiB), got "
        "\"1GiB\"\n");
    assert_mistakes(
        BASE "result: {success: [], select: [/a]}\n",
        "3:19: expected at least one status\n"
        "3:31: expected a JSON Pointer, or a mapping of names to JSON Pointers\n");
    assert_mistakes(
        BASE "result: {select: {a: /x, b: {c: /y}, d: \"/~\"}}\n",
        "3:29: expected a string, got a mapping\n"
        "3:41: expected a JSON Pointer like /data/quote or /items/0, got \"/~\"\n");
}

static void progress(void **state) {
    (void)state;
    struct rb_definition *d = definition_of(BASE "progress: [started]\n");
    assert_true(d->progress.started && !d->progress.retrying && !d->progress.partial);
    rb_definition_free(d);
    d = definition_of(BASE "progress: []\n");
    assert_true(!d->progress.started && !d->progress.retrying && !d->progress.partial);
    rb_definition_free(d);
    assert_mistakes(
        BASE "progress: [startd, 1]\n",
        "3:12: expected started, retrying or partial, got \"startd\"; did you "
        "mean \"started\"?\n"
        "3:20: expected started, retrying or partial, got \"1\"\n");
}

static void network(void **state) {
    (void)state;
    struct rb_definition *d =
        definition_of(BASE "network: {deny: [private], allow: 10.2.0.0/16}\n");
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(0x0a020001)}};
    assert_true(
        rb_network_allows(d->network.allow, d->network.deny, (struct sockaddr *)&in));
    in.sin_addr.s_addr = htonl(0x0a030001);
    assert_false(
        rb_network_allows(d->network.allow, d->network.deny, (struct sockaddr *)&in));
    rb_definition_free(d);
    assert_mistakes(BASE "network: {deny: [privat, 10.0.0.1/8], alow: []}\n",
                    "3:39: unknown key \"alow\"; did you mean \"allow\"?\n"
                    "3:18: \"privat\" is no address, prefix or word (loopback, private, "
                    "link-local, metadata, public); did you mean \"private\"?\n"
                    "3:26: \"10.0.0.1/8\" has bits set behind its prefix\n");
}

static void names(void **state) {
    (void)state;
    assert_mistakes("", "1:1: \"service\" is missing\n1:1: \"request\" is missing\n");
    assert_mistakes("- a\n", "1:1: expected a mapping, got a list\n");
    assert_mistakes("service: other\nrequest: {url: \"http://x\"}\n",
                    "1:10: expected \"test\", which the file is called, got \"other\"\n");
    assert_mistakes(
        "service: Te st\nrequest: {url: \"http://x\"}\n",
        "1:10: \"Te st\" can't name a service: expected a-z, 0-9, _ and -, not "
        "_ or - in front, 64 at most\n");
    assert_mistakes("service: [test]\nrequest: {url: \"http://x\"}\n",
                    "1:10: expected a string, got a list\n");
    assert_mistakes(BASE "descripton: x\ntimeuot: 1\n",
                    "3:1: unknown key \"descripton\"; did you mean \"description\"?\n"
                    "4:1: unknown key \"timeuot\"; did you mean \"timeout\"?\n");
}

static struct rb_buffer out;

static enum rb_status channel_of(const char *text, const char *params,
                                 struct rb_error *error) {
    struct rb_definition *d = definition_of(text);
    json_t *given = json_of(params), *checked = NULL;
    struct rb_job job = {.id = (char *)(uintptr_t) "j-1", .params = given};
    assert_int_equal(rb_definition_check(d, &job, &checked, error), RB_OK);
    rb_buffer_clear(&out);
    rb_buffer_string(&out, "<");
    enum rb_status status = rb_definition_channel(d, &job, checked, &out, error);
    json_decref(checked);
    json_decref(given);
    rb_definition_free(d);
    return status;
}

static void channels(void **state) {
    (void)state;
    struct rb_error error;
    rb_buffer_init(&out, 4096);
    static const char quote[] = BASE "params: {s: {}}\nchannel: quote:${s}\n";
    assert_int_equal(channel_of(quote, "{\"s\":\"A/B\"}", &error), RB_OK);
    assert_string_equal(out.at, "<quote:A=2FB");
    assert_int_equal(
        channel_of(BASE "channel: \"${job.service}:${job.id}\"\n", "{}", &error), RB_OK);
    assert_string_equal(out.at, "<test:j-1");
    assert_int_equal(channel_of(BASE, "{}", &error), RB_NOT_FOUND);
    assert_string_equal(error.text, "the job names no channel, and neither does test");
    assert_int_equal(channel_of(BASE "params: {s: {}}\nchannel: ${s}\n", "{}", &error),
                     RB_INVALID);
    assert_string_equal(error.text, "the channel's name would be empty");
    char longest[200] = "{\"s\":\"";
    memset(longest + 6, 'x', 122);
    memcpy(longest + 6 + 122, "\"}", 3);
    assert_int_equal(channel_of(quote, longest, &error), RB_OK);
    memcpy(longest + 6 + 122, "x\"}", 4);
    assert_int_equal(channel_of(quote, longest, &error), RB_INVALID);
    assert_string_equal(error.text,
                        "the channel's name would be longer than 128 characters");
    rb_buffer_fini(&out);

    assert_mistakes(
        BASE "channel: \"a/${x}\"\nsecrets: {k: {env: RB_TEST_SET}}\n",
        "3:12: \"/\" must not stand in a channel's name; legal are A-Z a-z 0-9 "
        "_ . : @ = ~ -\n"
        "3:13: no parameter \"x\": none is defined\n");
    assert_mistakes(BASE "channel: ''\n", "3:10: expected 1 to 128 characters, got 0\n");
    assert_mistakes(BASE "channel: '@session'\n",
                    "3:10: @me and @session stand for a visitor's own channel: name that "
                    "one.\n");
    assert_mistakes(BASE "channel: ${secret.k}\nsecrets: {k: {env: RB_TEST_SET}}\n",
                    "3:10: a secret must not stand here\n");
}

static void checks_params(void **state) {
    (void)state;
    struct rb_definition *d = definition_of(BASE "params: {s: {required: true}}\n");
    json_t *given = json_of("{}"), *checked;
    struct rb_job job = {.params = given};
    struct rb_error error;
    assert_int_equal(rb_definition_check(d, &job, &checked, &error), RB_INVALID);
    assert_string_equal(error.text, "\"s\" is required: a string");
    json_decref(given);
    rb_definition_free(d);
}

#define SECRET(source) BASE "secrets: {k: " source "}\n"

static void assert_secret(const char *text, const char *expected) {
    struct rb_definition *d = definition_of(text);
    assert_string_equal(json_string_value(json_object_get(d->secrets, "k")), expected);
    rb_definition_free(d);
}

static void secrets_of_env(void **state) {
    (void)state;
    assert_secret(SECRET("{env: RB_TEST_SET}"), "hush hush");
    assert_mistakes(SECRET("{env: RB_TEST_UNSET}"),
                    "3:20: the environment variable RB_TEST_UNSET is not set\n");
    assert_mistakes(SECRET("{env: RB_TEST_EMPTY}"), "3:20: the secret is empty\n");
    assert_mistakes(SECRET("{env: RB_TEST_LINES}"),
                    "3:20: the secret holds a control character or a line end\n");
    assert_mistakes(SECRET("{env: RB_TEST_BYTES}"), "3:20: the secret is not UTF-8\n");
    assert_mistakes(SECRET("hush"), "3:14: expected a mapping, got a string\n");
    assert_mistakes(SECRET("{}"), "3:14: expected one of env, file and credential\n");
    assert_mistakes(SECRET("{env: A, file: b}"),
                    "3:14: expected one of env, file and credential\n");
    assert_mistakes(SECRET("{evn: A}"),
                    "3:15: unknown key \"evn\"; did you mean \"env\"?\n"
                    "3:14: expected one of env, file and credential\n");
    assert_mistakes(
        BASE "secrets: {a.b: {env: RB_TEST_SET}}\n",
        "3:11: \"a.b\" can't name a secret: expected a letter or _, then letters, "
        "digits, _ or -, 64 at most\n");
}

static void secrets_of_files(void **state) {
    (void)state;
    char folder[] = "/tmp/rb-secret-XXXXXX", path[64], text[200];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/key", folder);
    static const struct {
        const char *content, *value;
    } cases[] = {
        {"hush", "hush"}, {"hush\n", "hush"}, {"hush\r\n", "hush"}, {" hush ", " hush "}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        FILE *file = fopen(path, "w");
        fputs(cases[i].content, file);
        fclose(file);
        snprintf(text, sizeof text, SECRET("{file: %s}"), path);
        assert_secret(text, cases[i].value);
        setenv("CREDENTIALS_DIRECTORY", folder, 1);
        assert_secret(SECRET("{credential: key}"), cases[i].value);
        unsetenv("CREDENTIALS_DIRECTORY");
    }
    FILE *file = fopen(path, "w");
    fputs("\n", file);
    fclose(file);
    struct rb_errors errors;
    assert_null(compile_definition(text, &errors));
    assert_string_equal(errors.kept[0].text, "the secret is empty");
    file = fopen(path, "w");
    for (int i = 0; i <= 64 * 1024; i++)
        fputc('x', file);
    fclose(file);
    assert_null(compile_definition(text, &errors));
    assert_non_null(strstr(errors.kept[0].text, "too large"));
    unlink(path);
    assert_null(compile_definition(text, &errors));
    assert_non_null(strstr(errors.kept[0].text, "can't be read: No such file"));
    rmdir(folder);

    /* Beside the definition, which stands in services/ here. */
    assert_mistakes(SECRET("{file: missing}"),
                    "3:21: services/missing can't be read: No such file or directory\n");
    assert_mistakes(SECRET("{file: \"\"}"), "3:21: expected the path of a file\n");
    assert_mistakes(
        SECRET("{credential: key}"),
        "3:27: CREDENTIALS_DIRECTORY is not set: systemd sets it where the unit "
        "has LoadCredential=key:…\n");
    assert_mistakes(SECRET("{credential: ../key}"),
                    "3:27: expected the name of a credential, got \"../key\"\n");
}

/* No message holds a value. */
static void secrets_stay_secret(void **state) {
    (void)state;
    struct rb_errors errors;
    assert_null(compile_definition(SECRET("{env: RB_TEST_LINES}"), &errors));
    for (size_t i = 0; i < errors.count; i++)
        assert_null(strstr(errors.kept[i].text, "hush"));
}

static void many_mistakes(void **state) {
    (void)state;
    assert_mistakes(
        "service: test\n"
        "params:\n"
        "  symbol: {type: strng}\n"
        "request:\n"
        "  url: https://x/${symbl}\n"
        "  headers: {Host: a}\n"
        "timeout: {total: never}\n"
        "progres: []\n",
        "8:1: unknown key \"progres\"; did you mean \"progress\"?\n"
        "3:18: expected string, integer, number, boolean, array or object, got "
        "\"strng\"; did you mean \"string\"?\n"
        "5:18: no parameter \"symbl\"; did you mean \"symbol\"?\n"
        "6:13: Host is written by ringback itself: drop it\n"
        "7:18: expected a duration from 1ms to 1d (a number with ms, s, m, h or "
        "d), got \"never\"\n");
}

static int setup(void **state) {
    (void)state;
    setenv("RB_TEST_SET", "hush hush", 1);
    setenv("RB_TEST_EMPTY", "", 1);
    setenv("RB_TEST_LINES", "hush\nhush", 1);
    setenv("RB_TEST_BYTES", "hush\xff", 1);
    unsetenv("RB_TEST_UNSET");
    unsetenv("CREDENTIALS_DIRECTORY");
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(timeouts),
        cmocka_unit_test(results),
        cmocka_unit_test(progress),
        cmocka_unit_test(network),
        cmocka_unit_test(names),
        cmocka_unit_test(channels),
        cmocka_unit_test(checks_params),
        cmocka_unit_test(secrets_of_env),
        cmocka_unit_test(secrets_of_files),
        cmocka_unit_test(secrets_stay_secret),
        cmocka_unit_test(many_mistakes),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
