/* When the worker asks for jobs, and when it only waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "worker/claim.h"
#include "worker/worker.h"

static struct {
    int asks, awaits;
    size_t want;
} seen;

static void ask(struct rb_worker *w, size_t want) {
    (void)w;
    seen.asks++;
    seen.want = want;
}

static void await(struct rb_worker *w) {
    (void)w;
    seen.awaits++;
}

static const struct rb_claiming fake = {.name = "fake", .ask = ask, .await = await};

static int setup(void **state) {
    static struct rb_worker w;
    memset(&w, 0, sizeof w);
    memset(&seen, 0, sizeof seen);
    w.loop = ev_loop_new(EVFLAG_AUTO);
    w.mode = &fake;
    w.limit = 10;
    w.ready = true;
    w.claims = rb_claims_new(&w);
    assert_non_null(w.claims);
    *state = &w;
    return 0;
}

static int teardown(void **state) {
    struct rb_worker *w = *state;
    rb_claims_free(w->claims);
    ev_loop_destroy(w->loop);
    return 0;
}

static void turn(struct rb_worker *w, int asks, int awaits) {
    rb_claims_turn(w);
    assert_int_equal(seen.asks, asks);
    assert_int_equal(seen.awaits, awaits);
}

static void test_asks_one_at_a_time(void **state) {
    struct rb_worker *w = *state;
    turn(w, 1, 0);
    assert_int_equal(seen.want, 10);
    turn(w, 1, 0);
    w->flights.count = 4;
    rb_claims_answered(w, 4, true);
    turn(w, 2, 0);
    assert_int_equal(seen.want, 6);
}

static void test_waits_when_there_is_nothing(void **state) {
    struct rb_worker *w = *state;
    turn(w, 1, 0);
    rb_claims_answered(w, 0, false);
    assert_true(rb_claims_empty(w));
    turn(w, 1, 1);
    turn(w, 1, 2);
    rb_claims_poke(w);
    assert_false(rb_claims_empty(w));
    turn(w, 2, 2);
}

/* A push between Redis's answer and our reading of it must not be slept over. */
static void test_a_poke_while_asking_is_not_lost(void **state) {
    struct rb_worker *w = *state;
    turn(w, 1, 0);
    rb_claims_poke(w);
    rb_claims_answered(w, 0, false);
    assert_false(rb_claims_empty(w));
    turn(w, 2, 0);
    rb_claims_answered(w, 0, false);
    turn(w, 2, 1);
}

static void test_no_room(void **state) {
    struct rb_worker *w = *state;
    w->flights.count = 10;
    turn(w, 0, 0);
    w->flights.count = 12; /* the limit was lowered */
    turn(w, 0, 0);
    w->flights.count = 9;
    turn(w, 1, 0);
    assert_int_equal(seen.want, 1);
}

/* Of a queue that has more, a busy worker does not fetch each job by itself. */
static void test_few_free_slots_gather(void **state) {
    struct rb_worker *w = *state;
    w->limit = 100;
    turn(w, 1, 0);
    w->flights.count = 95;
    rb_claims_answered(w, 95, true);
    turn(w, 1, 0);
    w->flights.count = 88; /* as many are free as are worth a question */
    turn(w, 2, 0);
    assert_int_equal(seen.want, 12);
    w->flights.count = 99;
    rb_claims_answered(w, 11, true);
    turn(w, 2, 0);
    ev_run(w->loop, EVRUN_ONCE); /* a millisecond has passed */
    turn(w, 3, 0);
    assert_int_equal(seen.want, 1);
}

/* What was pushed to an idle queue is fetched at once, however few slots are free. */
static void test_news_do_not_gather(void **state) {
    struct rb_worker *w = *state;
    w->limit = 100;
    w->flights.count = 99;
    turn(w, 1, 0);
    rb_claims_answered(w, 0, false);
    turn(w, 1, 1);
    rb_claims_poke(w);
    turn(w, 2, 1);
}

static void test_batches_are_bounded(void **state) {
    struct rb_worker *w = *state;
    w->limit = 100000;
    turn(w, 1, 0);
    assert_int_equal(seen.want, RB_CLAIM_BATCH);
}

static void test_not_before_it_is_ready(void **state) {
    struct rb_worker *w = *state;
    w->ready = false;
    turn(w, 0, 0);
    w->ready = true;
    turn(w, 1, 0);
}

static void test_refused_claims_wait_a_moment(void **state) {
    struct rb_worker *w = *state;
    turn(w, 1, 0);
    rb_claims_failed(w);
    turn(w, 1, 0);
    assert_false(rb_claims_asking(w));
}

static void test_stopped(void **state) {
    struct rb_worker *w = *state;
    turn(w, 1, 0);
    rb_claims_stop(w);
    assert_true(rb_claims_asking(w)); /* the answer is still to come */
    rb_claims_answered(w, 0, true);
    turn(w, 1, 0);
    assert_false(rb_claims_asking(w));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_asks_one_at_a_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_waits_when_there_is_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_poke_while_asking_is_not_lost, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_no_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_few_free_slots_gather, setup, teardown),
        cmocka_unit_test_setup_teardown(test_news_do_not_gather, setup, teardown),
        cmocka_unit_test_setup_teardown(test_batches_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_before_it_is_ready, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused_claims_wait_a_moment, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_stopped, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
