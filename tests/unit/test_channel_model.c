/* The channel core against a model of Redis: events are published, trimmed and expired,
 * links break, answers and messages arrive late and in every order, subscribers come with
 * and without cursors, are slow and leave; and each must have heard every event once and
 * in order, or have been told the gap. Seeded, so that a failure can be run again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/buffer.h"
#include "jobs/event.h"
#include "notifier/channel.h"

#define CHANNEL RB_TEXT("order:1")
#define EVENTS 400
#define SUBSCRIBERS 24
#define LOG 1200
#define QUEUE 4096

struct entry {
    struct rb_stream_id id, prev;
    bool has_prev;
};

enum wire { WIRE_CONFIRM, WIRE_MESSAGE, WIRE_RAW };

struct item {
    enum wire wire;
    size_t event; /* index into the history */
};

struct subscriber {
    struct rb_subscription subscription;
    bool in_use, full;
    struct rb_cursor since;
    size_t born; /* how many events were published when it came */
    size_t count;
    struct {
        enum rb_delivery_kind kind;
        struct rb_stream_id id;
    } log[LOG];
};

/* A request is executed at one time, answered at another. */
struct command {
    struct rb_group *group;
    struct rb_reading reading;
    bool executed;
    struct rb_entry *entries;
    struct rb_page page;
};

static struct world {
    uint64_t random;
    struct entry history[EVENTS];
    size_t published;
    size_t kept_from; /* the stream holds history[kept_from … published) */
    bool meta;        /* the hash with the last id is there */
    struct item wire[QUEUE];
    size_t wire_first, wire_count;
    size_t asked; /* SUBSCRIBEs on their way */
    bool link_up, subscribed;
    struct command commands[QUEUE];
    size_t command_first, command_executed, command_count;
    struct subscriber subscribers[SUBSCRIBERS];
    struct rb_channels *channels;
    int64_t now;
    bool lost;    /* once: an event that somebody may not have heard */
    bool expired; /* once: nobody may know where the stream had been */
    bool closing; /* the last event is published */
    bool foreign; /* others write entries, without telling prev or without PUBLISH */
} w;

static unsigned below(unsigned n) {
    w.random = w.random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(w.random >> 33) % n;
}

static void on_subscribe(void *ctx, struct rb_text channel) {
    (void)ctx;
    assert_true(rb_text_equal(channel, CHANNEL));
    assert_true(w.link_up);
    w.asked++;
}

static void on_unsubscribe(void *ctx, struct rb_text channel) {
    (void)ctx;
    (void)channel;
    assert_true(w.link_up);
    w.subscribed = false;
}

static enum rb_status on_read(void *ctx, const struct rb_reading *reading,
                              struct rb_group *group) {
    (void)ctx;
    assert_true(w.command_count < QUEUE);
    w.commands[w.command_count++] = (struct command){.group = group, .reading = *reading};
    return RB_OK;
}

static struct subscriber *of(const struct rb_subscription *subscription) {
    return subscription->owner;
}

static void on_deliver(struct rb_subscription *subscription,
                       struct rb_delivery *delivery) {
    struct subscriber *s = of(subscription);
    assert_true(s->count < LOG);
    s->log[s->count].kind = delivery->kind;
    s->log[s->count++].id = delivery->id;
}

static bool on_full(const struct rb_subscription *subscription) {
    return of(subscription)->full;
}

static void on_failed(struct rb_subscription *subscription) {
    (void)subscription;
    fail_msg("no memory?");
}

static const struct rb_sink sink = {
    .deliver = on_deliver, .full = on_full, .failed = on_failed};

static void publish(void) {
    if (w.published == EVENTS - (w.closing ? 0u : 1u))
        return;
    struct entry *entry = &w.history[w.published];
    entry->id = (struct rb_stream_id){1000 + w.published / 3, w.published % 3 + 1};
    entry->has_prev = w.closing || !w.foreign || below(4) > 0;
    entry->prev = (struct rb_stream_id){0};
    if (w.published > 0 && w.meta)
        entry->prev = w.history[w.published - 1].id;
    w.meta = true;
    w.published++;
    bool told = w.closing || !w.foreign || below(2);
    if (w.subscribed && told && w.wire_count < QUEUE)
        w.wire[w.wire_count++] = (struct item){WIRE_MESSAGE, w.published - 1};
}

static void trim(void) {
    size_t kept = w.published - w.kept_from;
    w.lost = true;
    if (kept > 0)
        w.kept_from += below((unsigned)kept + 1);
}

static void expire(void) {
    w.kept_from = w.published;
    w.expired = w.lost = true;
    if (below(2))
        w.meta = false;
}

static void confirm(void) {
    if (w.asked == 0 || !w.link_up)
        return;
    w.asked--;
    w.subscribed = true;
    w.wire[w.wire_count++] = (struct item){WIRE_CONFIRM, 0};
}

static void hear(void) {
    if (w.wire_first == w.wire_count)
        return;
    struct item item = w.wire[w.wire_first++];
    if (item.wire == WIRE_CONFIRM) {
        rb_channel_confirmed(w.channels, CHANNEL);
        return;
    }
    const struct entry *entry = &w.history[item.event];
    struct rb_buffer payload;
    char prev[RB_STREAM_ID_MAX + 1], id[RB_STREAM_ID_MAX + 1];
    rb_buffer_init(&payload, 1000);
    rb_stream_id_write(entry->has_prev ? entry->prev : entry->id, prev);
    rb_stream_id_write(entry->id, id);
    rb_buffer_printf(&payload, "%s %s {\"channel\":\"order:1\",\"event\":\"tick\"}", prev,
                     id);
    rb_channel_message(w.channels, CHANNEL, rb_buffer_view(&payload));
    rb_buffer_fini(&payload);
}

static void execute(void) {
    if (w.command_executed == w.command_count)
        return;
    struct command *command = &w.commands[w.command_executed++];
    const struct rb_reading *reading = &command->reading;
    size_t n = 0;
    command->executed = true;
    command->entries = calloc(reading->count, sizeof *command->entries);
    assert_non_null(command->entries);
    for (size_t i = w.kept_from; i < w.published && n < reading->count; i++) {
        const struct entry *entry = &w.history[i];
        int order = rb_stream_id_compare(entry->id, reading->from);
        if (order < 0 || (order == 0 && !reading->inclusive))
            continue;
        command->entries[n++] =
            (struct rb_entry){.id = entry->id,
                              .has_prev = entry->has_prev,
                              .prev = entry->prev,
                              .has_json = true,
                              .json = RB_TEXT("{\"channel\":\"order:1\",\"event\":1}")};
    }
    command->page = (struct rb_page){
        .entries = command->entries, .count = n, .more = n == reading->count};
    if (n == 0 && reading->verify && w.meta && w.published > 0) {
        command->page.last_known = true;
        command->page.last = w.history[w.published - 1].id;
    }
}

static void answer(void) {
    if (w.command_first == w.command_executed)
        return;
    struct command *command = &w.commands[w.command_first++];
    rb_channel_page(command->group, &command->page);
    free(command->entries);
}

/* Some were executed and their answers lost: all the same. */
static void break_commands(void) {
    struct rb_page failed = {.status = RB_UNAVAILABLE};
    while (w.command_first < w.command_count) {
        struct command *command = &w.commands[w.command_first++];
        free(command->entries);
        rb_channel_page(command->group, &failed);
    }
    w.command_executed = w.command_count;
    rb_channels_retry(w.channels);
}

static void break_subscriber(void) {
    if (!w.link_up)
        return;
    w.link_up = w.subscribed = false;
    w.wire_first = w.wire_count = w.asked = 0;
    rb_channels_down(w.channels);
}

static void mend(void) {
    if (w.link_up)
        return;
    w.link_up = true;
    rb_channels_resubscribe(w.channels, below(2) ? 0 : 100);
    rb_channels_resubscribe(w.channels, 100);
}

static void come(void) {
    struct subscriber *s = &w.subscribers[below(SUBSCRIBERS)];
    if (s->in_use)
        return;
    memset(s, 0, sizeof *s);
    s->in_use = true;
    s->born = w.published;
    s->subscription.sink = &sink;
    s->subscription.owner = s;
    if (w.published > 0 && below(3) > 0) {
        unsigned back = below(below(2) ? 3 : (unsigned)w.published);
        size_t at = w.published - 1 - (back < w.published ? back : 0);
        s->since = (struct rb_cursor){true, w.history[at].id};
    }
    assert_int_equal(
        rb_channel_subscribe(w.channels, CHANNEL, s->since, &s->subscription), RB_OK);
}

static size_t index_behind(struct rb_stream_id id) {
    size_t i = 0;
    while (i < w.published && rb_stream_id_compare(w.history[i].id, id) <= 0)
        i++;
    return i;
}

/* Walks what it heard: nothing twice, nothing skipped in silence. */
static struct rb_stream_id check(const struct subscriber *s, bool *anything) {
    struct rb_stream_id at = s->since.id;
    bool set = s->since.given;
    for (size_t i = 0; i < s->count; i++) {
        struct rb_stream_id id = s->log[i].id;
        size_t next = set ? index_behind(at) : 0;
        if (s->log[i].kind == RB_DELIVERY_GAP) {
            assert_true(w.lost); /* nothing is missing: no false alarm */
            assert_true(rb_stream_id_compare(id, at) >= 0 || w.foreign || w.expired);
        } else {
            assert_true(!set || rb_stream_id_compare(id, at) > 0);
            if (set && !w.foreign) /* theirs don't tell what was before them */
                assert_memory_equal(&w.history[next].id, &id, sizeof id);
        }
        at = id;
        set = !rb_stream_id_is_zero(id); /* a gap whose end nobody knows any more */
    }
    *anything = set;
    return at;
}

static void leave(void) {
    struct subscriber *s = &w.subscribers[below(SUBSCRIBERS)];
    bool anything;
    if (!s->in_use)
        return;
    s->in_use = false;
    rb_channel_unsubscribe(&s->subscription);
    check(s, &anything);
}

static void be_slow(void) {
    struct subscriber *s = &w.subscribers[below(SUBSCRIBERS)];
    if (!s->in_use)
        return;
    s->full = !s->full;
    if (!s->full)
        rb_channel_resume(&s->subscription);
}

/* The last message is told, so that entries that were not are found. */
static void settle_all(void) {
    mend();
    confirm();
    w.closing = true;
    publish();
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 5000; i++) {
            confirm();
            hear();
            execute();
            answer();
        }
        for (int i = 0; i < SUBSCRIBERS; i++) {
            w.subscribers[i].full = false;
            if (w.subscribers[i].in_use)
                rb_channel_resume(&w.subscribers[i].subscription);
        }
    }
}

/* When all is quiet everybody stands at the end and hears live. */
static void check_all(void) {
    for (int i = 0; i < SUBSCRIBERS; i++) {
        struct subscriber *s = &w.subscribers[i];
        bool anything;
        if (!s->in_use)
            continue;
        struct rb_stream_id at = check(s, &anything);
        assert_true(rb_subscription_live(&s->subscription));
        if (anything && !w.foreign)
            assert_int_equal(index_behind(at), w.published);
        else if (!anything && s->born < w.published && w.kept_from <= s->born)
            fail_msg("an event was not heard");
        struct rb_cursor cursor = rb_subscription_cursor(&s->subscription);
        if (anything)
            assert_true(rb_stream_id_compare(cursor.id, at) >= 0);
    }
}

static void run(uint64_t seed, bool foreign) {
    static void (*const steps[])(void) = {publish, publish, publish, publish, hear,
                                          hear,    hear,    execute, execute, execute,
                                          answer,  answer,  answer,  confirm, confirm,
                                          come,    come,    come,    leave,   be_slow};
    struct rb_channel_feed feed = {
        .subscribe = on_subscribe, .unsubscribe = on_unsubscribe, .read = on_read};
    struct rb_channels_limits limits = {.page_max = 3 + (unsigned)(seed % 7),
                                        .page_bytes = 400,
                                        .recent_events = 2 + (unsigned)(seed % 9),
                                        .recent_bytes = 10000,
                                        .recent_total_bytes = 10000,
                                        .max_message = 1000,
                                        .linger_ms = 50};
    memset(&w, 0, sizeof w);
    w.random = seed * 2654435761u + 1;
    w.foreign = foreign;
    w.channels = rb_channels_new(&feed, &limits, (uint64_t[2]){seed, 7});
    assert_non_null(w.channels);
    for (int i = 0; i < 1500; i++) {
        unsigned dice = below(200);
        if (dice == 0)
            break_subscriber();
        else if (dice == 1)
            break_commands();
        else if (dice == 2 && seed % 3 > 0)
            trim();
        else if (dice == 3 && seed % 3 > 1)
            expire();
        else if (dice < 10)
            mend();
        else
            steps[below(sizeof steps / sizeof steps[0])]();
        w.now += below(5);
        rb_channels_turn(w.channels, w.now, 1700000000000);
        if (w.command_count > QUEUE - 100 || w.wire_count > QUEUE - 100)
            break;
    }
    settle_all();
    check_all();
    for (int i = 0; i < SUBSCRIBERS; i++)
        if (w.subscribers[i].in_use)
            rb_channel_unsubscribe(&w.subscribers[i].subscription);
    assert_int_equal(rb_channels_subscriptions(w.channels), 0);
    for (int i = 0; i < 10; i++)
        rb_channels_turn(w.channels, w.now += 50, 1700000000000);
    assert_int_equal(rb_channels_count(w.channels), 0);
    rb_channels_free(w.channels);
}

static void every_order(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 1500; seed++) {
        w.random = seed;
        run(seed, false);
    }
}

static void with_foreign_entries(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++)
        run(seed, true);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_order),
                                       cmocka_unit_test(with_foreign_entries)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
