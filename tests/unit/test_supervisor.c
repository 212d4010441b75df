/* The supervisor: who is ready when, and which signals reach whom. */
#include "supervisor_scene.h"

#include <sched.h>

#include "config/settings.h"

static pid_t seen_pid;

static int remember_pid(void *ctx, int row) {
    (void)ctx;
    seen_pid = getpid();
    return row == 0 ? 42 : 1;
}

static void one_process_is_the_program(void **state) {
    (void)state;
    seen_pid = 0;
    assert_int_equal(rb_supervisor_run("test", 1, remember_pid, NULL), 42);
    assert_int_equal(seen_pid, getpid());
}

static void counts_processes(void **state) {
    (void)state;
    cpu_set_t set;
    assert_int_equal(sched_getaffinity(0, sizeof set, &set), 0);
    assert_int_equal(rb_supervisor_processes(RB_PROCESSES_AUTO), CPU_COUNT(&set));
    assert_int_equal(rb_supervisor_processes(1), 1);
    assert_int_equal(rb_supervisor_processes(7), 7);
    assert_int_equal(rb_supervisor_processes(100000), 256);
    assert_int_equal(rb_supervisor_processes(-1), 1);
}

static int ready_when_told(struct scene *scene, int row) {
    wait_for_go(scene);
    return serve(scene, row, 1);
}

static void ready_when_all_are(void **state) {
    (void)state;
    struct scene scene;
    start(&scene, 2, ready_when_told);
    hear_from_each(&scene, 2, 's', NULL);
    assert_int_equal(write(scene.tell, "g", 1), 1);
    assert_int_equal(hear(&scene).what, 'r');
    assert_false(notified(&scene));
    assert_int_equal(write(scene.tell, "g", 1), 1);
    assert_int_equal(hear(&scene).what, 'r');
    check_notified(&scene, "READY=1");
    kill(scene.supervisor, SIGTERM);
    check_notified(&scene, "STOPPING=1");
    hear_from_each(&scene, 2, 'T', NULL);
    assert_int_equal(end(&scene), 0);
}

static int serve_through_two_stops(struct scene *scene, int row) {
    return serve(scene, row, 2);
}

static void every_stop_is_passed_on(void **state) {
    (void)state;
    struct scene scene;
    pid_t pids[3];
    start(&scene, 3, serve_through_two_stops);
    hear_started_and_ready(&scene, 3, pids);
    kill(scene.supervisor, SIGINT);
    hear_from_each(&scene, 3, 'I', NULL);
    kill(scene.supervisor, SIGTERM);
    hear_from_each(&scene, 3, 'T', NULL);
    kill(scene.supervisor, SIGTERM);
    hear_from_each(&scene, 3, 'T', NULL);
    assert_int_equal(end(&scene), 0);
}

static int done_at_once(struct scene *scene, int row) {
    (void)scene;
    (void)row;
    return 0;
}

static void work_that_is_done_is_not_done_again(void **state) {
    (void)state;
    struct scene scene;
    start(&scene, 3, done_at_once);
    hear_from_each(&scene, 3, 's', NULL);
    assert_int_equal(hear(&scene).row, -1);
    check_notified(&scene, "READY=1");
    assert_int_equal(end(&scene), 0);
}

static void reload_reaches_all_and_who_comes_later(void **state) {
    (void)state;
    struct scene scene;
    pid_t pids[2];
    start(&scene, 2, serve_until_stopped);
    hear_started_and_ready(&scene, 2, pids);
    check_notified(&scene, "READY=1");
    kill(scene.supervisor, SIGHUP);
    hear_from_each(&scene, 2, 'H', NULL);
    kill(pids[0], SIGKILL);
    assert_int_equal(hear(&scene).what, 's');
    assert_int_equal(hear(&scene).what, 'r');
    struct word word = hear(&scene);
    assert_int_equal(word.what, 'H');
    assert_int_equal(word.row, 0);
    kill(scene.supervisor, SIGTERM);
    assert_int_equal(end(&scene), 0);
}

static void reload_before_ready_harms_nobody(void **state) {
    (void)state;
    struct scene scene;
    start(&scene, 2, ready_when_told);
    hear_from_each(&scene, 2, 's', NULL);
    kill(scene.supervisor, SIGHUP);
    assert_int_equal(write(scene.tell, "gg", 2), 2);
    int ready = 0, reloads = 0;
    while (ready < 2 || reloads < 2) {
        struct word word = hear(&scene);
        ready += word.what == 'r';
        reloads += word.what == 'H';
    }
    kill(scene.supervisor, SIGTERM);
    assert_int_equal(end(&scene), 0);
}

static int check_surroundings(struct scene *scene, int row) {
    sigset_t mask;
    struct sigaction action;
    sigprocmask(SIG_SETMASK, NULL, &mask);
    bool good = !sigismember(&mask, SIGTERM) && !sigismember(&mask, SIGINT) &&
                !sigismember(&mask, SIGHUP) && !sigismember(&mask, SIGCHLD) &&
                sigismember(&mask, SIGUSR1) && getpgrp() == getpid() &&
                sigaction(SIGHUP, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
    say(scene, row, good ? 'g' : 'b');
    return 0;
}

static void child_gets_its_signals_back(void **state) {
    (void)state;
    struct scene scene;
    sigset_t user, before;
    sigemptyset(&user);
    sigaddset(&user, SIGUSR1);
    sigprocmask(SIG_BLOCK, &user, &before);
    start(&scene, 2, check_surroundings);
    sigprocmask(SIG_SETMASK, &before, NULL);
    for (int i = 0; i < 4; i++) {
        struct word word = hear(&scene);
        assert_true(word.what == 's' || word.what == 'g');
    }
    assert_int_equal(end(&scene), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_process_is_the_program),
        cmocka_unit_test(counts_processes),
        cmocka_unit_test(ready_when_all_are),
        cmocka_unit_test(every_stop_is_passed_on),
        cmocka_unit_test(work_that_is_done_is_not_done_again),
        cmocka_unit_test(reload_reaches_all_and_who_comes_later),
        cmocka_unit_test(reload_before_ready_harms_nobody),
        cmocka_unit_test(child_gets_its_signals_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
