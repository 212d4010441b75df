/* Many browsers in one process: opens connections to a server, each waiting on a channel,
 * and says how many came up, what they heard, what was lost or came twice, and how late.
 *
 *     bench_clients [-t websocket|sse|poll] [-p PATH] [-o] [-r|-a] [-f FIRST]
 *                   [-m MESSAGES] [-s SECONDS] PORT CONNECTIONS
 *
 * Connection n asks for PATH (/wait/bench:) and 0, or with -o, on channels of their own,
 * FIRST + n. Prints a line of JSON when all wait, and another one when each has heard
 * MESSAGES, after SECONDS, or when its stdin ends. With -r also one whenever all have
 * heard one more; the rate counts the time from its publication to then. With -a
 * likewise, but who polls asks again only then, so that no request is in that time. What
 * is heard should hold "n":<number> and "t":<CLOCK_MONOTONIC µs>, as bench_publisher
 * writes it. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config/clock.h"
#include "config/process.h"
#include "latencies.h"
#include "wire.h"

#define OPENING 256 /* handshakes at a time: as many as a backlog takes at once */
#define AN_ADDRESS_HAS 10000 /* connections: its ports end at some twenty thousand */

static void die(const char *what) {
    perror(what);
    exit(1);
}

/* Puts what is unfinished aside; most clients never have any. */
static void hold(struct client *c, const char *at, size_t len) {
    if (len > HELD) {
        fprintf(stderr, "a message is too long for this program\n");
        exit(1);
    }
    c->held = (uint32_t)len;
    if (len == 0)
        return;
    if (!c->bytes && !(c->bytes = malloc(HELD)))
        die("malloc");
    memcpy(c->bytes, at, len);
}

static void on_readable(struct bench *b, struct client *c) {
    static char bytes[256 * 1024];
    if (c->held)
        memcpy(bytes, c->bytes, c->held);
    ssize_t n = recv(c->fd, bytes + c->held, sizeof bytes - c->held, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        b->broken++;
        epoll_ctl(b->epoll, EPOLL_CTL_DEL, c->fd, NULL);
        return;
    }
    size_t len = c->held + (size_t)n, at = 0, took;
    while (at < len && (took = wire_take(b, c, bytes + at, len - at)) > 0)
        at += took;
    hold(c, bytes + at, len - at);
}

/* False when stdin ended. */
static bool turn(struct bench *b, int timeout_ms) {
    struct epoll_event events[512];
    int n = epoll_wait(b->epoll, events, 512, timeout_ms);
    for (int i = 0; i < n; i++) {
        char byte;
        if (events[i].data.ptr)
            on_readable(b, events[i].data.ptr);
        else if (read(STDIN_FILENO, &byte, 1) <= 0)
            return false;
    }
    return true;
}

/* Each ten thousand come from an address of their own: one has too few ports for all. */
static void leave_from(int fd, size_t number) {
    int one = 1;
    struct sockaddr_in from = {.sin_family = AF_INET};
    from.sin_addr.s_addr =
        htonl(INADDR_LOOPBACK + 1 + (uint32_t)(number / AN_ADDRESS_HAS));
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&from, sizeof from) != 0)
        die("bind");
}

static void open_one(struct bench *b, struct client *c) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)b->port)};
    int one = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->last = -1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    leave_from(c->fd, b->first + (size_t)(c - b->clients));
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0)
        die("connect");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(b->epoll, EPOLL_CTL_ADD, c->fd, &event) != 0)
        die("epoll_ctl");
    wire_ask(b, c);
    if (b->transport == POLL) { /* its answer is the first message */
        c->waiting = true;
        b->up++;
    }
}

static void open_all(struct bench *b, int64_t until_us) {
    for (size_t i = 0; i < b->count; i++) {
        open_one(b, &b->clients[i]);
        while (i + 1 - b->up >= OPENING && rb_clock_us() < until_us)
            turn(b, 100);
        if (i % 16 == 0)
            turn(b, 0);
    }
    while (b->up < b->count && rb_clock_us() < until_us)
        turn(b, 100);
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* When the last client had a message, in the middle of all messages. */
static uint32_t median_latest(struct bench *b) {
    size_t messages = 0;
    while (messages < LATEST && b->latest_us[messages])
        messages++;
    qsort(b->latest_us, messages, sizeof *b->latest_us, by_size);
    return b->latest_us[messages / 2];
}

/* All have heard one more. */
static void end_round(struct bench *b) {
    b->spent_us += b->last_us - b->begun_us;
    b->begun_us = 0;
    b->round += b->count;
    for (size_t i = 0; b->asks_late && i < b->count; i++)
        wire_ask(b, &b->clients[i]);
    printf("{\"heard\":%" PRIu64 "}\n", b->heard);
    fflush(stdout);
}

static void report(struct bench *b) {
    double span = (double)(b->round ? b->spent_us : b->last_us - b->first_us) / 1e6;
    printf("{\"connections\":%zu,\"up\":%zu,\"broken\":%zu,\"expected\":%" PRIu64
           ",\"heard\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"twice\":%" PRIu64
           ",\"first_us\":%" PRId64 ",\"last_us\":%" PRId64
           ",\"span_s\":%.4f,\"per_s\":%.0f,",
           b->count, b->up, b->broken, b->expected, b->heard, b->lost, b->twice,
           b->first_us, b->last_us, span, span > 0 ? (double)b->heard / span : 0);
    latencies_print(&b->latencies);
    printf(",\"last_us_median\":%u}\n", median_latest(b));
}

static int usage(const char *name) {
    fprintf(stderr,
            "usage: %s [-t websocket|sse|poll] [-p PATH] [-o] [-r|-a] [-f FIRST]\n"
            "       [-m MESSAGES] [-s SECONDS] PORT CONNECTIONS\n",
            name);
    return 64;
}

int main(int argc, char **argv) {
    struct bench b = {.path = "/wait/bench:"};
    uint64_t messages = 0;
    int64_t timeout_s = 60;
    bool rounds = false;
    for (int option; (option = getopt(argc, argv, "t:p:oraf:m:s:")) != -1;) {
        if (option == 't')
            b.transport = optarg[0] == 'w' ? WEBSOCKET : optarg[0] == 's' ? SSE : POLL;
        else if (option == 'p')
            b.path = optarg;
        else if (option == 'o')
            b.own = true;
        else if (option == 'r' || option == 'a')
            rounds = true, b.asks_late = option == 'a';
        else if (option == 'f')
            b.first = strtoul(optarg, NULL, 10);
        else if (option == 'm')
            messages = strtoul(optarg, NULL, 10);
        else if (option == 's')
            timeout_s = strtoll(optarg, NULL, 10);
        else
            return usage(argv[0]);
    }
    if (argc - optind != 2)
        return usage(argv[0]);
    b.port = (int)strtol(argv[optind], NULL, 10);
    b.count = strtoul(argv[optind + 1], NULL, 10);
    rb_process_prepare();
    b.epoll = epoll_create1(EPOLL_CLOEXEC);
    b.expected = messages * b.count;
    b.round = rounds ? b.count : 0;
    b.clients = calloc(b.count, sizeof *b.clients);
    if (b.epoll < 0 || !b.clients)
        die("calloc");
    int64_t start = rb_clock_us(), until = start + timeout_s * 1000000;
    open_all(&b, until);
    printf("{\"ready\":%zu,\"broken\":%zu,\"connect_s\":%.4f}\n", b.up, b.broken,
           (double)(rb_clock_us() - start) / 1e6);
    fflush(stdout);
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(b.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event);
    while ((messages == 0 || b.heard < b.expected) && b.broken < b.count &&
           rb_clock_us() < until && turn(&b, 200))
        if (b.round > 0 && b.heard >= b.round)
            end_round(&b);
    report(&b);
    return b.heard == b.expected && b.lost == 0 && b.twice == 0 && b.broken == 0 ? 0 : 1;
}
