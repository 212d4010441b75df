/* Mistakes in settings: each is told with its place, wherever it was made. */
#include "settings_load.h"

static void check_errors(const char *text, const char *const *expected) {
    struct rb_settings *settings = load(text, NULL, NULL, NULL);
    assert_null(settings);
    size_t i = 0;
    for (; expected[i] && i < errors.count; i++) {
        char said[1024];
        const struct rb_error *e = &errors.kept[i];
        assert_string_equal(e->file, file);
        snprintf(said, sizeof said, "%d:%d: %s", e->line, e->column, e->text);
        if (strncmp(said, expected[i], strlen(expected[i])) != 0)
            fail_msg("\"%s\" instead of \"%s\"", said, expected[i]);
    }
    assert_null(expected[i]);
    assert_int_equal(errors.count, i);
}

static void mistakes_in_the_file_have_their_place(void **state) {
    (void)state;
    static const char *const expected[] = {
        "1:14: redis.url: expected redis://[[user]:password@]host[:port][/db] or "
        "unix:///path, got \"\"",
        "1:54: redis.connect_timeout: expected a duration from 10ms to 1m, e.g. 2s, got "
        "\"5\"",
        "3:3: unknown key \"worker.leese\"; did you mean \"worker.lease\"?",
        "4:10: worker.lease: expected a duration from 1s to 1h, e.g. 10s, got \"5\"",
        "5:15: worker.queues: expected a queue name of 1 to 64 characters out of",
        "6:10: worker.claim: expected lease or blpop, got \"leas\"",
        "7:20: worker.network.deny: expected loopback, private,",
        "7:29: unknown key \"worker.network.denny\"; did you mean "
        "\"worker.network.deny\"?",
        "8:14: worker.processes: expected auto or a number from 1 to 256, e.g. 1, got "
        "\"0\"",
        "9:12: worker.services: expected a folder, got nothing",
        "10:12: worker.metrics: expected an address to listen on: host:port, [v6]:port, "
        "*:port or unix:/path, or nothing, got \"9401\"",
        "12:25: notifier.listen: expected an address",
        "13:14: notifier.max_queue: expected a size from 1KiB to 1GiB, e.g. 1MiB, got "
        "\"1\"",
        "14:9: notifier.echo: expected true or false, got \"maybe\"",
        "15:9: notifier.auth: expected a mapping, got a string",
        "16:1: unknown key \"lisen\"; did you mean \"notifier.listen\"?",
        "17:1: unknown key \"worker.lease\"; write its section as a mapping, without the "
        "dot",
        "18:1: unknown key \"foo\"; known are: redis, channels, worker, notifier, log",
        "19:11: channels: expected a mapping, got a list",
        NULL};
    check_errors("redis: {url: '', job_prefix: 'a',   connect_timeout: 5}\n"
                 "worker:\n"
                 "  leese: 5s\n"
                 "  lease: '5'\n"
                 "  queues: [a, b c, a]\n"
                 "  claim: leas\n"
                 "  network: {deny: [privat], denny: []}\n"
                 "  processes: 0\n"
                 "  services:\n"
                 "  metrics: 9401\n"
                 "notifier:\n"
                 "  listen: [127.0.0.1:1, x]\n"
                 "  max_queue: 1\n"
                 "  echo: maybe\n"
                 "  auth: token\n"
                 "lisen: foo\n"
                 "worker.lease: 4s\n"
                 "foo: 1\n"
                 "channels: [1]\n",
                 expected);
}

static void wrong_shapes_are_refused(void **state) {
    (void)state;
    check_errors(
        "worker: {queues: []}",
        (const char *const[]){"1:18: worker.queues: expected 1 to 64 of: a queue "
                              "name of 1 to 64 characters out of A-Z a-z 0-9 _ . "
                              ": @ = ~ -; got 0",
                              NULL});
    check_errors(
        "worker: {queues: [a, b, a]}",
        (const char *const[]){"1:25: worker.queues: \"a\" is listed twice", NULL});
    check_errors(
        "worker: {queues: {a: 1}}",
        (const char *const[]){"1:18: worker.queues: expected a list, each item a "
                              "queue name",
                              NULL});
    check_errors(
        "worker: {queues: [[a]]}",
        (const char *const[]){"1:19: worker.queues: expected a queue name", NULL});
    check_errors(
        "worker: {queues: [~]}",
        (const char *const[]){"1:19: worker.queues: expected a queue name", NULL});
    check_errors(
        "worker: {lease: [10s]}",
        (const char *const[]){"1:17: worker.lease: expected a duration from 1s to "
                              "1h, e.g. 10s, got a list",
                              NULL});
    check_errors(
        "worker: {queues: 'a,b'}",
        (const char *const[]){"1:18: worker.queues: expected a queue name", NULL});
    check_errors("[worker]",
                 (const char *const[]){"1:1: expected a mapping, got a list", NULL});
    check_errors("worker: {lease: 10s, lease: 11s}",
                 (const char *const[]){"1:22: duplicate key \"lease\"", NULL});
    check_errors("redis: {url: \"a\\0b\"}",
                 (const char *const[]){"1:14: redis.url: expected ", NULL});
    check_errors("worker: {services: \"a\\nb\"}",
                 (const char *const[]){"1:20: worker.services: expected a folder, got "
                                       "\"a\\nb\"",
                                       NULL});
    check_errors("notifier: {auth: {mode: closed}}",
                 (const char *const[]){"1:25: notifier.auth.mode: expected open", NULL});
    check_errors(
        "notifier: {session_cookie: 'a b', echo: 1}",
        (const char *const[]){"1:28: notifier.session_cookie: expected the name of "
                              "a cookie, or nothing, got \"a b\"",
                              "1:41: notifier.echo: expected true or false", NULL});
}

static void weights_are_as_many_as_queues(void **state) {
    (void)state;
    static const char *const two[] = {"RINGBACK_WORKER_QUEUES=a,b", NULL};
    static const char text[] = "worker:\n  weights: [2, 1]\n";
    static const char *const expected[] = {
        "2:12: worker.weights: expected one for each of worker.queues", NULL};
    check_errors(text, expected);
    struct rb_settings *settings = load(text, two, NULL, NULL);
    assert_non_null(settings);
    rb_settings_free(settings);
    assert_null(load(text, two, "worker.weights", "1,2,3"));
    assert_string_equal(errors.kept[0].file, "--set");
    static const char *const strict[] = {"2:12: worker.weights: blpop takes", NULL};
    check_errors("worker:\n  weights: [1]\n  claim: blpop\n", strict);
}

static void mistakes_in_the_environment_name_the_variable(void **state) {
    (void)state;
    static const char *const environment[] = {
        "RINGBACK_WORKER_LEASE=soon", "RINGBACK_WORKER_LEESE=5s",
        "RINGBACK_NOTIFIER_SOMETHING=1",
        "RINGBACK_REDIS_URL=", "RINGBACK_WORKER_QUEUES=", "RINGBACK_LOG_LEVEL",
        /* None of ours, or not meant for us: */
        "RINGBACK_DEMO=1", "RINGBACK_=1", "RINGBACK_WORKERS_X=1",
        "RINGBACK_WORKER_PORT=tcp://10.0.0.1:9401", "RINGBACK_WORKER_PORT_9401_TCP=x",
        "RINGBACK_WORKER_SERVICE_HOST=10.0.0.1", "RINGBACK_WORKER_SERVICE_PORT_METRICS=1",
        "ringback_worker_lease=1", NULL};
    assert_null(load("", environment, NULL, NULL));
    assert_int_equal(errors.count, 5);
    assert_string_equal(errors.kept[0].file, "RINGBACK_WORKER_LEASE");
    assert_string_equal(errors.kept[0].text,
                        "worker.lease: expected a duration from 1s to 1h, e.g. 10s, got "
                        "\"soon\"");
    assert_string_equal(errors.kept[1].file, "RINGBACK_WORKER_LEESE");
    assert_string_equal(errors.kept[1].text,
                        "no such setting; did you mean RINGBACK_WORKER_LEASE?");
    assert_string_equal(errors.kept[2].text, "no such setting; see --help-settings");
    assert_string_equal(errors.kept[3].file, "RINGBACK_REDIS_URL");
    assert_string_equal(errors.kept[4].file, "RINGBACK_WORKER_QUEUES");
}

static void mistakes_on_the_command_line(void **state) {
    (void)state;
    assert_null(load("", NULL, "worker.leese", "5s"));
    assert_string_equal(errors.kept[0].file, "--set");
    assert_string_equal(errors.kept[0].text,
                        "unknown key \"worker.leese\"; did you mean \"worker.lease\"?");
    assert_null(load("", NULL, "max_queue", "5s"));
    assert_string_equal(
        errors.kept[0].text,
        "unknown key \"max_queue\"; did you mean \"notifier.max_queue\"?");
    assert_null(load("", NULL, "worker", "5s"));
    assert_string_equal(errors.kept[0].text,
                        "unknown key \"worker\"; see --help-settings");
    assert_null(load("", NULL, "", ""));
    assert_null(load("", NULL, "worker.queues", "a,b,a"));
    assert_string_equal(errors.kept[0].text, "worker.queues: \"a\" is listed twice");
}

static void long_input_is_bounded(void **state) {
    (void)state;
    static char text[70000];
    memset(text, 'k', sizeof text - 1);
    memcpy(text + 1000, ": 1\n", 5);
    assert_null(load(text, NULL, NULL, NULL));
    assert_non_null(strstr(errors.kept[0].text, "unknown key \"kkk"));

    memset(text, ',', sizeof text - 1);
    assert_null(load("", NULL, "worker.queues", text));
    for (size_t i = 0; i + 1 < sizeof text; i += 2)
        text[i] = 'a';
    assert_null(load("", NULL, "notifier.origins", text));
    memset(text, 'q', sizeof text - 1);
    assert_null(load("", NULL, "worker.lease", text));
    assert_true(strlen(errors.kept[0].text) < 200);
}

static void unreadable_file_is_no_default(void **state) {
    (void)state;
    struct rb_settings *s = NULL;
    errors.count = 0;
    assert_int_equal(rb_settings_load("/nonexistent/r.yaml", NULL, 0, NULL, &s, &errors),
                     RB_SYSTEM);
    assert_null(s);
    assert_int_equal(errors.count, 1);
    assert_string_equal(errors.kept[0].file, "/nonexistent/r.yaml");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_in_the_file_have_their_place),
        cmocka_unit_test(wrong_shapes_are_refused),
        cmocka_unit_test(weights_are_as_many_as_queues),
        cmocka_unit_test(mistakes_in_the_environment_name_the_variable),
        cmocka_unit_test(mistakes_on_the_command_line),
        cmocka_unit_test(long_input_is_bounded),
        cmocka_unit_test(unreadable_file_is_no_default),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
