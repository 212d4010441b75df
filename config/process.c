/* What a daemon does about itself: file limits, signals, systemd, randomness. */
#include "config/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "config/text.h"

#define PASSED_FIRST 3 /* SD_LISTEN_FDS_START */
#define PASSED_MAX 1024

/* In a child of the supervisor: where its words for systemd go, see
 * rb_process_notify_through. The process's own, like its standard streams. */
static int parent_fd = -1;

int64_t rb_process_prepare(void) {
    /* A descriptor opened later must never take the number of a standard stream. */
    int fd;
    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO && fcntl(fd, F_SETFD, 0) == 0);
    if (fd > STDERR_FILENO)
        close(fd);

    signal(SIGPIPE, SIG_IGN);

    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 0;
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        limit.rlim_cur = before;
    return limit.rlim_cur > INT64_MAX ? INT64_MAX : (int64_t)limit.rlim_cur;
}

void rb_process_notify_through(int fd) { parent_fd = fd; }

static void send_to_systemd(const char *path, const char *state) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if ((path[0] != '/' && path[0] != '@') || len >= sizeof address.sun_path)
        return;
    memcpy(address.sun_path, path, len);
    if (path[0] == '@')
        address.sun_path[0] = '\0'; /* the abstract namespace, unix(7) */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    /* Who does not read must not stop us for long; and where nobody reads, heartbeats are
     * what waits already. */
    struct timeval patience = {.tv_sec = 1};
    bool heartbeat = rb_text_is(rb_text_of(state), "WATCHDOG=1");
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    while (sendto(fd, state, strlen(state), MSG_NOSIGNAL | (heartbeat ? MSG_DONTWAIT : 0),
                  (const struct sockaddr *)&address, size) < 0 &&
           errno == EINTR)
        ;
    close(fd);
}

void rb_process_notify(const char *state) {
    const char *path = getenv("NOTIFY_SOCKET");
    if (parent_fd >= 0) {
        while (send(parent_fd, state, strlen(state), MSG_NOSIGNAL) < 0 && errno == EINTR)
            ;
    } else if (path) {
        send_to_systemd(path, state);
    }
}

int64_t rb_process_watchdog_ms(void) {
    int64_t usec, pid;
    const char *pid_text = getenv("WATCHDOG_PID");
    if (rb_text_int64(rb_text_of(getenv("WATCHDOG_USEC")), &usec) != RB_OK || usec <= 0)
        return 0;
    /* The variable names the supervisor in its children; they beat to it. */
    if (parent_fd < 0 && pid_text &&
        (rb_text_int64(rb_text_of(pid_text), &pid) != RB_OK || pid != getpid()))
        return 0;
    int64_t half_ms = usec / 2000;
    return half_ms > 0 ? half_ms : 1;
}

static int64_t number_of(const char *variable) {
    int64_t n;
    return rb_text_int64(rb_text_of(getenv(variable)), &n) == RB_OK ? n : 0;
}

int rb_process_passed(struct rb_text name, int nth) {
    struct rb_text names = rb_text_of(getenv("LISTEN_FDNAMES")), this;
    if (number_of("LISTEN_PID") != getpid())
        return -1;
    int64_t count = number_of("LISTEN_FDS");
    for (int64_t i = 0; i < count && i < PASSED_MAX; i++) {
        if (!rb_text_next(&names, ':', &this))
            this = RB_TEXT("unknown"); /* what systemd calls one without a name */
        if (!rb_text_equal(this, name) || nth-- > 0)
            continue;
        int fd = PASSED_FIRST + (int)i, flags = fcntl(fd, F_GETFL);
        if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
            fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
            return -1;
        return fd;
    }
    return -1;
}

static void on_stop(struct ev_loop *loop, ev_signal *w, int events) {
    (void)loop;
    (void)events;
    struct rb_signals *signals = w->data;
    signals->on_stop(signals->ctx);
}

static void on_reload(struct ev_loop *loop, ev_signal *w, int events) {
    (void)loop;
    (void)events;
    struct rb_signals *signals = w->data;
    signals->on_reload(signals->ctx);
}

static void start(struct ev_loop *loop, ev_signal *w, struct rb_signals *signals) {
    w->data = signals;
    ev_signal_start(loop, w);
    ev_unref(loop);
}

static void stop(struct ev_loop *loop, ev_signal *w) {
    if (!ev_is_active(w))
        return;
    ev_ref(loop);
    ev_signal_stop(loop, w);
    signal(w->signum, SIG_IGN);
}

void rb_signals_start(struct rb_signals *signals, struct ev_loop *loop,
                      void (*on_stop_signal)(void *ctx),
                      void (*on_reload_signal)(void *ctx), void *ctx) {
    signals->on_stop = on_stop_signal;
    signals->on_reload = on_reload_signal;
    signals->ctx = ctx;
    ev_signal_init(&signals->term, on_stop, SIGTERM);
    ev_signal_init(&signals->interrupt, on_stop, SIGINT);
    ev_signal_init(&signals->hangup, on_reload, SIGHUP);
    start(loop, &signals->term, signals);
    start(loop, &signals->interrupt, signals);
    if (on_reload_signal)
        start(loop, &signals->hangup, signals);
    else
        signal(SIGHUP, SIG_IGN);
}

void rb_signals_stop(struct rb_signals *signals, struct ev_loop *loop) {
    stop(loop, &signals->term);
    stop(loop, &signals->interrupt);
    stop(loop, &signals->hangup);
}

static void fill_random(void *out, size_t len) {
    unsigned char *to = out;
    while (len > 0) {
        ssize_t got = getrandom(to, len, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            /* Names that others can guess are worse than no process. */
            perror("getrandom");
            abort();
        }
        to += got;
        len -= (size_t)got;
    }
}

void rb_process_random_hex(char *out, size_t bytes) {
    static const char hex[] = "0123456789abcdef";
    unsigned char raw[32];
    if (bytes > sizeof raw)
        bytes = sizeof raw;
    fill_random(raw, bytes);
    for (size_t i = 0; i < bytes; i++) {
        out[2 * i] = hex[raw[i] >> 4];
        out[2 * i + 1] = hex[raw[i] & 15];
    }
    out[2 * bytes] = '\0';
}

uint64_t rb_process_random(void) {
    uint64_t n;
    fill_random(&n, sizeof n);
    return n;
}
