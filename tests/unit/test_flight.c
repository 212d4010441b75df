/* The lists on which a job's life in the worker takes place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "worker/flight.h"
#include "worker/worker.h"

static int setup(void **state) {
    static struct rb_worker worker;
    memset(&worker, 0, sizeof worker);
    rb_flights_init(&worker.flights);
    *state = &worker;
    return 0;
}

static int teardown(void **state) {
    struct rb_worker *w = *state;
    rb_flights_fini(&w->flights);
    return 0;
}

static struct rb_flight *flight(struct rb_worker *w, uint64_t claim) {
    struct rb_flight *f = rb_flight_new(w, claim);
    assert_non_null(f);
    return f;
}

#define EACH(state)                                                                      \
    for (enum rb_flight_state state = RB_FLIGHT_BOARDING; state < RB_FLIGHT_STATES;      \
         state = (enum rb_flight_state)(state + 1))

static bool is_a_command(enum rb_flight_state state) {
    return state == RB_FLIGHT_PUBLISHING || state == RB_FLIGHT_PARKING ||
           state == RB_FLIGHT_BURYING || state == RB_FLIGHT_RETURNING;
}

static void test_who_holds_a_slot(void **state) {
    struct rb_worker *w = *state;
    struct rb_flight *calling[3], *waiting = flight(w, 9);
    for (uint64_t i = 0; i < 3; i++) {
        calling[i] = flight(w, i);
        rb_flight_move(calling[i], RB_FLIGHT_CALLING);
    }
    assert_int_equal(rb_flights_slots(&w->flights, 4), 4);
    rb_flight_wait(waiting, 0);
    assert_int_equal(rb_flights_slots(&w->flights, 4), 3);
    for (int i = 0; i < 3; i++)
        rb_flight_move(calling[i], RB_FLIGHT_PUBLISHING);
    assert_int_equal(rb_flights_slots(&w->flights, 4), 1); /* half of four are for free */
    assert_int_equal(rb_flights_slots(&w->flights, 1), 3);
    rb_flight_move(calling[0], RB_FLIGHT_KEPT);
    assert_int_equal(rb_flights_slots(&w->flights, 4), 1);
    rb_flight_move(calling[1], RB_FLIGHT_LANDED);
    assert_int_equal(rb_flights_slots(&w->flights, 4), 1);
    rb_flight_move(calling[2], RB_FLIGHT_LANDED);
    assert_int_equal(rb_flights_slots(&w->flights, 4), 1);
    rb_flight_move(calling[0], RB_FLIGHT_LANDED);
    assert_int_equal(rb_flights_slots(&w->flights, 4), 0);
}

static void test_fencing_reaches_all(void **state) {
    (void)state;
    EACH(from) {
        assert_int_equal(rb_flight_may_move(from, RB_FLIGHT_LANDED),
                         from != RB_FLIGHT_LANDED);
    }
}

static void test_nobody_comes_back(void **state) {
    (void)state;
    EACH(other) {
        assert_false(rb_flight_may_move(RB_FLIGHT_LANDED, other));
        assert_false(rb_flight_may_move(other, RB_FLIGHT_BOARDING));
    }
}

/* What Redis refuses is kept and said again, and nothing else is. */
static void test_commands_are_kept(void **state) {
    (void)state;
    EACH(other) {
        assert_int_equal(rb_flight_may_move(other, RB_FLIGHT_KEPT), is_a_command(other));
        if (other != RB_FLIGHT_LANDED)
            assert_int_equal(rb_flight_may_move(RB_FLIGHT_KEPT, other),
                             is_a_command(other));
    }
}

/* Once a command about its end is said, there is no other end: no call, no second event,
 * and only what was told is buried. */
static void test_an_end_is_an_end(void **state) {
    (void)state;
    EACH(from) {
        if (!is_a_command(from))
            continue;
        EACH(to) {
            bool may = to == RB_FLIGHT_LANDED || to == RB_FLIGHT_KEPT ||
                       (from == RB_FLIGHT_PUBLISHING && to == RB_FLIGHT_BURYING);
            assert_int_equal(rb_flight_may_move(from, to), may);
        }
    }
}

static void test_jobs_at_work_may_end_any_way(void **state) {
    (void)state;
    assert_true(rb_flight_may_move(RB_FLIGHT_BOARDING, RB_FLIGHT_CALLING));
    assert_true(rb_flight_may_move(RB_FLIGHT_BOARDING, RB_FLIGHT_PARKING));
    static const enum rb_flight_state ends[] = {RB_FLIGHT_PUBLISHING, RB_FLIGHT_BURYING,
                                                RB_FLIGHT_RETURNING};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        assert_true(rb_flight_may_move(RB_FLIGHT_BOARDING, ends[i]));
        assert_true(rb_flight_may_move(RB_FLIGHT_CALLING, ends[i]));
    }
}

static void test_count(void **state) {
    struct rb_worker *w = *state;
    struct rb_flight *a = flight(w, 1), *b = flight(w, 2);
    assert_int_equal(w->flights.count, 2);
    rb_flight_move(a, RB_FLIGHT_CALLING);
    rb_flight_move(a, RB_FLIGHT_PUBLISHING);
    assert_ptr_equal(TAILQ_FIRST(&w->flights.in[RB_FLIGHT_PUBLISHING]), a);
    assert_ptr_equal(TAILQ_FIRST(&w->flights.in[RB_FLIGHT_BOARDING]), b);
    assert_true(TAILQ_EMPTY(&w->flights.in[RB_FLIGHT_CALLING]));
    rb_flight_move(a, RB_FLIGHT_LANDED);
    assert_int_equal(w->flights.count, 1);
    rb_flight_drop(b);
    assert_int_equal(w->flights.count, 0);
    rb_flight_drop(b); /* once is enough */
    assert_int_equal(w->flights.count, 0);
}

static void test_lists_keep_their_order(void **state) {
    struct rb_worker *w = *state;
    for (uint64_t i = 1; i <= 3; i++)
        rb_flight_move(flight(w, i), RB_FLIGHT_CALLING);
    struct rb_flight *f;
    uint64_t next = 1;
    TAILQ_FOREACH (f, &w->flights.in[RB_FLIGHT_CALLING], link)
        assert_int_equal(f->claim, next++);
}

/* A flight that Redis was asked about outlives its landing, until the answer has come. */
static void test_reaping_waits_for_answers(void **state) {
    struct rb_worker *w = *state;
    struct rb_flight *asked = flight(w, 1), *other = flight(w, 2);
    asked->asked = true;
    rb_flight_drop(asked);
    rb_flight_drop(other);
    rb_flights_reap(&w->flights);
    assert_ptr_equal(TAILQ_FIRST(&w->flights.in[RB_FLIGHT_LANDED]), asked);
    assert_null(TAILQ_NEXT(asked, link));
    asked->asked = false;
    rb_flights_reap(&w->flights);
    assert_true(TAILQ_EMPTY(&w->flights.in[RB_FLIGHT_LANDED]));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_who_holds_a_slot, setup, teardown),
        cmocka_unit_test(test_fencing_reaches_all),
        cmocka_unit_test(test_nobody_comes_back),
        cmocka_unit_test(test_commands_are_kept),
        cmocka_unit_test(test_an_end_is_an_end),
        cmocka_unit_test(test_jobs_at_work_may_end_any_way),
        cmocka_unit_test_setup_teardown(test_count, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lists_keep_their_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reaping_waits_for_answers, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
