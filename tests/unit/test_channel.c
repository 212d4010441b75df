/* The channel core, case by case: history, gaps and how they are told, the end that was
 * heard before, lost links. */
#include "channel_stage.h"

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

/* Who waits for the end need not go on when it is what is lost, nor be asked to wait when
 * he comes back from there. */
static void expired_and_missed_the_end(void **state) {
    struct listener a = {.full = false}, b = {.full = false};
    (void)state;
    come(&a, "5-0");
    confirm();
    page("", false, "9-0!");
    assert_heard(&a,
                 "verified gap:9-0! {\"id\":\"9-0\",\"channel\":\"c\",\"event\":\"gap\","
                 "\"at\":1700000000000,\"since\":\"5-0\",\"first\":null} live ");
    come(&b, "9-0");
    assert_heard(&b, "finished ");
    leave(&b);
    /* A failover that took events back may have taken a beginning, too. */
    leave(&a);
    come(&a, "10-0");
    page("", false, "9-0!");
    assert_heard(&a,
                 "verified gap:9-0 {\"id\":\"9-0\",\"channel\":\"c\",\"event\":\"gap\","
                 "\"at\":1700000000000,\"since\":\"10-0\",\"first\":null} live ");
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
        TEST(expired_and_missed_the_end),
        TEST(a_failover_took_events_back),
        TEST(nothing_is_known_any_more),
        TEST(the_end_was_heard_before),
        TEST(a_hole_is_read_in_place),
        TEST(unlinked_messages_are_read),
        TEST(a_lost_link),
        TEST(a_page_from_before_the_loss_is_not_used),
        TEST(a_reading_that_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
