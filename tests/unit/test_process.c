/* What a daemon does about itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/process.h"

/* In a child, because it changes the whole process. Each failed step has its exit code.
 */
static void prepares(void **state) {
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit limit;
        getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = 64;
        setrlimit(RLIMIT_NOFILE, &limit);
        close(0);
        close(2);
        int64_t files = rb_process_prepare();
        getrlimit(RLIMIT_NOFILE, &limit);
        if (limit.rlim_cur != limit.rlim_max || files != (int64_t)limit.rlim_max)
            _exit(1);
        for (int fd = 0; fd <= 2; fd++)
            if (fcntl(fd, F_GETFD) != 0)
                _exit(2);
        int next = open("/dev/null", O_RDONLY);
        if (next <= 2)
            _exit(3);
        int ends[2];
        if (pipe(ends) != 0)
            _exit(4);
        close(ends[0]);
        _exit(write(ends[1], "x", 1) == -1 && errno == EPIPE ? 0 : 5);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int bound_socket(const char *path, size_t len) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, len);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, size), 0);
    return fd;
}

static void check_received(int fd, const char *expected) {
    char got[100] = "";
    ssize_t len = recv(fd, got, sizeof got - 1, MSG_DONTWAIT);
    assert_int_equal(len, strlen(expected));
    assert_string_equal(got, expected);
}

static void notifies_systemd(void **state) {
    (void)state;
    unsetenv("NOTIFY_SOCKET");
    rb_process_notify("READY=1"); /* nobody to tell */

    char folder[] = "/tmp/test_process_XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/notify", folder);
    int fd = bound_socket(path, strlen(path));
    setenv("NOTIFY_SOCKET", path, 1);
    rb_process_notify("READY=1\nSTATUS=here");
    check_received(fd, "READY=1\nSTATUS=here");
    close(fd);
    unlink(path);
    rmdir(folder);
    rb_process_notify("READY=1"); /* nobody is there any more */

    snprintf(path, sizeof path, "@ringback-test-%ld", (long)getpid());
    char name[64];
    memcpy(name, path, sizeof name);
    name[0] = '\0';
    fd = bound_socket(name, strlen(path));
    setenv("NOTIFY_SOCKET", path, 1);
    rb_process_notify("WATCHDOG=1");
    check_received(fd, "WATCHDOG=1");
    close(fd);

    char longer[300];
    memset(longer, 'x', sizeof longer - 1);
    longer[0] = '/';
    longer[sizeof longer - 1] = '\0';
    setenv("NOTIFY_SOCKET", longer, 1);
    rb_process_notify("READY=1");
    setenv("NOTIFY_SOCKET", "relative", 1);
    rb_process_notify("READY=1");
    setenv("NOTIFY_SOCKET", "", 1);
    rb_process_notify("READY=1");
    unsetenv("NOTIFY_SOCKET");
}

static void notifies_the_parent(void **state) {
    (void)state;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    rb_process_notify_through(pair[0]);
    rb_process_notify("READY=1");
    check_received(pair[1], "READY=1");
    close(pair[1]);
    rb_process_notify("READY=1"); /* the parent is gone: no SIGPIPE */
    rb_process_notify_through(-1);
    close(pair[0]);
}

static void reads_the_watchdog(void **state) {
    (void)state;
    char pid[32];
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    assert_int_equal(rb_process_watchdog_ms(), 0);
    setenv("WATCHDOG_USEC", "30000000", 1);
    assert_int_equal(rb_process_watchdog_ms(), 15000);
    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    setenv("WATCHDOG_PID", pid, 1);
    assert_int_equal(rb_process_watchdog_ms(), 15000);
    setenv("WATCHDOG_PID", "1", 1);
    assert_int_equal(rb_process_watchdog_ms(), 0);
    rb_process_notify_through(0); /* a child of the one that is watched */
    assert_int_equal(rb_process_watchdog_ms(), 15000);
    rb_process_notify_through(-1);
    unsetenv("WATCHDOG_PID");
    static const char *const wrong[] = {"", "0", "-5", "1s", "99999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        setenv("WATCHDOG_USEC", wrong[i], 1);
        assert_int_equal(rb_process_watchdog_ms(), 0);
    }
    setenv("WATCHDOG_USEC", "1", 1);
    assert_int_equal(rb_process_watchdog_ms(), 1);
    unsetenv("WATCHDOG_USEC");
}

struct calls {
    int stops, reloads;
};

static void count_stop(void *ctx) { ((struct calls *)ctx)->stops++; }

static void count_reload(void *ctx) { ((struct calls *)ctx)->reloads++; }

static void signals_reach_the_loop(void **state) {
    (void)state;
    struct ev_loop *loop = ev_default_loop(0);
    struct rb_signals signals;
    struct calls calls = {0, 0};
    rb_signals_start(&signals, loop, count_stop, count_reload, &calls);
    ev_run(loop, 0); /* returns: nothing keeps it alive */
    raise(SIGTERM);
    ev_run(loop, EVRUN_NOWAIT);
    assert_int_equal(calls.stops, 1);
    raise(SIGINT);
    ev_run(loop, EVRUN_NOWAIT);
    assert_int_equal(calls.stops, 2);
    assert_int_equal(calls.reloads, 0);
    raise(SIGHUP);
    ev_run(loop, EVRUN_NOWAIT);
    assert_int_equal(calls.reloads, 1);
    rb_signals_stop(&signals, loop);
    rb_signals_stop(&signals, loop);

    rb_signals_start(&signals, loop, count_stop, NULL, &calls);
    raise(SIGHUP);
    ev_run(loop, EVRUN_NOWAIT);
    assert_int_equal(calls.reloads, 1);
    rb_signals_stop(&signals, loop);
    raise(SIGTERM); /* while it tidies up: it lives on */
    raise(SIGINT);
    ev_run(loop, 0);
    assert_int_equal(calls.stops, 2);
    ev_loop_destroy(loop);
}

static void random_texts_differ(void **state) {
    (void)state;
    char a[65], b[65];
    rb_process_random_hex(a, 32);
    rb_process_random_hex(b, 32);
    assert_int_equal(strlen(a), 64);
    assert_int_equal(strspn(a, "0123456789abcdef"), 64);
    assert_string_not_equal(a, b);
    rb_process_random_hex(a, 0);
    assert_string_equal(a, "");
    rb_process_random_hex(a, 1);
    assert_int_equal(strlen(a), 2);
    assert_true(rb_process_random() != rb_process_random());
}

/* In a child: descriptors from 3 on are what was passed. */
static void takes_passed_sockets(void **state) {
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        char self[32];
        snprintf(self, sizeof self, "%ld", (long)getpid());
        for (int fd = 3; fd <= 6; fd++)
            if (dup2(STDERR_FILENO, fd) != fd)
                _exit(1);
        if (rb_process_passed(RB_TEXT("web"), 0) != -1)
            _exit(2); /* nothing is said */
        setenv("LISTEN_FDS", "4", 1);
        setenv("LISTEN_FDNAMES", "web::web", 1);
        setenv("LISTEN_PID", "1", 1);
        if (rb_process_passed(RB_TEXT("web"), 0) != -1)
            _exit(3); /* said to another process */
        setenv("LISTEN_PID", self, 1);
        if (rb_process_passed(RB_TEXT("web"), 0) != 3 ||
            rb_process_passed(RB_TEXT("web"), 1) != 5 ||
            rb_process_passed(RB_TEXT("web"), 2) != -1 ||
            rb_process_passed(RB_TEXT("unknown"), 0) != 6 ||
            rb_process_passed(RB_TEXT("we"), 0) != -1)
            _exit(4);
        if ((fcntl(3, F_GETFD) & FD_CLOEXEC) == 0 ||
            (fcntl(3, F_GETFL) & O_NONBLOCK) == 0)
            _exit(5);
        setenv("LISTEN_FDS", "100", 1);
        setenv("LISTEN_FDNAMES", "a:b:c:d:e:f", 1);
        close(8);
        _exit(rb_process_passed(RB_TEXT("f"), 0) == -1 ? 0 : 6);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prepares),
        cmocka_unit_test(takes_passed_sockets),
        cmocka_unit_test(notifies_systemd),
        cmocka_unit_test(notifies_the_parent),
        cmocka_unit_test(reads_the_watchdog),
        cmocka_unit_test(signals_reach_the_loop),
        cmocka_unit_test(random_texts_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
