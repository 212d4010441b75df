/* Settings: defaults, file, environment, command line; each mistake with its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "config/settings.h"
#include "config/settings_table.h"
#include "config/yaml.h"

static struct rb_errors errors;
static char folder[] = "/tmp/test_settings_XXXXXX";
static char file[64];

static int make_folder(void **state) {
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(file, sizeof file, "%s/r.yaml", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    unlink(file);
    return rmdir(folder);
}

static void write_file(const char *text) {
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* From text, environment and one override; NULL and errors filled when it is refused. */
static struct rb_settings *load(const char *text, const char *const *environment,
                                const char *key, const char *value) {
    struct rb_settings *settings = NULL;
    const struct rb_override override = {key, value};
    errors.count = 0;
    if (text)
        write_file(text);
    enum rb_status status = rb_settings_load(text ? file : NULL, &override, key != NULL,
                                             environment, &settings, &errors);
    assert_true((status == RB_OK) == (errors.count == 0));
    assert_true((status == RB_OK) == (settings != NULL));
    return settings;
}

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

static void check_list(const struct rb_list *list, const char *joined) {
    struct rb_text rest = rb_text_of(joined), part;
    for (size_t i = 0; i < list->count; i++) {
        assert_true(rb_text_next(&rest, ' ', &part));
        assert_true(rb_text_is(part, list->items[i]));
    }
    assert_int_equal(rest.len, 0);
}

static void defaults_are_those_of_the_design(void **state) {
    (void)state;
    struct rb_settings *s = load("", NULL, NULL, NULL);
    assert_string_equal(s->file, file);
    assert_string_equal(s->redis.url, "redis://127.0.0.1:6379/0");
    assert_string_equal(s->redis.job_prefix, "ringback");
    assert_string_equal(s->redis.channel_prefix, "ringback:ch");
    assert_int_equal(s->redis.connect_timeout, 2000);
    assert_int_equal(s->redis.command_timeout, 5000);
    assert_int_equal(s->channels.max_events, 100);
    assert_int_equal(s->channels.ttl, 600000);
    check_list(&s->worker.queues, "default");
    assert_int_equal(s->worker.claim, RB_CLAIM_LEASE);
    assert_int_equal(s->worker.lease, 10000);
    assert_int_equal(s->worker.max_in_flight, 1000);
    assert_int_equal(s->worker.processes, 1);
    assert_int_equal(s->worker.drain_timeout, 25000);
    assert_int_equal(s->worker.max_deliveries, 3);
    check_list(&s->worker.network_deny, "link-local metadata");
    check_list(&s->worker.network_allow, "");
    assert_string_equal(s->worker.metrics, "127.0.0.1:9401");
    check_list(&s->notifier.listen, "127.0.0.1:8080");
    check_list(&s->notifier.admin, "127.0.0.1:8081");
    assert_int_equal(s->notifier.processes, RB_PROCESSES_AUTO);
    assert_int_equal(s->notifier.poll_timeout, 25000);
    assert_int_equal(s->notifier.ping_interval, 25000);
    assert_int_equal(s->notifier.max_connections, 100000);
    assert_int_equal(s->notifier.max_connections_per_address, 0);
    assert_int_equal(s->notifier.max_queue, 1 << 20);
    assert_int_equal(s->notifier.max_message, 1 << 20);
    assert_int_equal(s->notifier.head_timeout, 10000);
    assert_int_equal(s->notifier.drain_timeout, 25000);
    assert_int_equal(s->notifier.auth_mode, RB_AUTH_OPEN);
    check_list(&s->notifier.origins, "*");
    assert_string_equal(s->notifier.session_cookie, "");
    assert_false(s->notifier.echo);
    assert_int_equal(s->log.level, RB_LOG_INFO);
    assert_int_equal(s->log.format, RB_LOG_TEXT);
    rb_settings_free(s);
    rb_settings_free(NULL);
}

/* The folder that this file was compiled from, and the path behind it. */
static void source_path(char *out, size_t size, const char *path) {
    const char *end = strstr(__FILE__, "tests/unit/");
    assert_non_null(end);
    snprintf(out, size, "%.*s%s", (int)(end - __FILE__), __FILE__, path);
}

static const struct rb_yaml *by_path(const struct rb_yaml *node, const char *path) {
    struct rb_text rest = rb_text_of(path), part;
    while (node && rb_text_next(&rest, '.', &part)) {
        char key[64];
        snprintf(key, sizeof key, RB_TEXT_FMT, RB_TEXT_ARG(part));
        node = rb_yaml_get(node, key);
    }
    return node;
}

static void example_has_every_key_with_its_default(void **state) {
    (void)state;
    char example[512], services[600];
    source_path(example, sizeof example, "config/ringback.yaml");
    struct rb_settings *s, *defaults = load("", NULL, NULL, NULL);
    struct rb_yaml *root;
    assert_int_equal(rb_settings_load(example, NULL, 0, NULL, &s, &errors), RB_OK);
    assert_int_equal(rb_yaml_load(example, &root, &errors), RB_OK);
    for (size_t i = 0; i < rb_settings_count; i++) {
        const struct rb_setting *setting = &rb_settings_table[i];
        if (!by_path(root, setting->key))
            fail_msg("%s is missing", setting->key);
        if (strcmp(setting->key, "worker.services") != 0 &&
            !rb_setting_same(setting, s, defaults))
            fail_msg("%s differs from its default", setting->key);
    }
    source_path(services, sizeof services, "config/../jobs/services");
    assert_string_equal(s->worker.services, services);
    rb_yaml_free(root);
    rb_settings_free(s);
    rb_settings_free(defaults);
}

static void file_is_read(void **state) {
    (void)state;
    struct rb_settings *s = load("redis: {url: unix:///r.sock, job_prefix: '{rb}:x'}\n"
                                 "worker:\n"
                                 "  queues: [a, 'b:c']\n"
                                 "  claim: blpop\n"
                                 "  processes: auto\n"
                                 "  network: {deny: [], allow: 10.0.0.0/8}\n"
                                 "  metrics: ''\n"
                                 "notifier:\n"
                                 "  listen: \"127.0.0.1:1\"\n"
                                 "  admin: []\n"
                                 "  max_queue: 64kB\n"
                                 "  echo: yes\n"
                                 "  auth: {mode: open}\n"
                                 "  session_cookie: PHPSESSID\n"
                                 "channels:\n"
                                 "log: {level: debug, format: json}\n",
                                 NULL, NULL, NULL);
    assert_string_equal(s->redis.url, "unix:///r.sock");
    assert_string_equal(s->redis.job_prefix, "{rb}:x");
    check_list(&s->worker.queues, "a b:c");
    assert_int_equal(s->worker.claim, RB_CLAIM_BLPOP);
    assert_int_equal(s->worker.processes, RB_PROCESSES_AUTO);
    check_list(&s->worker.network_deny, "");
    check_list(&s->worker.network_allow, "10.0.0.0/8");
    assert_string_equal(s->worker.metrics, "");
    check_list(&s->notifier.listen, "127.0.0.1:1");
    check_list(&s->notifier.admin, "");
    assert_int_equal(s->notifier.max_queue, 64000);
    assert_true(s->notifier.echo);
    assert_string_equal(s->notifier.session_cookie, "PHPSESSID");
    assert_int_equal(s->log.level, RB_LOG_DEBUG);
    assert_int_equal(s->log.format, RB_LOG_JSON);
    rb_settings_free(s);
}

static void last_word_wins(void **state) {
    (void)state;
    static const char *const environment[] = {
        "PATH=/bin",
        "RINGBACK_WORKER_LEASE=3s",
        "RINGBACK_WORKER_QUEUES=x, y",
        "RINGBACK_NOTIFIER_LISTEN=unix:/a,127.0.0.1:0",
        "RINGBACK_NOTIFIER_AUTH_MODE=open",
        "RINGBACK_WORKER_NETWORK_ALLOW=",
        NULL};
    const char *text = "worker: {lease: 2s, max_in_flight: 5, queues: [z]}\n";
    struct rb_settings *s = load(text, environment, NULL, NULL);
    assert_int_equal(s->worker.lease, 3000);
    assert_int_equal(s->worker.max_in_flight, 5);
    check_list(&s->worker.queues, "x y");
    check_list(&s->notifier.listen, "unix:/a 127.0.0.1:0");
    rb_settings_free(s);
    s = load(text, environment, "worker.lease", "4s");
    assert_int_equal(s->worker.lease, 4000);
    rb_settings_free(s);
    s = load(text, environment, "worker.queues", "q");
    check_list(&s->worker.queues, "q");
    rb_settings_free(s);
}

static void services_start_where_they_were_written(void **state) {
    (void)state;
    static const char *const environment[] = {"RINGBACK_WORKER_SERVICES=from/env", NULL};
    char expected[128];
    struct rb_settings *s = load("worker: {services: ../s}", NULL, NULL, NULL);
    snprintf(expected, sizeof expected, "%s/../s", folder);
    assert_string_equal(s->worker.services, expected);
    rb_settings_free(s);
    s = load("worker: {services: /abs}", NULL, NULL, NULL);
    assert_string_equal(s->worker.services, "/abs");
    rb_settings_free(s);
    s = load("log: {}", NULL, NULL, NULL);
    snprintf(expected, sizeof expected, "%s/services", folder);
    assert_string_equal(s->worker.services, expected);
    rb_settings_free(s);
    s = load("worker: {services: ../s}", environment, NULL, NULL);
    assert_string_equal(s->worker.services, "from/env");
    rb_settings_free(s);
    s = load("log: {}", environment, "worker.services", "rel");
    assert_string_equal(s->worker.services, "rel");
    rb_settings_free(s);
    if (access("/etc/ringback/ringback.yaml", F_OK) != 0) {
        s = load(NULL, NULL, NULL, NULL);
        assert_null(s->file);
        assert_string_equal(s->worker.services, "/etc/ringback/services");
        rb_settings_free(s);
    }
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

static void prefixes(void **state) {
    (void)state;
    static const char *const right[] = {"a", "{ringback}", "a:{b}:c", "x-1_~!", NULL};
    static const char *const wrong[] = {"",         "a b",    "{a",   "a}",
                                        "{}",       "{a}{b}", "}a{",  "{{a}}",
                                        "\xc3\xa9", "a\x7f",  "a\tb", NULL};
    for (size_t i = 0; right[i]; i++) {
        struct rb_settings *s = load("", NULL, "redis.channel_prefix", right[i]);
        assert_non_null(s);
        rb_settings_free(s);
    }
    for (size_t i = 0; wrong[i]; i++)
        if (load("", NULL, "redis.job_prefix", wrong[i]))
            fail_msg("\"%s\" should be refused", wrong[i]);
    char longest[130];
    memset(longest, 'a', sizeof longest);
    longest[128] = '\0';
    struct rb_settings *s = load("", NULL, "redis.job_prefix", longest);
    assert_non_null(s);
    rb_settings_free(s);
    longest[128] = 'a';
    longest[129] = '\0';
    assert_null(load("", NULL, "redis.job_prefix", longest));
}

static void networks(void **state) {
    (void)state;
    struct rb_settings *s =
        load("", NULL, "worker.network.deny",
             "loopback,private,link-local,metadata,public,10.2.0.0/16,"
             "192.0.2.7,::1,fc00::/7");
    assert_non_null(s);
    assert_int_equal(s->worker.network_deny.count, 9);
    rb_settings_free(s);
    assert_null(load("", NULL, "worker.network.allow", "privat"));
    assert_null(load("", NULL, "worker.network.allow", "10.0.0.0/33"));
    assert_null(load("", NULL, "worker.network.allow", "10.0.0.1/8"));
}

static void each_range_holds_at_both_ends(void **state) {
    (void)state;
    static const char *const units[] = {[RB_SETTING_INTEGER] = "",
                                        [RB_SETTING_DURATION] = "ms",
                                        [RB_SETTING_BYTES] = "",
                                        [RB_SETTING_PROCESSES] = ""};
    int checked = 0;
    for (size_t i = 0; i < rb_settings_count; i++) {
        const struct rb_setting *setting = &rb_settings_table[i];
        if (setting->type < RB_SETTING_INTEGER || setting->type > RB_SETTING_PROCESSES)
            continue;
        for (int k = 0; k < 4; k++) {
            int64_t value = k < 2 ? setting->min - k : setting->max + (k - 2);
            char text[64];
            snprintf(text, sizeof text, "%lld%s", (long long)value, units[setting->type]);
            struct rb_settings *s = load("", NULL, setting->key, text);
            if ((s != NULL) != (k % 2 == 0))
                fail_msg("%s=%s should be %s", setting->key, text,
                         s ? "refused" : "accepted");
            rb_settings_free(s);
        }
        checked++;
    }
    assert_true(checked >= 18);
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

#define KEYS_BYTES 1000

static void collect(void *ctx, const char *key) {
    char *keys = ctx;
    size_t len = strlen(keys);
    snprintf(keys + len, KEYS_BYTES - len, "%s ", key);
}

static void fixed_changes_are_named(void **state) {
    (void)state;
    char keys[KEYS_BYTES] = "";
    struct rb_settings *old = load("", NULL, NULL, NULL);
    struct rb_settings *new = load("redis: {url: 'redis://x'}\n"
                                   "worker: {lease: 11s, queues: [b], max_in_flight: 3}\n"
                                   "notifier: {listen: ['127.0.0.1:9'], echo: true, "
                                   "origins: []}\n"
                                   "log: {level: debug}\n",
                                   NULL, NULL, NULL);
    rb_settings_fixed_changes(old, new, collect, keys);
    assert_string_equal(keys, "redis.url worker.queues worker.lease notifier.listen ");
    keys[0] = '\0';
    rb_settings_fixed_changes(new, new, collect, keys);
    assert_string_equal(keys, "");
    rb_settings_free(old);
    rb_settings_free(new);
}

static char *read_whole(FILE *f) {
    static char out[65536];
    rewind(f);
    size_t len = fread(out, 1, sizeof out - 1, f);
    assert_true(len < sizeof out - 1);
    out[len] = '\0';
    return out;
}

static void readme_has_the_reference(void **state) {
    (void)state;
    char path[512];
    static char readme[65536];
    source_path(path, sizeof path, "config/README.md");
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    snprintf(readme, sizeof readme, "%s", read_whole(f));
    fclose(f);
    char *from = strstr(readme, "<!-- settings: made by `ringback-worker "
                                "--help-settings=markdown` -->\n\n");
    assert_non_null(from);
    from = strstr(from, "\n\n") + 2;
    char *to = strstr(from, "\n<!-- end of settings -->");
    assert_non_null(to);
    *to = '\0';

    f = tmpfile();
    assert_non_null(f);
    rb_settings_print_reference(f, true);
    if (strcmp(from, read_whole(f)) != 0)
        fail_msg("config/README.md is behind: put the output of ringback-worker "
                 "--help-settings=markdown between its marks");
    fclose(f);
}

static void plain_reference_names_all(void **state) {
    (void)state;
    FILE *f = tmpfile();
    assert_non_null(f);
    rb_settings_print_reference(f, false);
    const char *text = read_whole(f);
    for (size_t i = 0; i < rb_settings_count; i++) {
        char variable[RB_SETTING_VARIABLE];
        rb_setting_variable(&rb_settings_table[i], variable);
        assert_non_null(strstr(text, rb_settings_table[i].key));
        assert_non_null(strstr(text, variable));
        assert_true(strlen(variable) < RB_SETTING_VARIABLE - 1);
    }
    for (const char *l = text; (l = strchr(l, '\n')); l++)
        assert_true(strcspn(l + 1, "\n") <= 80 || l[1] != ' ');
    fclose(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_the_design),
        cmocka_unit_test(example_has_every_key_with_its_default),
        cmocka_unit_test(file_is_read),
        cmocka_unit_test(last_word_wins),
        cmocka_unit_test(services_start_where_they_were_written),
        cmocka_unit_test(mistakes_in_the_file_have_their_place),
        cmocka_unit_test(wrong_shapes_are_refused),
        cmocka_unit_test(weights_are_as_many_as_queues),
        cmocka_unit_test(prefixes),
        cmocka_unit_test(networks),
        cmocka_unit_test(each_range_holds_at_both_ends),
        cmocka_unit_test(mistakes_in_the_environment_name_the_variable),
        cmocka_unit_test(mistakes_on_the_command_line),
        cmocka_unit_test(long_input_is_bounded),
        cmocka_unit_test(unreadable_file_is_no_default),
        cmocka_unit_test(fixed_changes_are_named),
        cmocka_unit_test(readme_has_the_reference),
        cmocka_unit_test(plain_reference_names_all),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
