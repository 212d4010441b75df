/* The supervisor and children that die, fail or hang. */
#include "supervisor_scene.h"

#include "config/options.h"
#include "config/process.h"

static void dead_child_is_replaced_in_its_row(void **state) {
    (void)state;
    struct scene scene;
    pid_t pids[2];
    start(&scene, 2, serve_until_stopped);
    hear_started_and_ready(&scene, 2, pids);
    check_notified(&scene, "READY=1");
    for (int i = 0; i < 2; i++) {
        kill(pids[1], SIGKILL);
        struct word word = hear(&scene);
        assert_int_equal(word.what, 's');
        assert_int_equal(word.row, 1);
        assert_int_not_equal(word.pid, pids[1]);
        pids[1] = word.pid;
        assert_int_equal(hear(&scene).what, 'r');
    }
    assert_false(notified(&scene)); /* ready is said once */
    kill(scene.supervisor, SIGTERM);
    hear_from_each(&scene, 2, 'T', pids);
    assert_int_equal(end(&scene), 0);
}

static int fail_at_once(struct scene *scene, int row) {
    (void)scene;
    return row == 0 ? 1 : serve(scene, row, 1);
}

static void stop_ends_the_wait_for_a_restart(void **state) {
    (void)state;
    struct scene scene;
    start(&scene, 2, fail_at_once);
    for (int starts = 0; starts < 4;) {
        struct word word = hear(&scene);
        starts += word.row == 0 && word.what == 's';
    }
    /* The next restart is 800 ms away. On a busy machine it may just have come, but no
     * other may follow. */
    kill(scene.supervisor, SIGTERM);
    int restarts = 0;
    for (;;) {
        struct word word = hear(&scene);
        if (word.row < 0)
            break;
        restarts += word.row == 0;
        assert_in_range(restarts, 0, 1);
    }
    assert_int_equal(end(&scene), 0);
}

static int unavailable_in_row_1(struct scene *scene, int row) {
    return row == 1 ? RB_EXIT_UNAVAILABLE : serve(scene, row, 1);
}

static void hopeless_start_ends_all(void **state) {
    (void)state;
    struct scene scene;
    start(&scene, 2, unavailable_in_row_1);
    assert_int_equal(end(&scene), RB_EXIT_UNAVAILABLE);
}

static int config_wrong(struct scene *scene, int row) {
    (void)scene;
    (void)row;
    return RB_EXIT_CONFIG;
}

static void hopeless_start_of_all(void **state) {
    (void)state;
    struct scene scene;
    start(&scene, 3, config_wrong);
    assert_int_equal(end(&scene), RB_EXIT_CONFIG);
}

static int unavailable_after_ready(struct scene *scene, int row) {
    if (row == 0)
        return serve(scene, row, 1);
    rb_supervisor_ready();
    say(scene, row, 'r');
    wait_for_go(scene);
    return RB_EXIT_UNAVAILABLE;
}

static void later_trouble_of_one_is_not_the_end(void **state) {
    (void)state;
    struct scene scene;
    pid_t pids[2];
    start(&scene, 2, unavailable_after_ready);
    hear_started_and_ready(&scene, 2, pids);
    check_notified(&scene, "READY=1");
    assert_int_equal(write(scene.tell, "g", 1), 1);
    struct word word = hear(&scene);
    assert_int_equal(word.what, 's');
    assert_int_equal(word.row, 1);
    kill(scene.supervisor, SIGTERM);
    assert_int_equal(end(&scene), 0);
}

static void children_end_with_their_parent(void **state) {
    (void)state;
    struct scene scene;
    pid_t pids[2];
    start(&scene, 2, serve_until_stopped);
    hear_started_and_ready(&scene, 2, pids);
    kill(scene.supervisor, SIGKILL);
    hear_from_each(&scene, 2, 'T', NULL);
    assert_int_equal(end(&scene), -1);
}

/* Row 1 hangs after its first heartbeat when it is told to, else both serve. */
static int hang_when_told(struct scene *scene, int row) {
    char byte = 's';
    if (row == 1 && read(scene->go, &byte, 1) != 1)
        return 1;
    if (byte == 's')
        return serve(scene, row, 1);
    rb_supervisor_ready();
    rb_process_notify("WATCHDOG=1");
    say(scene, row, 'h');
    for (;;)
        pause();
}

static void hung_child_is_replaced(void **state) {
    (void)state;
    struct scene scene;
    char got[100] = "";
    setenv("WATCHDOG_USEC", "100000", 1);
    unsetenv("WATCHDOG_PID");
    start(&scene, 2, hang_when_told);
    unsetenv("WATCHDOG_USEC");
    assert_int_equal(write(scene.tell, "hs", 2), 2);
    struct word word;
    do
        word = hear(&scene);
    while (word.what != 'h');
    pid_t hung = word.pid;
    /* Row 0 never beats, so nobody minds its silence. */
    do
        word = hear(&scene);
    while (word.row == 0);
    assert_int_equal(word.what, 's');
    assert_int_not_equal(word.pid, hung);
    assert_int_equal(hear(&scene).what, 'r');
    for (int beats = 0, ready = 0; beats == 0 || ready == 0;) {
        wait_readable(scene.notify);
        ssize_t len = recv(scene.notify, got, sizeof got - 1, 0);
        assert_true(len > 0);
        got[len] = '\0';
        beats += strcmp(got, "WATCHDOG=1") == 0;
        ready += strcmp(got, "READY=1") == 0;
    }
    kill(scene.supervisor, SIGTERM);
    assert_int_equal(end(&scene), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dead_child_is_replaced_in_its_row),
        cmocka_unit_test(stop_ends_the_wait_for_a_restart),
        cmocka_unit_test(hopeless_start_ends_all),
        cmocka_unit_test(hopeless_start_of_all),
        cmocka_unit_test(later_trouble_of_one_is_not_the_end),
        cmocka_unit_test(children_end_with_their_parent),
        cmocka_unit_test(hung_child_is_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
