/* Settings: defaults, file, environment, command line, and which of them counts. */
#include "settings_load.h"

#include "config/settings_table.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_the_design),
        cmocka_unit_test(file_is_read),
        cmocka_unit_test(last_word_wins),
        cmocka_unit_test(services_start_where_they_were_written),
        cmocka_unit_test(prefixes),
        cmocka_unit_test(networks),
        cmocka_unit_test(each_range_holds_at_both_ends),
        cmocka_unit_test(fixed_changes_are_named),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
