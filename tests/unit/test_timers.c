/* The wheel of deadlines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "notifier/timers.h"

struct node {
    struct rb_timer timer;
    int64_t due_ms, fired_ms;
    int fired;
    struct node *victim; /* stopped when this one fires */
    int64_t again_ms;    /* set again so much later; 0: not */
};

static struct rb_timers *timers;
static int64_t now;

static void fire(void *ctx, struct rb_timer *timer) {
    struct node *node = (struct node *)(void *)timer;
    (void)ctx;
    assert_false(rb_timer_is_set(timer));
    node->fired++;
    node->fired_ms = now;
    if (node->victim)
        rb_timer_stop(timers, &node->victim->timer);
    if (node->again_ms > 0)
        rb_timer_set(timers, timer, now, node->again_ms);
}

static int set_up(void **state) {
    (void)state;
    now = 5000000;
    timers = rb_timers_new(now, fire, NULL);
    return timers ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    rb_timers_free(timers);
    return 0;
}

static void set(struct node *node, int64_t delay_ms) {
    node->due_ms = now + delay_ms;
    rb_timer_set(timers, &node->timer, now, delay_ms);
}

static void sleep_until(int64_t then) {
    while (now < then) {
        int64_t wait = rb_timers_wait(timers, now);
        now = wait < 0 || now + wait > then ? then : now + wait;
        rb_timers_run(timers, now);
        if (wait == 0)
            now++;
    }
}

static void fires_in_time(void **state) {
    static const int64_t delays[] = {0,    1,    15,    16,    17,     100,
                                     1000, 9999, 16384, 16400, 100000, 86400000};
    struct node nodes[12] = {0};
    (void)state;
    for (size_t i = 0; i < 12; i++)
        set(&nodes[i], delays[i]);
    sleep_until(now + 86400000 + 100);
    for (size_t i = 0; i < 12; i++) {
        assert_int_equal(nodes[i].fired, 1);
        assert_true(nodes[i].fired_ms >= nodes[i].due_ms);
        assert_true(nodes[i].fired_ms <= nodes[i].due_ms + RB_TIMER_TICK_MS);
    }
    assert_int_equal(rb_timers_wait(timers, now), -1);
}

static void many_at_random_times(void **state) {
    enum { COUNT = 2000 };
    struct node *nodes = calloc(COUNT, sizeof *nodes);
    uint32_t random = 1;
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        random = random * 1664525 + 1013904223;
        set(&nodes[i], random % 60000);
        sleep_until(now + random / 7 % 20);
    }
    sleep_until(now + 61000);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(nodes[i].fired, 1);
        assert_true(nodes[i].fired_ms >= nodes[i].due_ms);
        assert_true(nodes[i].fired_ms <= nodes[i].due_ms + RB_TIMER_TICK_MS);
    }
    free(nodes);
}

static void moved_and_stopped(void **state) {
    struct node a = {.fired = 0}, b = {.fired = 0};
    (void)state;
    rb_timer_stop(timers, &a.timer); /* was not set */
    set(&a, 100);
    set(&a, 500);
    set(&b, 100);
    rb_timer_stop(timers, &b.timer);
    sleep_until(now + 400);
    assert_int_equal(a.fired, 0);
    sleep_until(now + 200);
    assert_int_equal(a.fired, 1);
    assert_int_equal(b.fired, 0);
}

/* Each message of a client puts its deadline off, which moves nothing until it is due. */
static void put_off_again_and_again(void **state) {
    struct node a = {.fired = 0}, b = {.fired = 0};
    (void)state;
    set(&b, 40000);
    for (int i = 0; i < 3000; i++) {
        set(&a, 20000);
        sleep_until(now + 10);
    }
    assert_int_equal(a.fired, 0);
    assert_int_equal(b.fired, 0);
    set(&a, 25000); /* later, and earlier again */
    set(&a, 15);
    sleep_until(now + 100);
    assert_int_equal(a.fired, 1);
    assert_true(a.fired_ms <= a.due_ms + RB_TIMER_TICK_MS);
    sleep_until(now + 20000);
    assert_int_equal(a.fired, 1);
    assert_int_equal(b.fired, 1);
    assert_true(b.fired_ms >= b.due_ms && b.fired_ms <= b.due_ms + RB_TIMER_TICK_MS);
    set(&a, 100);
    set(&a, 200);
    rb_timer_stop(timers, &a.timer);
    sleep_until(now + 1000);
    assert_int_equal(a.fired, 1);
}

/* Where many are due at once others get their turn in between. */
static void so_many_at_once(void **state) {
    enum { COUNT = 3 * RB_TIMERS_AT_ONCE + 1 };
    struct node *nodes = calloc(COUNT, sizeof *nodes);
    int fired = 0, runs = 0;
    (void)state;
    for (int i = 0; i < COUNT; i++)
        set(&nodes[i], 1000);
    now += 1100;
    do {
        int before = fired;
        rb_timers_run(timers, now);
        fired = 0;
        for (int i = 0; i < COUNT; i++)
            fired += nodes[i].fired;
        assert_true(fired - before <= RB_TIMERS_AT_ONCE);
        if (++runs == 1) { /* one that waits for its turn may still be moved, or go */
            for (int i = 0, moved = 0; i < COUNT && moved < 2; i++) {
                if (nodes[i].fired)
                    continue;
                if (moved++ == 0)
                    rb_timer_stop(timers, &nodes[i].timer);
                else
                    set(&nodes[i], 50);
            }
        }
    } while (rb_timers_wait(timers, now) == 0);
    assert_int_equal(fired, COUNT - 2);
    sleep_until(now + 100);
    assert_int_equal(rb_timers_wait(timers, now), -1);
    fired = 0;
    for (int i = 0; i < COUNT; i++)
        fired += nodes[i].fired;
    assert_int_equal(fired, COUNT - 1);
    free(nodes);
}

static void from_inside(void **state) {
    struct node a = {.again_ms = 50}, b = {.fired = 0}, c = {.fired = 0};
    (void)state;
    /* Whichever fires first stops the other. */
    b.victim = &c;
    c.victim = &b;
    set(&a, 50);
    set(&b, 200);
    set(&c, 200);
    sleep_until(now + 1000);
    assert_int_equal(b.fired + c.fired, 1);
    assert_in_range(a.fired, 12, 20);
    rb_timer_stop(timers, &a.timer);
    assert_int_equal(rb_timers_wait(timers, now), -1);
}

/* The process was stopped for an hour: all is due at once. */
static void after_a_long_sleep(void **state) {
    struct node nodes[50] = {0};
    (void)state;
    for (int i = 0; i < 50; i++)
        set(&nodes[i], i * 1000);
    now += 3600000;
    rb_timers_run(timers, now);
    for (int i = 0; i < 50; i++)
        assert_int_equal(nodes[i].fired, 1);
    now -= 10; /* a clock that steps back is met with patience */
    rb_timers_run(timers, now);
}

/* Nothing but later rounds in a slot: looked at once a round, not all the time. */
static void idle_wakes_seldom(void **state) {
    struct node a = {.fired = 0};
    int wakes = 0;
    (void)state;
    set(&a, 60000);
    while (!a.fired) {
        now += rb_timers_wait(timers, now);
        rb_timers_run(timers, now);
        assert_true(++wakes < 8);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(fires_in_time),      TEST(many_at_random_times),
        TEST(moved_and_stopped),  TEST(put_off_again_and_again),
        TEST(so_many_at_once),    TEST(from_inside),
        TEST(after_a_long_sleep), TEST(idle_wakes_seldom),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
