/* The channel core, case by case: gaps and how they are told, the end that was heard
 * before, raw messages, coming back, slow members, letting channels go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/buffer.h"
#include "notifier/channel.h"

#define NAME RB_TEXT("c")
#define DONE "{\"channel\":\"c\",\"event\":\"done\",\"data\":1}"
#define TICK "{\"channel\":\"c\",\"event\":\"tick\",\"data\":1}"

/* What Redis was asked, and what subscribers heard, one word each. */
static struct rb_buffer asked;
static struct rb_group *readings[8]; /* not answered yet */
static size_t reading_count;
static struct rb_channels *channels;
static enum rb_status read_status;

struct listener {
    struct rb_subscription subscription;
    struct rb_buffer heard;
    bool full, leaves;
};

static void on_subscribe(void *ctx, struct rb_text channel) {
    (void)ctx;
    rb_buffer_printf(&asked, "sub:%.*s ", (int)channel.len, channel.at);
}

static void on_unsubscribe(void *ctx, struct rb_text channel) {
    (void)ctx;
    rb_buffer_printf(&asked, "unsub:%.*s ", (int)channel.len, channel.at);
}

static enum rb_status on_read(void *ctx, const struct rb_reading *r,
                              struct rb_group *group) {
    (void)ctx;
    char from[RB_STREAM_ID_MAX + 1];
    rb_stream_id_write(r->from, from);
    rb_buffer_printf(&asked, "read%s%s%s:%u ", r->inclusive ? "=" : ">", from,
                     r->verify ? "?" : "", r->count);
    if (read_status == RB_OK)
        readings[reading_count++] = group;
    return read_status;
}

static void on_deliver(struct rb_subscription *s, struct rb_delivery *d) {
    struct listener *l = s->owner;
    char id[RB_STREAM_ID_MAX + 1];
    rb_stream_id_write(d->id, id);
    if (d->kind == RB_DELIVERY_RAW)
        rb_buffer_printf(&l->heard, "raw:%.*s ", (int)d->json.len, d->json.at);
    else
        rb_buffer_printf(&l->heard, "%.*s:%s%s ", (int)d->event.len, d->event.at, id,
                         d->terminal ? "!" : "");
    if (d->kind == RB_DELIVERY_GAP)
        rb_buffer_printf(&l->heard, "%.*s ", (int)d->json.len, d->json.at);
    assert_true(d->kind == RB_DELIVERY_RAW || d->json.at[0] == '{');
    if (l->leaves)
        rb_channel_unsubscribe(s);
}

static void on_verified(struct rb_subscription *s, bool finished) {
    struct listener *l = s->owner;
    rb_buffer_string(&l->heard, finished ? "finished " : "verified ");
    if (finished)
        rb_channel_unsubscribe(s);
}

static void on_live(struct rb_subscription *s) {
    rb_buffer_string(&((struct listener *)s->owner)->heard, "live ");
}

static bool on_full(const struct rb_subscription *s) {
    return ((struct listener *)s->owner)->full;
}

static void on_failed(struct rb_subscription *s) {
    rb_buffer_string(&((struct listener *)s->owner)->heard, "failed ");
}

static const struct rb_sink sink = {.deliver = on_deliver,
                                    .verified = on_verified,
                                    .live = on_live,
                                    .full = on_full,
                                    .failed = on_failed};

static int set_up(void **state) {
    const struct rb_channel_feed feed = {
        .subscribe = on_subscribe, .unsubscribe = on_unsubscribe, .read = on_read};
    const struct rb_channels_limits limits = {.page_max = 100,
                                              .page_bytes = 1000,
                                              .recent_events = 3,
                                              .recent_bytes = 1000,
                                              .recent_total_bytes = 2000,
                                              .max_message = 200,
                                              .linger_ms = 100};
    (void)state;
    rb_buffer_init(&asked, 10000);
    reading_count = 0;
    read_status = RB_OK;
    channels = rb_channels_new(&feed, &limits, (uint64_t[2]){1, 2});
    rb_channels_resubscribe(channels, 0);
    rb_channels_turn(channels, 1000, 1700000000000);
    return channels ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    rb_channels_free(channels);
    rb_buffer_fini(&asked);
    return 0;
}

static struct rb_stream_id id_of(const char *text) {
    struct rb_stream_id id;
    assert_int_equal(rb_stream_id_parse(rb_text_of(text), &id), RB_OK);
    return id;
}

static void come(struct listener *l, const char *since) {
    struct rb_cursor cursor = {0};
    if (since)
        cursor = (struct rb_cursor){true, id_of(since)};
    rb_buffer_init(&l->heard, 10000);
    l->subscription.sink = &sink;
    l->subscription.owner = l;
    assert_int_equal(rb_channel_subscribe(channels, NAME, cursor, &l->subscription),
                     RB_OK);
}

static void leave(struct listener *l) {
    rb_channel_unsubscribe(&l->subscription);
    rb_buffer_fini(&l->heard);
}

#define assert_asked(text) assert_said(&asked, text)
#define assert_heard(l, text) assert_said(&(l)->heard, text)
static void assert_said(struct rb_buffer *said, const char *text) {
    assert_string_equal(said->at ? said->at : "", text);
    rb_buffer_clear(said);
}

static void message(const char *payload) {
    rb_channel_message(channels, NAME, rb_text_of(payload));
}

/* The reading that was asked last. */
static void answer(const struct rb_page *p) {
    assert_true(reading_count > 0);
    rb_channel_page(readings[--reading_count], p);
}

/* "5-0<4-0 6-0! 7-0-": an entry 5-0 that knows 4-0 before it, a terminal one that knows
 * none, one without an event. */
static void page(const char *text, bool more, const char *last) {
    struct rb_entry entries[16] = {0};
    struct rb_page p = {.entries = entries, .more = more};
    struct rb_text rest = rb_text_of(text), word;
    while (rb_text_next(&rest, ' ', &word)) {
        struct rb_entry *e = &entries[p.count++];
        struct rb_text id;
        bool terminal = word.at[word.len - 1] == '!';
        e->has_json = word.at[word.len - 1] != '-';
        e->json = terminal ? RB_TEXT(DONE) : RB_TEXT(TICK);
        word.len -= terminal || !e->has_json;
        assert_true(rb_text_next(&word, '<', &id));
        assert_int_equal(rb_stream_id_parse(id, &e->id), RB_OK);
        e->has_prev = word.len > 0;
        if (e->has_prev)
            assert_int_equal(rb_stream_id_parse(word, &e->prev), RB_OK);
    }
    if (last) {
        p.last_known = true;
        p.last_terminal = strchr(last, '!') != NULL;
        p.last = id_of(p.last_terminal ? "9-0" : last);
    }
    answer(&p);
}

static void confirm(void) { rb_channel_confirmed(channels, NAME); }

/* A first member, at the end of a stream that holds 5-0. */
static void begin(struct listener *l) {
    come(l, NULL);
    confirm();
    page("5-0<0-0", false, NULL);
    assert_heard(l, "verified tick:5-0 live ");
    rb_buffer_clear(&asked);
}

static void the_first_waiter(void **state) {
    struct listener a = {.full = false};
    (void)state;
    come(&a, NULL);
    assert_asked("sub:c ");
    message("5-0 6-0 " TICK); /* of somebody else's subscription: not confirmed yet */
    confirm();
    assert_asked("read=0-0:8 ");
    message("6-0 7-0 " TICK); /* meanwhile */
    message("7-0 8-0 " TICK);
    assert_heard(&a, "verified ");
    page("5-0<0-0 6-0<5-0 7-0<6-0", false, NULL);
    assert_heard(&a, "tick:5-0 tick:6-0 tick:7-0 tick:8-0 live ");
    message("7-0 8-0 " TICK); /* known */
    message("8-0 9-0 " DONE);
    assert_heard(&a, "done:9-0! ");
    assert_asked("");
    assert_int_equal(rb_channels_stats(channels)->duplicates, 1);
    leave(&a);
}

static void long_history_comes_in_pages(void **state) {
    struct listener a = {.full = false};
    (void)state;
    come(&a, NULL);
    confirm();
    page("1-0<0-0 2-0<1-0", true, NULL);
    /* Each weighed a hundred bytes, with what is around it. */
    assert_asked("sub:c read=0-0:8 read>2-0:9 ");
    page("3-0<2-0", false, NULL);
    assert_heard(&a, "verified tick:1-0 tick:2-0 tick:3-0 live ");
    leave(&a);
}

static void a_cursor_that_is_kept(void **state) {
    struct listener a = {.full = false};
    (void)state;
    come(&a, "5-0");
    confirm();
    assert_asked("sub:c read=5-0?:8 ");
    page("5-0<4-0 6-0<5-0", false, NULL);
    assert_heard(&a, "verified tick:6-0 live ");
    leave(&a);
}

static void a_cursor_that_was_trimmed_alone(void **state) {
    struct listener a = {.full = false};
    (void)state;
    come(&a, "5-0");
    confirm();
    page("6-0<5-0", false, NULL);
    assert_heard(&a, "verified tick:6-0 live ");
    leave(&a);
}

static void a_gap_by_trimming(void **state) {
    struct listener a = {.full = false};
    (void)state;
    come(&a, "3-0");
    confirm();
    page("6-0<5-0", false, NULL);
    assert_heard(&a,
                 "verified gap:5-0 {\"id\":\"5-0\",\"channel\":\"c\",\"event\":\"gap\","
                 "\"at\":1700000000000,\"since\":\"3-0\",\"first\":\"6-0\"} "
                 "tick:6-0 live ");
    leave(&a);
    come(&a, "5-0"); /* with the gap's id: not told again */
    page("6-0<5-0", false, NULL);
    assert_heard(&a, "verified tick:6-0 live ");
    leave(&a);
}

static void a_gap_before_a_foreign_entry(void **state) {
    struct listener a = {.full = false};
    (void)state;
    come(&a, "3-0");
    confirm();
    page("6-4 7-0", false, NULL);
    assert_heard(&a,
                 "verified gap:6-3 {\"id\":\"6-3\",\"channel\":\"c\",\"event\":\"gap\","
                 "\"at\":1700000000000,\"since\":\"3-0\",\"first\":\"6-4\"} "
                 "tick:6-4 tick:7-0 live ");
    leave(&a);
}

static void expired_and_nothing_missed(void **state) {
    struct listener a = {.full = false};
    (void)state;
    come(&a, "5-0");
    confirm();
    page("", false, "5-0");
    assert_heard(&a, "verified live ");
    message("5-0 6-0 " TICK);
    assert_heard(&a, "tick:6-0 ");
    leave(&a);
}

static void expired_after_the_end(void **state) {
    struct listener a = {.full = false};
    (void)state;
    come(&a, "9-0");
    confirm();
    page("", false, "9-0!");
    assert_heard(&a, "finished ");
    assert_null(a.subscription.group);
    leave(&a);
}

static void expired_and_missed(void **state) {
    struct listener a = {.full = false};
    (void)state;
    come(&a, "5-0");
    confirm();
    page("", false, "8-0");
    assert_heard(&a,
                 "verified gap:8-0 {\"id\":\"8-0\",\"channel\":\"c\",\"event\":\"gap\","
                 "\"at\":1700000000000,\"since\":\"5-0\",\"first\":null} live ");
    leave(&a);
}

static void a_failover_took_events_back(void **state) {
    struct listener a = {.full = false};
    (void)state;
    come(&a, "9-0");
    confirm();
    page("", false, "8-0");
    assert_heard(&a,
                 "verified gap:8-0 {\"id\":\"8-0\",\"channel\":\"c\",\"event\":\"gap\","
                 "\"at\":1700000000000,\"since\":\"9-0\",\"first\":null} live ");
    message("8-0 8-7 " TICK); /* its ids go back: not old news */
    assert_heard(&a, "tick:8-7 ");
    leave(&a);
}

static void nothing_is_known_any_more(void **state) {
    struct listener a = {.full = false};
    (void)state;
    come(&a, "5-0");
    confirm();
    page("", false, NULL);
    assert_heard(&a,
                 "verified gap:0-0 {\"id\":\"0-0\",\"channel\":\"c\",\"event\":\"gap\","
                 "\"at\":1700000000000,\"since\":\"5-0\",\"first\":null} live ");
    leave(&a);
    come(&a, "0-0"); /* a poll that comes with the gap's id waits, it is not told again */
    assert_heard(&a, "verified live ");
    leave(&a);
}

static void the_end_was_heard_before(void **state) {
    struct listener a = {.full = false}, b = {.full = false};
    (void)state;
    come(&a, "5-0");
    confirm();
    page("5-0<4-0!", false, NULL);
    assert_heard(&a, "finished ");
    leave(&a);
    /* The channel is known still: no reading. */
    begin(&b);
    message("5-0 6-0 " DONE);
    come(&a, "6-0");
    assert_heard(&a, "finished ");
    assert_asked("");
    leave(&a);
    leave(&b);
}

static void a_hole_is_read_in_place(void **state) {
    struct listener a = {.full = false};
    (void)state;
    begin(&a);
    message("7-0 8-0 " TICK);
    assert_asked("read=5-0?:8 ");
    message("8-0 9-0 " TICK);
    assert_heard(&a, "");
    page("5-0<0-0 6-0<5-0 7-0<6-0 8-0<7-0", false, NULL);
    assert_heard(&a, "tick:6-0 tick:7-0 tick:8-0 tick:9-0 live ");
    leave(&a);
}

/* A publisher without scripts does not know what was before. */
static void unlinked_messages_are_read(void **state) {
    struct listener a = {.full = false};
    (void)state;
    begin(&a);
    message("6-0 6-0 " TICK);
    assert_heard(&a, "");
    assert_asked("read=5-0?:8 ");
    page("5-0 6-0", false, NULL);
    assert_heard(&a, "tick:6-0 live ");
    leave(&a);
}

static void a_lost_link(void **state) {
    struct listener a = {.full = false};
    (void)state;
    begin(&a);
    rb_channels_down(channels);
    message("5-0 6-0 " TICK);
    assert_heard(&a, "");
    assert_false(rb_channels_resubscribe(channels, 10));
    assert_asked("sub:c ");
    confirm();
    assert_asked("read=5-0?:8 ");
    page("5-0<0-0 6-0<5-0 7-0<6-0", false, NULL);
    assert_heard(&a, "tick:6-0 tick:7-0 live "); /* verified is told once */
    leave(&a);
}

static void a_page_from_before_the_loss_is_not_used(void **state) {
    struct listener a = {.full = false};
    (void)state;
    come(&a, NULL);
    confirm();
    rb_channels_down(channels);
    rb_channels_resubscribe(channels, 10);
    confirm();
    rb_buffer_clear(&asked);
    page("5-0<0-0", false, NULL);
    assert_heard(&a, "verified ");
    assert_asked("read=0-0:8 ");
    page("5-0<0-0 6-0<5-0", false, NULL);
    assert_heard(&a, "tick:5-0 tick:6-0 live ");
    leave(&a);
}

static void a_reading_that_failed(void **state) {
    struct listener a = {.full = false};
    struct rb_page failed = {.status = RB_REFUSED};
    (void)state;
    come(&a, NULL);
    confirm();
    answer(&failed);
    rb_buffer_clear(&asked);
    read_status = RB_NOMEM;
    rb_channels_retry(channels);
    assert_asked("read=0-0:8 ");
    read_status = RB_OK;
    rb_channels_retry(channels);
    page("5-0<0-0", false, NULL);
    assert_heard(&a, "verified tick:5-0 live ");
    leave(&a);
}

static void raw_messages(void **state) {
    struct listener a = {.full = false}, b = {.full = false};
    char big[300];
    (void)state;
    begin(&a);
    come(&b, "3-0"); /* reads history; what is live is live */
    message("hello");
    message("5-0 hello");
    message("6-0 5-0 " TICK); /* ids that can't be */
    message("");
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    message(big);
    assert_heard(&a, "raw:hello raw:5-0 hello raw:6-0 5-0 " TICK " raw: ");
    assert_heard(&b, "raw:hello raw:5-0 hello raw:6-0 5-0 " TICK " raw: ");
    assert_int_equal(rb_channels_stats(channels)->oversize, 1);
    assert_int_equal(rb_channels_stats(channels)->raw, 4);
    leave(&a);
    leave(&b);
    page("", false, NULL);
}

static void an_event_too_large_is_a_gap(void **state) {
    struct listener a = {.full = false};
    char big[300];
    (void)state;
    begin(&a);
    snprintf(big, sizeof big, "5-0 6-0 {\"data\":\"%0220d\"}", 0);
    message(big);
    assert_heard(&a, "gap:6-0 {\"id\":\"6-0\",\"channel\":\"c\",\"event\":\"gap\","
                     "\"at\":1700000000000,\"since\":\"5-0\",\"first\":null} ");
    leave(&a);
}

static void foreign_entries(void **state) {
    struct listener a = {.full = false};
    struct rb_entry entries[] = {
        {.id = {1, 0}}, /* no event in it */
        {.id = {2, 0}, .has_json = true, .json = RB_TEXT("[1]")},
        {.id = {3, 0}, .has_json = true, .json = RB_TEXT("not JSON\n")},
        {.id = {4, 0}, .has_json = true, .json = RB_TEXT("")}};
    struct rb_page p = {.entries = entries, .count = 4};
    (void)state;
    come(&a, NULL);
    confirm();
    answer(&p);
    assert_heard(&a, "verified message:2-0 message:3-0 message:4-0 live ");
    leave(&a);
}

static void coming_back_costs_no_reading(void **state) {
    struct listener a = {.full = false}, b = {.full = false};
    (void)state;
    begin(&a);
    leave(&a);
    come(&a, "5-0");
    assert_heard(&a, "verified live ");
    come(&b, "5-0");
    assert_heard(&b, "verified live ");
    leave(&a);
    leave(&b);
    message("5-0 6-0 " TICK); /* between two polls */
    message("6-0 7-0 " TICK);
    come(&a, "5-0");
    assert_heard(&a, "verified tick:6-0 tick:7-0 live ");
    come(&b, "6-0");
    assert_heard(&b, "verified tick:7-0 live ");
    assert_asked("");
    leave(&b);
    come(&b, "6-1"); /* nobody's id: that is looked up */
    assert_asked("read=6-1?:8 ");
    page("7-0<6-0", false, NULL);
    assert_heard(&b,
                 "verified gap:6-0 {\"id\":\"6-0\",\"channel\":\"c\",\"event\":\"gap\","
                 "\"at\":1700000000000,\"since\":\"6-1\",\"first\":\"7-0\"} "
                 "tick:7-0 live ");
    leave(&a);
    leave(&b);
}

/* When all who left are back, and all hear live, nothing is kept for them. */
static void nothing_is_kept_for_nobody(void **state) {
    struct listener a = {.full = false}, b = {.full = false};
    (void)state;
    begin(&a);
    leave(&a);
    message("5-0 6-0 " TICK);
    come(&a, "5-0");
    come(&b, "5-0");
    assert_heard(&a, "verified tick:6-0 live ");
    assert_asked("read=5-0?:8 ");
    page("5-0<0-0 6-0<5-0", false, NULL);
    assert_heard(&b, "verified tick:6-0 live ");
    leave(&a);
    leave(&b);
}

static void what_is_kept_is_bounded(void **state) {
    struct listener a = {.full = false}, b = {.full = false};
    (void)state;
    begin(&a);
    come(&b, "5-0");
    assert_heard(&b, "verified live ");
    leave(&a);
    leave(&b);
    message("5-0 6-0 " TICK);
    message("6-0 7-0 " TICK);
    message("7-0 8-0 " TICK);
    message("8-0 9-0 " TICK); /* the fourth: 6-0 goes */
    come(&b, "6-0");
    assert_heard(&b, "verified tick:7-0 tick:8-0 tick:9-0 live ");
    assert_asked("");
    come(&a, "5-0");
    assert_asked("read=5-0?:8 ");
    page("5-0<0-0 6-0<5-0 7-0<6-0 8-0<7-0 9-0<8-0", false, NULL);
    assert_heard(&a, "verified tick:6-0 tick:7-0 tick:8-0 tick:9-0 live ");
    leave(&a);
    leave(&b);
}

static void those_who_ask_the_same_share_a_reading(void **state) {
    struct listener a = {.full = false}, b = {.full = false}, c = {.full = false};
    (void)state;
    come(&a, NULL);
    come(&b, NULL);
    come(&c, "4-0");
    confirm();
    assert_asked("sub:c read=4-0?:8 read=0-0:8 ");
    assert_int_equal(rb_channel_waiters(channels, NAME), 3);
    page("4-0<0-0 5-0<4-0", false, NULL); /* the one asked last: without a cursor */
    assert_heard(&a, "verified tick:4-0 tick:5-0 live ");
    assert_heard(&b, "verified tick:4-0 tick:5-0 live ");
    assert_heard(&c, "");
    leave(&a);
    leave(&b);
    leave(&c);
    page("", false, NULL); /* nobody waits for it any more */
}

static void a_full_member_reads_on_alone(void **state) {
    struct listener a = {.full = true}, b = {.full = false};
    (void)state;
    come(&a, NULL);
    come(&b, NULL);
    confirm();
    page("5-0<0-0 6-0<5-0", false, NULL);
    assert_heard(&a, "verified ");
    assert_heard(&b, "verified tick:5-0 tick:6-0 live ");
    rb_buffer_clear(&asked);
    rb_channel_resume(&a.subscription);
    assert_asked("");
    a.full = false;
    rb_channel_resume(&a.subscription);
    assert_asked("read=0-0:8 ");
    message("6-0 7-0 " TICK);
    page("5-0<0-0 6-0<5-0", false, NULL);
    assert_heard(&a, "tick:5-0 tick:6-0 tick:7-0 live ");
    assert_heard(&b, "tick:7-0 ");
    leave(&a);
    leave(&b);
}

/* One that leaves from inside its own callback is not told more, and harms nobody. */
static void leaving_while_being_told(void **state) {
    struct listener a = {.leaves = true}, b = {.full = false};
    (void)state;
    come(&a, NULL);
    come(&b, NULL);
    confirm();
    page("5-0<0-0 6-0<5-0", false, NULL);
    assert_heard(&a, "verified tick:5-0 ");
    assert_heard(&b, "verified tick:5-0 tick:6-0 live ");
    leave(&a);
    come(&a, "6-0");
    message("6-0 7-0 " TICK);
    assert_heard(&a, "verified live tick:7-0 ");
    assert_heard(&b, "tick:7-0 ");
    leave(&a);
    leave(&b);
}

/* Read further than what was heard live: the rest is on its way. */
static void ahead_of_the_tip(void **state) {
    struct listener a = {.full = false}, b = {.full = false};
    (void)state;
    begin(&a);
    come(&b, NULL);
    page("5-0<0-0 6-0<5-0 7-0<6-0", false, NULL);
    assert_heard(&b, "verified tick:5-0 tick:6-0 tick:7-0 ");
    message("5-0 6-0 " TICK);
    assert_heard(&a, "tick:6-0 ");
    assert_heard(&b, "");
    message("6-0 7-0 " TICK);
    message("7-0 8-0 " TICK);
    assert_heard(&a, "tick:7-0 tick:8-0 ");
    assert_heard(&b, "live tick:8-0 ");
    leave(&a);
    leave(&b);
}

static void cursors(void **state) {
    struct listener a = {.full = false};
    (void)state;
    come(&a, NULL);
    assert_false(rb_subscription_cursor(&a.subscription).given);
    confirm();
    page("", false, NULL);
    assert_false(rb_subscription_cursor(&a.subscription).given);
    assert_true(rb_subscription_live(&a.subscription));
    message("4-0 5-0 " TICK); /* whatever was before */
    assert_heard(&a, "verified live tick:5-0 ");
    assert_int_equal(rb_subscription_cursor(&a.subscription).id.ms, 5);
    assert_asked("sub:c read=0-0:8 ");
    leave(&a);
}

static void channels_are_let_go(void **state) {
    struct listener a = {.full = false};
    (void)state;
    begin(&a);
    leave(&a);
    assert_int_equal(rb_channels_turn(channels, 2000, 1), 100);
    assert_int_equal(rb_channels_turn(channels, 2050, 1), 50);
    rb_channels_turn(channels, 2100, 1);
    assert_int_equal(rb_channels_count(channels), 1);
    rb_channels_turn(channels, 2200, 1);
    assert_int_equal(rb_channels_count(channels), 0);
    assert_asked("unsub:c ");
    assert_int_equal(rb_channels_turn(channels, 2300, 1), -1);
    assert_int_equal(rb_channel_waiters(channels, NAME), 0);
}

/* An UNSUBSCRIBE before the confirmation would give it to the next SUBSCRIBE. */
static void not_before_the_confirmation(void **state) {
    struct listener a = {.full = false};
    (void)state;
    come(&a, NULL);
    leave(&a);
    for (int64_t now = 2000; now < 3000; now += 100)
        rb_channels_turn(channels, now, 1);
    assert_asked("sub:c ");
    confirm();
    for (int64_t now = 3000; now < 4000; now += 100)
        rb_channels_turn(channels, now, 1);
    assert_asked("unsub:c ");
}

static void nobody_waits_when_the_link_breaks(void **state) {
    struct listener a = {.full = false};
    (void)state;
    begin(&a);
    leave(&a);
    rb_channels_down(channels);
    assert_int_equal(rb_channels_count(channels), 0);
    come(&a, NULL); /* meanwhile: subscribed when it is back */
    assert_asked("");
    rb_channels_resubscribe(channels, 0);
    assert_asked("");
    assert_false(rb_channels_resubscribe(channels, 1));
    assert_asked("sub:c ");
    leave(&a);
}

static void count_names(void *ctx, struct rb_text name, size_t waiters) {
    (void)name;
    *(size_t *)ctx += waiters;
}

static void thousands_of_channels(void **state) {
    enum { COUNT = 3000 };
    struct listener *all = calloc(COUNT, sizeof *all);
    char name[16];
    size_t counted = 0;
    (void)state;
    rb_channels_down(channels);
    for (size_t i = 0; i < COUNT; i++) {
        int len = snprintf(name, sizeof name, "n%zu", i);
        all[i].subscription.sink = &sink;
        all[i].subscription.owner = &all[i];
        rb_buffer_init(&all[i].heard, 1000);
        assert_int_equal(rb_channel_subscribe(channels, rb_text(name, (size_t)len),
                                              (struct rb_cursor){0},
                                              &all[i].subscription),
                         RB_OK);
    }
    rb_buffer_fini(&asked);
    rb_buffer_init(&asked, 1000000);
    assert_true(rb_channels_resubscribe(channels, 1000));
    assert_true(rb_channels_resubscribe(channels, 1999));
    assert_false(rb_channels_resubscribe(channels, 1));
    rb_channel_confirmed(channels, RB_TEXT("n2999"));
    page("5-0<0-0", false, NULL);
    assert_heard(&all[2999], "verified tick:5-0 live ");
    rb_channels_each(channels, count_names, &counted);
    assert_int_equal(counted, COUNT);
    assert_int_equal(rb_channels_subscriptions(channels), COUNT);
    for (size_t i = 0; i < COUNT; i++)
        leave(&all[i]);
    free(all);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(the_first_waiter),
        TEST(long_history_comes_in_pages),
        TEST(a_cursor_that_is_kept),
        TEST(a_cursor_that_was_trimmed_alone),
        TEST(a_gap_by_trimming),
        TEST(a_gap_before_a_foreign_entry),
        TEST(expired_and_nothing_missed),
        TEST(expired_after_the_end),
        TEST(expired_and_missed),
        TEST(a_failover_took_events_back),
        TEST(nothing_is_known_any_more),
        TEST(the_end_was_heard_before),
        TEST(a_hole_is_read_in_place),
        TEST(unlinked_messages_are_read),
        TEST(a_lost_link),
        TEST(a_page_from_before_the_loss_is_not_used),
        TEST(a_reading_that_failed),
        TEST(raw_messages),
        TEST(an_event_too_large_is_a_gap),
        TEST(foreign_entries),
        TEST(coming_back_costs_no_reading),
        TEST(nothing_is_kept_for_nobody),
        TEST(what_is_kept_is_bounded),
        TEST(those_who_ask_the_same_share_a_reading),
        TEST(a_full_member_reads_on_alone),
        TEST(leaving_while_being_told),
        TEST(ahead_of_the_tip),
        TEST(cursors),
        TEST(channels_are_let_go),
        TEST(not_before_the_confirmation),
        TEST(nobody_waits_when_the_link_breaks),
        TEST(thousands_of_channels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
