/* Publishing against a real redis-server: the chain of ids, the terminal marker, what
 * expires and what stays, with scripts and without. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/log.h"
#include "jobs/publish.h"
#include "jobs/subscriber.h"
#include "server.h"

#define STREAM "ringback:ch:{c}"
#define META "ringback:ch:{c}:meta"

struct result {
    enum rb_status status;
    bool duplicate;
    int64_t receivers;
    char id[RB_STREAM_ID_MAX + 1];
    char error[128];
};

struct bench {
    struct ev_loop *loop;
    struct server server;
    struct rb_redis_address address;
    struct rb_link *link;
    struct rb_subscriber *subscriber;
    struct rb_channel_policy policy;
    bool up, subscribed;
    int results_count, heard_count, asked;
    struct result results[20000];
    char heard[16][256];
};

static void on_state(void *ctx, bool up) {
    struct bench *b = ctx;
    b->up = up;
}

static void on_subscriber_state(void *ctx, bool up) {
    struct bench *b = ctx;
    if (up)
        rb_subscriber_subscribe(b->subscriber, RB_TEXT(STREAM));
}

static void on_subscribed(void *ctx, struct rb_text name) {
    struct bench *b = ctx;
    (void)name;
    b->subscribed = true;
}

static void on_message(void *ctx, struct rb_text name, struct rb_text payload) {
    struct bench *b = ctx;
    assert_true(rb_text_is(name, STREAM));
    snprintf(b->heard[b->heard_count++ % 16], 256, RB_TEXT_FMT, RB_TEXT_ARG(payload));
}

static int set_up(void **state) {
    struct bench *b = calloc(1, sizeof *b);
    b->loop = ev_loop_new(EVFLAG_AUTO);
    server_start(&b->server, NULL);
    server_address(&b->server, &b->address);
    b->policy =
        (struct rb_channel_policy){.keys = {RB_TEXT("ringback"), RB_TEXT("ringback:ch")},
                                   .max_events = 100,
                                   .ttl_ms = 600000,
                                   .scripts = true};
    const struct rb_link_options options = {.address = &b->address,
                                            .name = "test",
                                            .connect_timeout_ms = 2000,
                                            .command_timeout_ms = 5000,
                                            .on_state = on_state,
                                            .ctx = b};
    b->link = rb_link_new(b->loop, &options);
    run_until(b->loop, &b->up);
    *state = b;
    return 0;
}

static int set_up_plain(void **state) {
    set_up(state);
    struct bench *b = *state;
    b->policy.scripts = false;
    /* Without scripts means without: the server refuses them here. */
    server_do(&b->server, "ACL SETUSER default -@scripting");
    return 0;
}

static int tear_down(void **state) {
    struct bench *b = *state;
    rb_link_free(b->link);
    rb_subscriber_free(b->subscriber);
    server_end(&b->server);
    rb_redis_address_fini(&b->address);
    ev_loop_destroy(b->loop);
    free(b);
    return 0;
}

static void listen_to_channel(struct bench *b) {
    const struct rb_subscriber_options options = {.address = &b->address,
                                                  .name = "test",
                                                  .connect_timeout_ms = 2000,
                                                  .probe_ms = 10000};
    const struct rb_subscriber_events events = {.on_state = on_subscriber_state,
                                                .on_subscribed = on_subscribed,
                                                .on_message = on_message};
    b->subscriber = rb_subscriber_new(b->loop, &options, &events, b);
    run_until(b->loop, &b->subscribed);
}

static void on_published(void *ctx, const struct rb_published *published) {
    struct bench *b = ctx;
    struct result *r = &b->results[b->results_count++];
    r->status = published->status;
    r->duplicate = published->duplicate;
    r->receivers = published->receivers;
    rb_stream_id_write(published->id, r->id);
    snprintf(r->error, sizeof r->error, "%s", published->error);
}

static void send(struct bench *b, const char *job, bool terminal, const char *event) {
    const struct rb_publication publication = {.channel = RB_TEXT("c"),
                                               .job = rb_text_of(job),
                                               .terminal = terminal,
                                               .event = rb_text_of(event)};
    b->asked++;
    rb_publish(b->link, &b->policy, &publication, on_published, b);
}

static const struct result *publish(struct bench *b, const char *job, bool terminal,
                                    const char *event) {
    send(b, job, terminal, event);
    run_until_count(b->loop, &b->results_count, b->asked);
    return &b->results[b->results_count - 1];
}

/* The i-th entry's id, event and previous id, separated by spaces. */
static const char *entry(struct bench *b, size_t i) {
    static char text[512];
    redisReply *all = server_ask(&b->server, "XRANGE " STREAM " - +");
    assert_true(i < all->elements);
    const redisReply *e = all->element[i], *fields = e->element[1];
    assert_string_equal(fields->element[0]->str, "e");
    snprintf(text, sizeof text, "%s %s %s", e->element[0]->str, fields->element[1]->str,
             fields->elements == 4 ? fields->element[3]->str : "none");
    freeReplyObject(all);
    return text;
}

static const char *format(const char *text, ...) RB_PRINTF(1, 2);
static const char *format(const char *text, ...) {
    static char out[512];
    va_list args;
    va_start(args, text);
    vsnprintf(out, sizeof out, text, args);
    va_end(args);
    return out;
}

static void test_a_chain(void **state) {
    struct bench *b = *state;
    listen_to_channel(b);
    const struct result *first = publish(b, "j", false, "{\"n\":1}");
    assert_int_equal(first->status, RB_OK);
    assert_int_equal(first->receivers, 1);
    assert_string_equal(entry(b, 0), format("%s {\"n\":1} 0-0", first->id));
    const struct result *second = publish(b, "", false, "{\"n\":2}");
    assert_string_equal(entry(b, 1), format("%s {\"n\":2} %s", second->id, first->id));
    run_until_count(b->loop, &b->heard_count, 2);
    assert_string_equal(b->heard[0], format("0-0 %s {\"n\":1}", first->id));
    assert_string_equal(b->heard[1], format("%s %s {\"n\":2}", first->id, second->id));
    assert_string_equal(server_text(&b->server, "HGET " META " last"), second->id);
    assert_int_equal(server_number(&b->server, "HEXISTS " META " terminal"), 0);
}

static void test_one_terminal_event_a_job(void **state) {
    struct bench *b = *state;
    publish(b, "j", false, "{\"started\":1}");
    const struct result *done = publish(b, "j", true, "{\"done\":1}");
    assert_false(done->duplicate);
    const struct result *again = publish(b, "j", true, "{\"done\":2}");
    assert_int_equal(again->status, RB_OK);
    assert_true(again->duplicate);
    assert_string_equal(again->id, done->id);
    assert_int_equal(again->receivers, 0);
    /* Nothing of that job follows it, but other jobs' events do. */
    assert_true(publish(b, "j", false, "{\"late\":1}")->duplicate);
    assert_false(publish(b, "k", true, "{\"other\":1}")->duplicate);
    assert_false(publish(b, "", true, "{\"mine\":1}")->duplicate);
    assert_false(publish(b, "", true, "{\"mine\":1}")->duplicate);
    assert_int_equal(server_number(&b->server, "XLEN " STREAM), 5);
    assert_string_equal(server_text(&b->server, "HGET " META " t:j"), done->id);
    assert_string_equal(server_text(&b->server, "HGET " META " terminal"),
                        b->results[b->results_count - 1].id);
    if (b->policy.scripts) {
        server_do(&b->server, "DEL " STREAM);
        assert_true(publish(b, "j", true, "{\"done\":3}")->duplicate);
    }
}

static void publish_once(struct bench *b, const char *once, const char *event) {
    const struct rb_publication publication = {.channel = RB_TEXT("c"),
                                               .event = rb_text_of(event),
                                               .once = rb_text_of(once),
                                               .once_ms = 60000};
    b->asked++;
    rb_publish(b->link, &b->policy, &publication, on_published, b);
    run_until_count(b->loop, &b->results_count, b->asked);
}

static void test_once_is_once(void **state) {
    struct bench *b = *state;
    publish_once(b, "a", "{\"n\":1}");
    publish_once(b, "b", "{\"n\":2}");
    publish_once(b, "a", "{\"n\":1}");
    assert_int_equal(server_number(&b->server, "XLEN " STREAM), 2);
    assert_false(b->results[0].duplicate);
    assert_false(b->results[1].duplicate);
    assert_true(b->results[2].duplicate);
    assert_string_equal(b->results[2].id, b->results[0].id);
    int64_t left_ms = server_number(&b->server, "PTTL " STREAM ":once:a");
    assert_in_range(left_ms, 1, 60000);
    assert_int_equal(server_number(&b->server, "DEL " STREAM ":once:a"), 1);
    publish_once(b, "a", "{\"n\":1}");
    assert_false(b->results[3].duplicate);
}

static void test_what_is_kept_and_for_how_long(void **state) {
    struct bench *b = *state;
    b->policy.max_events = 3;
    b->policy.ttl_ms = 60000;
    for (int i = 0; i < 5; i++)
        publish(b, "", false, format("{\"n\":%d}", i));
    assert_int_equal(server_number(&b->server, "XLEN " STREAM), 3);
    if (b->policy.scripts)
        assert_string_equal(
            entry(b, 0), format("%s {\"n\":2} %s", b->results[2].id, b->results[1].id));
    assert_in_range(server_number(&b->server, "PTTL " STREAM), 50000, 60000);
    assert_in_range(server_number(&b->server, "PTTL " META), 650000, 660000);
    b->policy.ttl_ms = 3600000;
    publish(b, "", false, "{}");
    assert_in_range(server_number(&b->server, "PTTL " STREAM), 3590000, 3600000);
    assert_in_range(server_number(&b->server, "PTTL " META), 7190000, 7200000);
}

static void test_the_chain_outlives_the_stream(void **state) {
    struct bench *b = *state;
    const struct result *old = publish(b, "", false, "{}");
    server_do(&b->server, "DEL " STREAM);
    const struct result *new = publish(b, "", false, "{}");
    assert_string_equal(entry(b, 0), format("%s {} %s", new->id, old->id));
}

static void test_ids_never_go_back(void **state) {
    struct bench *b = *state;
    server_do(&b->server, "HSET " META " last 9999999999999-7");
    const struct result *r = publish(b, "", false, "{\"n\":1}");
    assert_string_equal(r->id, "9999999999999-8");
    assert_string_equal(entry(b, 0), "9999999999999-8 {\"n\":1} 9999999999999-7");
    assert_int_equal(server_number(&b->server, "XLEN " STREAM), 1);
    r = publish(b, "", false, "{\"n\":2}");
    assert_string_equal(r->id, "9999999999999-9");
}

static void test_a_lost_meta_hash(void **state) {
    struct bench *b = *state;
    const struct result *old = publish(b, "", false, "{}");
    server_do(&b->server, "DEL " META);
    const struct result *new = publish(b, "", false, "{}");
    assert_string_equal(entry(b, 1), format("%s {} %s", new->id, old->id));
}

static void test_old_markers_are_swept(void **state) {
    struct bench *b = *state;
    long long now_ms =
        server_number(&b->server, "EVAL %s 0", "return redis.call('TIME')[1] * 1000");
    server_do(&b->server, "EVAL %s 1 " META " %lld",
              "for i = 1, 1500 do redis.call('HSET', KEYS[1], 't:old' .. i, "
              "string.format('%.0f-0', ARGV[1] - 2000000), 't:new' .. i, "
              "string.format('%.0f-0', ARGV[1] - 1000)) end",
              now_ms);
    for (int i = 0; i < 2000; i++)
        send(b, format("j%d", i), true, "{}");
    run_until_count(b->loop, &b->results_count, b->asked);
    /* Live 20 minutes, older than that: gone; all others stay. */
    assert_int_equal(server_number(&b->server, "EVAL %s 1 " META,
                                   "local n = 0 for i = 1, 1500 do n = n + "
                                   "redis.call('HEXISTS', KEYS[1], 't:old' .. i) end "
                                   "return n"),
                     0);
    assert_int_equal(server_number(&b->server, "HEXISTS " META " t:new1"), 1);
    assert_int_equal(server_number(&b->server, "HEXISTS " META " t:new1500"), 1);
    assert_int_equal(server_number(&b->server, "HEXISTS " META " t:j0"), 1);
    assert_string_equal(server_text(&b->server, "HGET " META " last"),
                        b->results[b->results_count - 1].id);
}

static void test_markers_are_bounded_whatever_comes(void **state) {
    struct bench *b = *state;
    long long now_ms =
        server_number(&b->server, "EVAL %s 0", "return redis.call('TIME')[1] * 1000");
    server_do(&b->server, "EVAL %s 1 " META " %lld",
              "for i = 1, 100100 do redis.call('HSET', KEYS[1], 't:new' .. i, "
              "string.format('%.0f-0', ARGV[1] - 100)) end",
              now_ms);
    for (int i = 0; i < 500; i++)
        send(b, format("j%d", i), true, "{}");
    run_until_count(b->loop, &b->results_count, b->asked);
    assert_true(server_number(&b->server, "HLEN " META) < 100010);
    assert_true(publish(b, "j499", true, "{}")->duplicate);
}

static void test_scripts_come_and_go(void **state) {
    struct bench *b = *state;
    for (int i = 0; i < 300; i++) {
        if (i % 100 == 50) {
            ev_run(b->loop, EVRUN_NOWAIT);
            server_do(&b->server, "SCRIPT FLUSH");
        }
        send(b, format("j%d", i), true, format("{\"n\":%d}", i));
    }
    run_until_count(b->loop, &b->results_count, 300);
    run_for(b->loop, 20);
    assert_int_equal(b->results_count, 300);
    for (int i = 0; i < 300; i++) {
        assert_int_equal(b->results[i].status, RB_OK);
        assert_false(b->results[i].duplicate);
    }
    assert_int_equal(server_number(&b->server, "XLEN " STREAM), 100);
}

static void test_redis_refuses(void **state) {
    struct bench *b = *state;
    server_do(&b->server, "SET " STREAM " x");
    const struct result *r = publish(b, "j", true, "{}");
    assert_int_equal(r->status, RB_REFUSED);
    assert_non_null(strstr(r->error, "WRONGTYPE"));
    server_do(&b->server, "DEL " STREAM);
    assert_false(publish(b, "j", true, "{}")->duplicate);
    server_kill(&b->server, SIGKILL);
    r = publish(b, "k", true, "{}");
    assert_int_equal(r->status, RB_UNAVAILABLE);
    assert_string_equal(r->error, "");
    server_again(&b->server);
}

static void test_without_scripts_readers_are_sent_to_the_stream(void **state) {
    struct bench *b = *state;
    listen_to_channel(b);
    const struct result *r = publish(b, "j", true, "{\"n\":1}");
    assert_int_equal(r->status, RB_OK);
    assert_int_equal(r->receivers, 1);
    run_until_count(b->loop, &b->heard_count, 1);
    assert_string_equal(b->heard[0], format("%s %s {\"n\":1}", r->id, r->id));
    assert_string_equal(entry(b, 0), format("%s {\"n\":1} none", r->id));
    assert_string_equal(server_text(&b->server, "HGET " META " last"), r->id);
    assert_int_equal(server_number(&b->server, "EXISTS " META), 1);
}

static void test_without_scripts_old_markers_are_swept(void **state) {
    struct bench *b = *state;
    for (int i = 0; i < 1500; i++)
        server_do(&b->server, "HSET " META " t:old%d 1000-0", i);
    for (int i = 0; i < 150; i++)
        publish(b, format("j%d", i), true, "{}");
    run_for(b->loop, 50);
    assert_in_range(server_number(&b->server, "HLEN " META), 153, 1003);
    assert_int_equal(server_number(&b->server, "HEXISTS " META " t:j0"), 1);
}

struct asked {
    bool done;
    enum rb_status status;
    int64_t events, expires_ms;
    char last[RB_STREAM_ID_MAX + 1], event[64];
};

static void on_info(void *ctx, const struct rb_channel_info *info) {
    struct asked *a = ctx;
    assert_false(a->done);
    a->done = true;
    a->status = info->status;
    a->events = info->events;
    a->expires_ms = info->expires_ms;
    rb_stream_id_write(info->last, a->last);
    snprintf(a->event, sizeof a->event, RB_TEXT_FMT, RB_TEXT_ARG(info->event));
}

static struct asked ask(struct bench *b) {
    struct asked a = {0};
    rb_channel_ask(b->link, &b->policy.keys, RB_TEXT("c"), on_info, &a);
    run_until(b->loop, &a.done);
    return a;
}

static void on_forgotten(void *ctx, enum rb_status status,
                         const struct redisReply *reply) {
    assert_int_equal(status, RB_OK);
    *(long long *)ctx = reply->integer;
}

static void test_asking_and_forgetting(void **state) {
    struct bench *b = *state;
    struct asked a = ask(b);
    assert_int_equal(a.status, RB_OK);
    assert_int_equal(a.events + a.expires_ms, 0);
    assert_string_equal(a.last, "0-0");
    assert_string_equal(a.event, "");

    publish(b, "", false, "{\"n\":1}");
    const struct result *r = publish(b, "j", true, "{\"n\":2}");
    a = ask(b);
    assert_int_equal(a.events, 2);
    assert_in_range(a.expires_ms, 590000, 600000);
    assert_string_equal(a.last, r->id);
    assert_string_equal(a.event, "{\"n\":2}");

    long long forgotten = 0;
    rb_channel_forget(b->link, &b->policy.keys, RB_TEXT("c"), on_forgotten, &forgotten);
    a = ask(b);
    assert_int_equal(forgotten, 1);
    assert_int_equal(a.events, 0);
    assert_string_equal(a.event, "");
    assert_string_equal(a.last, r->id);

    server_do(&b->server, "SET " STREAM " x");
    assert_int_equal(ask(b).status, RB_REFUSED);
}

#define WITH(how, test) cmocka_unit_test_setup_teardown(test, how, tear_down)
#define BOTH(test) WITH(set_up, test), WITH(set_up_plain, test)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH(set_up, test_a_chain),
        BOTH(test_one_terminal_event_a_job),
        WITH(set_up, test_once_is_once),
        BOTH(test_what_is_kept_and_for_how_long),
        WITH(set_up, test_the_chain_outlives_the_stream),
        WITH(set_up, test_ids_never_go_back),
        WITH(set_up, test_a_lost_meta_hash),
        WITH(set_up, test_old_markers_are_swept),
        WITH(set_up, test_markers_are_bounded_whatever_comes),
        WITH(set_up, test_scripts_come_and_go),
        BOTH(test_redis_refuses),
        WITH(set_up_plain, test_without_scripts_readers_are_sent_to_the_stream),
        WITH(set_up_plain, test_without_scripts_old_markers_are_swept),
        BOTH(test_asking_and_forgetting),
    };
    rb_log_setup("test", RB_LOG_ERROR, RB_LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
