/* The parent of several processes: forks, restarts, passes signals on, speaks to systemd.
 *
 * The parent has no event loop. Its signals are blocked and read from a signalfd, so that
 * poll(2) is the only place where anything happens. Each child has a socket to the parent
 * and says READY=1 and WATCHDOG=1 over it. */
#include "config/supervisor.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/clock.h"
#include "config/log.h"
#include "config/options.h"
#include "config/process.h"

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 10000
#define BACKOFF_FORGET_MS 60000
#define MAX_PROCESSES 256

struct child {
    pid_t pid;       /* 0 = not running */
    int fd;          /* our end of its socket, -1 = none */
    bool ready;      /* has said READY=1 since it was started */
    bool finished;   /* returned 0 by itself, or ended while we stop: not started again */
    bool beats;      /* has said WATCHDOG=1 */
    int64_t beat_ms; /* when it said so last */
    int64_t started_ms;
    int64_t restart_ms; /* when to start it again, while not running */
    int64_t backoff_ms; /* how long the next wait is */
};

struct supervisor {
    int (*run)(void *ctx, int row);
    void *ctx;
    struct child *children;
    struct pollfd *polled; /* the signalfd, then one a child */
    int count;
    int signals;
    sigset_t mask_before;
    bool stopping;
    bool ready;    /* all have been ready once: the start-up is over */
    bool reloaded; /* a SIGHUP came: who is started later needs one too */
    int exit_code;
    int64_t watchdog_ms; /* half the time that systemd allows, 0 = it does not watch */
    int64_t watchdog_due_ms;
};

int rb_supervisor_processes(int64_t processes) {
    if (processes != RB_PROCESSES_AUTO)
        return processes < 1               ? 1
               : processes > MAX_PROCESSES ? MAX_PROCESSES
                                           : (int)processes;
    cpu_set_t set;
    long cores = sched_getaffinity(0, sizeof set, &set) == 0
                     ? CPU_COUNT(&set)
                     : sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1 ? 1 : cores > MAX_PROCESSES ? MAX_PROCESSES : (int)cores;
}

void rb_supervisor_ready(void) { rb_process_notify("READY=1"); }

static void close_fd(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* The child's side of the fork: never returns. */
static _Noreturn void be_child(struct supervisor *s, int row, int fd, pid_t parent) {
    /* It goes with the parent. When that died before prctl was in force, nobody tells. */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(RB_EXIT_FAILURE);
    /* A group of its own: Ctrl-C reaches the parent alone, which passes it on once. */
    setpgid(0, 0);
    close_fd(&s->signals);
    for (int i = 0; i < s->count; i++)
        close_fd(&s->children[i].fd);
    free(s->children);
    free(s->polled);
    /* Until the program has its own handler, a reload must not be its end. */
    signal(SIGHUP, SIG_IGN);
    rb_process_notify_through(fd);
    sigset_t before = s->mask_before;
    sigprocmask(SIG_SETMASK, &before, NULL);
    exit(s->run(s->ctx, row));
}

static void wait_longer(struct child *c, int64_t now_ms) {
    c->restart_ms = now_ms + c->backoff_ms;
    c->backoff_ms *= 2;
    if (c->backoff_ms > BACKOFF_MAX_MS)
        c->backoff_ms = BACKOFF_MAX_MS;
}

static void start_failed(struct child *c, int row, int64_t now_ms) {
    rb_log(RB_LOG_ERROR, "supervisor.fork_failed", RB_I("row", row),
           RB_S("error", strerror(errno)), RB_I("retry_in_ms", c->backoff_ms));
    wait_longer(c, now_ms);
}

static void start_child(struct supervisor *s, int row, int64_t now_ms) {
    struct child *c = &s->children[row];
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) !=
        0) {
        start_failed(c, row, now_ms);
        return;
    }
    fflush(NULL); /* or the child would write our buffers once more */
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        close(pair[0]);
        be_child(s, row, pair[1], parent);
    }
    if (pid < 0)
        start_failed(c, row, now_ms);
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        return;
    }
    c->pid = pid;
    c->fd = pair[0];
    c->ready = c->beats = false;
    c->started_ms = now_ms;
    rb_log(RB_LOG_DEBUG, "supervisor.child_started", RB_I("row", row), RB_I("pid", pid));
}

static void pass_on(struct supervisor *s, int signal_number) {
    for (int i = 0; i < s->count; i++) {
        const struct child *c = &s->children[i];
        /* Who is not ready yet hears of a reload when it is. */
        if (c->pid > 0 && (signal_number != SIGHUP || c->ready))
            kill(c->pid, signal_number);
    }
}

static void stop(struct supervisor *s, int signal_number) {
    if (!s->stopping)
        rb_process_notify("STOPPING=1");
    s->stopping = true;
    pass_on(s, signal_number);
}

static const char *signal_name(int number) {
    return number == SIGHUP ? "SIGHUP" : number == SIGINT ? "SIGINT" : "SIGTERM";
}

static void read_signals(struct supervisor *s) {
    struct signalfd_siginfo info;
    while (read(s->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        int number = (int)info.ssi_signo;
        if (number == SIGCHLD)
            continue; /* a wake-up; waitpid tells the rest */
        rb_log(RB_LOG_INFO, "supervisor.signal", RB_S("signal", signal_name(number)));
        if (number == SIGHUP) {
            s->reloaded = true;
            pass_on(s, SIGHUP);
        } else {
            stop(s, number);
        }
    }
}

/* The first time that each child is ready, or has already done what there was to do. */
static void announce_ready(struct supervisor *s) {
    if (s->ready || s->stopping)
        return;
    for (int i = 0; i < s->count; i++)
        if (!s->children[i].ready && !s->children[i].finished)
            return;
    s->ready = true;
    rb_process_notify("READY=1");
}

static void hear(struct supervisor *s, struct child *c, struct rb_text word,
                 int64_t now_ms) {
    if (rb_text_starts(word, RB_TEXT("WATCHDOG=1"))) {
        c->beats = true;
        c->beat_ms = now_ms;
    } else if (rb_text_starts(word, RB_TEXT("READY=1")) && !c->ready) {
        c->ready = true;
        if (s->reloaded)
            kill(c->pid, SIGHUP);
        announce_ready(s);
    }
}

static void read_child(struct supervisor *s, struct child *c, int64_t now_ms) {
    char word[256];
    while (c->fd >= 0) {
        ssize_t got = recv(c->fd, word, sizeof word, MSG_DONTWAIT);
        if (got > 0)
            hear(s, c, rb_text(word, (size_t)got), now_ms);
        else if (got < 0 && errno == EINTR)
            continue;
        else if (got < 0 && errno == EAGAIN)
            return;
        else
            close_fd(&c->fd); /* closed at the other end: poll would tell it for ever */
    }
}

/* A child ended without being asked to: what follows from how. */
static void judge(struct supervisor *s, struct child *c, int row, int status,
                  int64_t now_ms) {
    bool exited = WIFEXITED(status);
    int code = exited ? WEXITSTATUS(status) : WTERMSIG(status);
    if (exited && code == RB_EXIT_OK) {
        c->finished = true;
        announce_ready(s);
        return;
    }
    if (now_ms - c->started_ms >= BACKOFF_FORGET_MS)
        c->backoff_ms = BACKOFF_FIRST_MS;
    bool hopeless = exited && !s->ready && !c->ready &&
                    (code == RB_EXIT_UNAVAILABLE || code == RB_EXIT_CONFIG);
    rb_log(RB_LOG_ERROR, "supervisor.child_died", RB_I("row", row), RB_I("pid", c->pid),
           RB_I(exited ? "exit_code" : "signal", code),
           RB_I("restart_in_ms", hopeless ? -1 : c->backoff_ms));
    if (hopeless) {
        s->exit_code = code;
        stop(s, SIGTERM);
    } else {
        wait_longer(c, now_ms);
    }
}

static void reap(struct supervisor *s, int64_t now_ms) {
    for (int i = 0; i < s->count; i++) {
        struct child *c = &s->children[i];
        int status;
        if (c->pid == 0 || waitpid(c->pid, &status, WNOHANG) != c->pid)
            continue;
        read_child(s, c, now_ms); /* what it said before it ended */
        close_fd(&c->fd);
        if (!s->stopping)
            judge(s, c, i, status, now_ms);
        c->pid = 0;
    }
}

/* systemd watches the parent, the parent its children: who beat once and then stopped is
 * aborted, so that a core tells where it hung, and is started again. */
static void watch(struct supervisor *s, int64_t now_ms) {
    if (s->watchdog_ms == 0 || now_ms < s->watchdog_due_ms)
        return;
    s->watchdog_due_ms = now_ms + s->watchdog_ms;
    rb_process_notify("WATCHDOG=1");
    for (int i = 0; i < s->count; i++) {
        struct child *c = &s->children[i];
        if (c->pid == 0 || !c->beats || now_ms - c->beat_ms <= 2 * s->watchdog_ms)
            continue;
        rb_log(RB_LOG_ERROR, "supervisor.child_hung", RB_I("row", i), RB_I("pid", c->pid),
               RB_I("silent_ms", now_ms - c->beat_ms));
        c->beats = false;
        kill(c->pid, SIGABRT);
    }
}

/* Starts who is due. False when nobody runs and nobody will. */
static bool start_due(struct supervisor *s, int64_t now_ms) {
    bool more = false;
    for (int i = 0; i < s->count; i++) {
        struct child *c = &s->children[i];
        bool wanted = !s->stopping && !c->finished;
        if (c->pid == 0 && wanted && now_ms >= c->restart_ms)
            start_child(s, i, now_ms);
        more = more || c->pid > 0 || wanted;
    }
    return more;
}

/* Until the next restart or heartbeat; -1 = until something happens. */
static int time_left(const struct supervisor *s, int64_t now_ms) {
    int64_t due = s->watchdog_ms > 0 ? s->watchdog_due_ms : INT64_MAX;
    for (int i = 0; i < s->count && !s->stopping; i++) {
        const struct child *c = &s->children[i];
        if (c->pid == 0 && !c->finished && c->restart_ms < due)
            due = c->restart_ms;
    }
    if (due == INT64_MAX)
        return -1;
    return due <= now_ms ? 0 : due - now_ms > INT32_MAX ? INT32_MAX : (int)(due - now_ms);
}

static void supervise(struct supervisor *s) {
    int64_t now_ms = rb_clock_ms();
    while (start_due(s, now_ms)) {
        s->polled[0] = (struct pollfd){.fd = s->signals, .events = POLLIN};
        for (int i = 0; i < s->count; i++)
            s->polled[i + 1] = (struct pollfd){.fd = s->children[i].fd, .events = POLLIN};
        poll(s->polled, (nfds_t)s->count + 1, time_left(s, now_ms));
        now_ms = rb_clock_ms();
        read_signals(s);
        for (int i = 0; i < s->count; i++)
            read_child(s, &s->children[i], now_ms);
        reap(s, now_ms);
        watch(s, now_ms);
    }
}

/* Blocks the signals and opens what reads them; false, and nothing is left, when it
 * fails. */
static bool prepare(struct supervisor *s) {
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGHUP);
    sigaddset(&mask, SIGCHLD);
    s->children = calloc((size_t)s->count, sizeof *s->children);
    s->polled = calloc((size_t)s->count + 1, sizeof *s->polled);
    s->signals =
        s->children && s->polled ? signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK) : -1;
    if (s->signals < 0) {
        free(s->children);
        free(s->polled);
        return false;
    }
    for (int i = 0; i < s->count; i++) {
        s->children[i].fd = -1;
        s->children[i].backoff_ms = BACKOFF_FIRST_MS;
    }
    signal(SIGCHLD, SIG_DFL); /* inherited as ignored, it would eat the exit codes */
    sigprocmask(SIG_BLOCK, &mask, &s->mask_before);
    s->watchdog_ms = rb_process_watchdog_ms();
    return true;
}

int rb_supervisor_run(const char *program, int processes,
                      int (*child)(void *ctx, int row), void *ctx) {
    if (processes <= 1)
        return child(ctx, 0);
    struct supervisor s = {.run = child, .ctx = ctx, .count = processes};
    if (!prepare(&s)) {
        fprintf(stderr, "%s: can't supervise: %s\n", program, strerror(errno));
        return RB_EXIT_FAILURE;
    }
    rb_log(RB_LOG_INFO, "supervisor.started", RB_I("processes", processes));
    supervise(&s);
    rb_log(RB_LOG_INFO, "supervisor.ended", RB_I("exit_code", s.exit_code));
    close_fd(&s.signals);
    free(s.children);
    free(s.polled);
    /* The signals stay blocked: the caller ends, and one that comes late would only turn
     * the exit code into a signal's. */
    return s.exit_code;
}
