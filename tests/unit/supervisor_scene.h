/* A supervisor in a process of its own, with real forks; its children report over a pipe
 * what happens to them, and the test waits for those words and never for time. */
#ifndef RB_TESTS_SUPERVISOR_SCENE_H
#define RB_TESTS_SUPERVISOR_SCENE_H

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

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

static inline void say(const struct scene *scene, int row, char what) {
    struct word word;
    memset(&word, 0, sizeof word);
    word.row = row;
    word.pid = getpid();
    word.what = what;
    if (write(scene->say, &word, sizeof word) != (ssize_t)sizeof word)
        _exit(90);
}

static inline void wait_for_go(const struct scene *scene) {
    char byte;
    if (read(scene->go, &byte, 1) != 1)
        _exit(91);
}

static inline sigset_t all_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    return set;
}

static inline char next_signal(void) {
    sigset_t set = all_signals();
    int number = sigwaitinfo(&set, NULL);
    return number == SIGTERM  ? 'T'
           : number == SIGINT ? 'I'
           : number == SIGHUP ? 'H'
                              : '?';
}

/* Serves until SIGTERM has come `stops` times. */
static inline int serve(struct scene *scene, int row, int stops) {
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

static inline int child(void *ctx, int row) {
    struct scene *scene = ctx;
    close(scene->tell);
    close(scene->words);
    say(scene, row, 's');
    return scene->act(scene, row);
}

static inline void start(struct scene *scene, int processes,
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

static inline void wait_readable(int fd) {
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    if (poll(&polled, 1, PATIENCE_MS) != 1)
        fail_msg("nothing happened for %d ms", PATIENCE_MS);
}

/* The next word; row -1 when all who could say something have ended. */
static inline struct word hear(struct scene *scene) {
    struct word word;
    wait_readable(scene->words);
    ssize_t len = read(scene->words, &word, sizeof word);
    if (len == 0)
        return (struct word){-1, 0, '.'};
    assert_int_equal(len, sizeof word);
    return word;
}

/* The next words are these, in any order of the rows; pids are kept by row. */
static inline void hear_from_each(struct scene *scene, int count, char what,
                                  pid_t *pids) {
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

static inline void hear_started_and_ready(struct scene *scene, int count, pid_t *pids) {
    int ready = 0, started = 0;
    while (ready < count || started < count) {
        struct word word = hear(scene);
        assert_true(word.what == 's' || word.what == 'r');
        *(word.what == 's' ? &started : &ready) += 1;
        pids[word.row] = word.pid;
    }
}

static inline void check_notified(struct scene *scene, const char *expected) {
    char got[100] = "";
    wait_readable(scene->notify);
    assert_true(recv(scene->notify, got, sizeof got - 1, 0) > 0);
    assert_string_equal(got, expected);
}

static inline bool notified(struct scene *scene) {
    char byte;
    return recv(scene->notify, &byte, 1, MSG_DONTWAIT | MSG_PEEK) > 0;
}

/* Waits for the supervisor's end and gives its exit code. All children are gone by then.
 */
static inline int end(struct scene *scene) {
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

static inline int serve_until_stopped(struct scene *scene, int row) {
    return serve(scene, row, 1);
}

#endif
