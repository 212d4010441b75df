/* A slow service that costs little: answers every GET or POST with the same small JSON
 * after a fixed delay, on kept-alive connections, from one epoll loop.
 *
 *     bench_service DELAY_MS [PORT]     prints "listening PORT"
 *
 * SIGTERM ends it; then it says how many requests came: {"requests":N}.
 *
 * Requests are recognized by the end of their head, and a body by Content-Length being
 * absent: it is a floor to measure against, not a server. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config/clock.h"
#include "config/process.h"

#define MOST_FDS 65536

struct owed {
    int fd;
    unsigned birth; /* of the connection: an answer to a closed one is dropped */
    int64_t due_us;
};

struct service {
    int epoll, listener;
    int64_t delay_us;
    uint64_t requests;
    struct owed *ring; /* due in order, since the delay is the same for all */
    size_t room, head, count;
    unsigned births[MOST_FDS];
    unsigned char matched[MOST_FDS]; /* of "\r\n\r\n" */
};

static const char answer[] =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    "Content-Length: 27\r\n\r\n{\"price\":187.5,\"cur\":\"USD\"}";

static void reply(struct service *s, const struct owed *owed) {
    if (s->births[owed->fd] == owed->birth)
        (void)!send(owed->fd, answer, sizeof answer - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void owe(struct service *s, int fd) {
    struct owed owed = {fd, s->births[fd], rb_clock_us() + s->delay_us};
    if (s->delay_us == 0) {
        reply(s, &owed);
        return;
    }
    if (s->count == s->room) {
        fprintf(stderr, "more than %zu requests wait\n", s->room);
        exit(1);
    }
    s->ring[(s->head + s->count++) % s->room] = owed;
}

static void on_bytes(struct service *s, int fd) {
    static const char end[] = "\r\n\r\n";
    char bytes[65536];
    ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        s->births[fd]++;
        close(fd);
        return;
    }
    for (ssize_t i = 0; i < n; i++) {
        if (bytes[i] == end[s->matched[fd]])
            s->matched[fd]++;
        else
            s->matched[fd] = bytes[i] == '\r';
        if (s->matched[fd] == 4) {
            s->matched[fd] = 0;
            s->requests++;
            owe(s, fd);
        }
    }
}

static void on_accept(struct service *s) {
    int fd, one = 1;
    while ((fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        s->matched[fd] = 0;
        epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

static volatile sig_atomic_t ended;

static void on_end(int number) { ended = number; }

static int pay(struct service *s) {
    int64_t now = rb_clock_us();
    while (s->count > 0 && s->ring[s->head].due_us <= now) {
        reply(s, &s->ring[s->head]);
        s->head = (s->head + 1) % s->room;
        s->count--;
    }
    if (s->count == 0)
        return -1;
    return (int)((s->ring[s->head].due_us - now) / 1000 + 1);
}

int main(int argc, char **argv) {
    static struct service s;
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof at;
    int one = 1;
    if (argc < 2) {
        fprintf(stderr, "usage: %s DELAY_MS [PORT]\n", argv[0]);
        return 64;
    }
    rb_process_prepare();
    s.delay_us = strtoll(argv[1], NULL, 10) * 1000;
    s.room = 1 << 20;
    s.ring = calloc(s.room, sizeof *s.ring);
    s.epoll = epoll_create1(EPOLL_CLOEXEC);
    s.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons((uint16_t)(argc > 2 ? strtol(argv[2], NULL, 10) : 0));
    setsockopt(s.listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (!s.ring || s.epoll < 0 || bind(s.listener, (struct sockaddr *)&at, len) != 0 ||
        listen(s.listener, 65535) != 0 ||
        getsockname(s.listener, (struct sockaddr *)&at, &len) != 0) {
        perror("listen");
        return 1;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.fd = s.listener};
    epoll_ctl(s.epoll, EPOLL_CTL_ADD, s.listener, &event);
    printf("listening %d\n", ntohs(at.sin_port));
    fflush(stdout);
    struct sigaction end = {.sa_handler = on_end};
    sigaction(SIGTERM, &end, NULL);
    while (!ended) {
        struct epoll_event events[512];
        int n = epoll_wait(s.epoll, events, 512, pay(&s));
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == s.listener)
                on_accept(&s);
            else
                on_bytes(&s, events[i].data.fd);
        }
    }
    printf("{\"requests\":%" PRIu64 "}\n", s.requests);
    return 0;
}
