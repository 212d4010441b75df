/* The supervisor, with real forks. It runs in a process of its own; its children report
 * over a pipe what happens to them, and the test waits for those words and never for
 * time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/log.h"
#include "config/options.h"
#include "config/process.h"
#include "config/supervisor.h"

#define PATIENCE_MS 20000 /* only a broken supervisor makes anybody wait so long */

/* One word of a child: 's'tarted, 'r'eady, or the signal that came: 'T', 'I', 'H'. */
struct word {
    int row;
    pid_t pid;
    char what;
};

struct scene {
    pid_t supervisor;
    int words; /* the end that the test reads */
    int say;   /* the end that the children write */
    int go;    /* what the children read, to be told to go on */
    int tell;
    int notify; /* as systemd would listen */
    char folder[64];
    char socket_path[96];
    int (*act)(struct scene *scene, int row); /* what a child does once it is started */
};

static void say(const struct scene *scene, int row, char what) {
    struct word word;
    memset(&word, 0, sizeof word);
    word.row = row;
    word.pid = getpid();
    word.what = what;
    if (write(scene->say, &word, sizeof word) != (ssize_t)sizeof word)
        _exit(90);
}

static void wait_for_go(const struct scene *scene) {
    char byte;
    if (read(scene->go, &byte, 1) != 1)
        _exit(91);
}

static sigset_t all_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    return set;
}

static char next_signal(void) {
    sigset_t set = all_signals();
    int number = sigwaitinfo(&set, NULL);
    return number == SIGTERM  ? 'T'
           : number == SIGINT ? 'I'
           : number == SIGHUP ? 'H'
                              : '?';
}

/* Serves until SIGTERM has come `stops` times. */
static int serve(struct scene *scene, int row, int stops) {
    sigset_t set = all_signals();
    sigprocmask(SIG_BLOCK, &set, NULL);
    rb_supervisor_ready();
    say(scene, row, 'r');
    while (stops > 0) {
        char what = next_signal();
        say(scene, row, what);
        stops -= what == 'T';
    }
    return 0;
}

static int child(void *ctx, int row) {
    struct scene *scene = ctx;
    close(scene->tell);
    close(scene->words);
    say(scene, row, 's');
    return scene->act(scene, row);
}

static void start(struct scene *scene, int processes,
                  int (*act)(struct scene *scene, int row)) {
    int words[2], go[2];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memset(scene, 0, sizeof *scene);
    snprintf(scene->folder, sizeof scene->folder, "/tmp/test_supervisor_XXXXXX");
    assert_non_null(mkdtemp(scene->folder));
    snprintf(scene->socket_path, sizeof scene->socket_path, "%s/notify", scene->folder);
    scene->notify = socket(AF_UNIX, SOCK_DGRAM, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", scene->socket_path);
    assert_int_equal(
        bind(scene->notify, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(pipe(words), 0);
    assert_int_equal(pipe(go), 0);
    scene->words = words[0];
    scene->say = words[1];
    scene->go = go[0];
    scene->tell = go[1];
    scene->act = act;
    scene->supervisor = fork();
    if (scene->supervisor == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves nobody behind */
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        setenv("NOTIFY_SOCKET", scene->socket_path, 1);
        int quiet = open("/dev/null", O_WRONLY);
        dup2(quiet, 2);
        int code = rb_supervisor_run("test", processes, child, scene);
        raise(SIGTERM); /* who says it late does not change the exit code */
        _exit(code);
    }
    close(scene->say);
}

static void wait_readable(int fd) {
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    if (poll(&polled, 1, PATIENCE_MS) != 1)
        fail_msg("nothing happened for %d ms", PATIENCE_MS);
}

/* The next word; row -1 when all who could say something have ended. */
static struct word hear(struct scene *scene) {
    struct word word;
    wait_readable(scene->words);
    ssize_t len = read(scene->words, &word, sizeof word);
    if (len == 0)
        return (struct word){-1, 0, '.'};
    assert_int_equal(len, sizeof word);
    return word;
}

/* The next words are these, in any order of the rows; pids are kept by row. */
static void hear_from_each(struct scene *scene, int count, char what, pid_t *pids) {
    unsigned heard = 0;
    for (int i = 0; i < count; i++) {
        struct word word = hear(scene);
        assert_int_equal(word.what, what);
        assert_in_range(word.row, 0, count - 1);
        assert_false(heard & (1u << word.row));
        heard |= 1u << word.row;
        if (pids)
            pids[word.row] = word.pid;
    }
}

static void hear_started_and_ready(struct scene *scene, int count, pid_t *pids) {
    int ready = 0, started = 0;
    while (ready < count || started < count) {
        struct word word = hear(scene);
        assert_true(word.what == 's' || word.what == 'r');
        *(word.what == 's' ? &started : &ready) += 1;
        pids[word.row] = word.pid;
    }
}

static void check_notified(struct scene *scene, const char *expected) {
    char got[100] = "";
    wait_readable(scene->notify);
    assert_true(recv(scene->notify, got, sizeof got - 1, 0) > 0);
    assert_string_equal(got, expected);
}

static bool notified(struct scene *scene) {
    char byte;
    return recv(scene->notify, &byte, 1, MSG_DONTWAIT | MSG_PEEK) > 0;
}

/* Waits for the supervisor's end and gives its exit code. All children are gone by then.
 */
static int end(struct scene *scene) {
    struct word word;
    do
        word = hear(scene);
    while (word.row >= 0);
    int status;
    assert_int_equal(waitpid(scene->supervisor, &status, 0), scene->supervisor);
    close(scene->words);
    close(scene->go);
    close(scene->tell);
    close(scene->notify);
    unlink(scene->socket_path);
    rmdir(scene->folder);
    assert_true(WIFEXITED(status) || WTERMSIG(status) == SIGKILL);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int serve_until_stopped(struct scene *scene, int row) {
    return serve(scene, row, 1);
}

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
        cmocka_unit_test(one_process_is_the_program),
        cmocka_unit_test(counts_processes),
        cmocka_unit_test(ready_when_all_are),
        cmocka_unit_test(every_stop_is_passed_on),
        cmocka_unit_test(dead_child_is_replaced_in_its_row),
        cmocka_unit_test(stop_ends_the_wait_for_a_restart),
        cmocka_unit_test(hopeless_start_ends_all),
        cmocka_unit_test(hopeless_start_of_all),
        cmocka_unit_test(later_trouble_of_one_is_not_the_end),
        cmocka_unit_test(work_that_is_done_is_not_done_again),
        cmocka_unit_test(reload_reaches_all_and_who_comes_later),
        cmocka_unit_test(reload_before_ready_harms_nobody),
        cmocka_unit_test(children_end_with_their_parent),
        cmocka_unit_test(child_gets_its_signals_back),
        cmocka_unit_test(hung_child_is_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
