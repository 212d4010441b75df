/* The channel core, case by case: raw messages, coming back, slow members, letting
 * channels go. */
#include "channel_stage.h"

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

/* Names of all kinds; nobody hears anything of it. */
static void what_comes_is_fetched(void **state) {
    struct listener a = {.full = false};
    const struct rb_text names[RB_CHANNELS_FETCH] = {NAME, RB_TEXT("nobody's"), NAME};
    (void)state;
    rb_channels_fetch(channels, names, RB_CHANNELS_FETCH);
    begin(&a);
    rb_channels_fetch(channels, names, RB_CHANNELS_FETCH);
    rb_channels_fetch(channels, names, 0);
    assert_heard(&a, "");
    message("hello");
    assert_heard(&a, "raw:hello ");
    leave(&a);
    rb_channels_fetch(channels, names, RB_CHANNELS_FETCH);
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
    snprintf(big, sizeof big,
             "6-0 7-0 {\"channel\":\"c\",\"event\":\"done\",\"data\":\"%0200d\"}", 0);
    message(big); /* who waits for the end has nothing else to wait for */
    assert_heard(&a, "gap:7-0! {\"id\":\"7-0\",\"channel\":\"c\",\"event\":\"gap\","
                     "\"at\":1700000000000,\"since\":\"6-0\",\"first\":null} ");
    leave(&a);
}

/* A publisher that does not know what was before is read; where nobody is there to read,
 * one that comes with that event's id is told all the same that it was the end. */
static void the_end_of_a_publisher_without_scripts(void **state) {
    struct listener a = {.full = false};
    (void)state;
    begin(&a);
    leave(&a);
    message("6-0 6-0 " DONE);
    come(&a, "6-0");
    assert_heard(&a, "finished ");
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

static struct listener *crowd;
static void note_who(struct rb_subscription *s, struct rb_delivery *d) {
    (void)d;
    rb_buffer_int(&asked, (struct listener *)s->owner - crowd);
}

/* None of a channel's members is always the last to be told. */
static void from_the_other_end(void **state) {
    struct rb_sink noting = sink;
    struct listener l[3] = {0};
    (void)state;
    noting.deliver = note_who;
    crowd = l;
    begin(&l[0]);
    for (int i = 0; i < 3; i++) {
        if (i > 0)
            come(&l[i], "5-0");
        l[i].subscription.sink = &noting;
    }
    rb_buffer_clear(&asked);
    message("raw");
    message("raw");
    message("5-0 6-0 " TICK);
    struct rb_text told = rb_buffer_view(&asked);
    assert_int_equal(told.len, 9);
    assert_memory_equal(told.at, told.at + 6, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(told.at[i], told.at[5 - i]);
    for (int i = 0; i < 3; i++)
        leave(&l[i]);
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
        TEST(raw_messages),
        TEST(what_comes_is_fetched),
        TEST(an_event_too_large_is_a_gap),
        TEST(the_end_of_a_publisher_without_scripts),
        TEST(foreign_entries),
        TEST(coming_back_costs_no_reading),
        TEST(nothing_is_kept_for_nobody),
        TEST(what_is_kept_is_bounded),
        TEST(those_who_ask_the_same_share_a_reading),
        TEST(a_full_member_reads_on_alone),
        TEST(leaving_while_being_told),
        TEST(from_the_other_end),
        TEST(ahead_of_the_tip),
        TEST(cursors),
        TEST(channels_are_let_go),
        TEST(not_before_the_confirmation),
        TEST(nobody_waits_when_the_link_breaks),
        TEST(thousands_of_channels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
