/* Many browsers in one process: opens connections to a notifier, each waiting on a
 * channel, and says how many came up, what they heard, what was lost or came twice, and
 * how late.
 *
 *     bench_clients PORT TRANSPORT CONNECTIONS own|shared MESSAGES [TIMEOUT_S]
 *
 * TRANSPORT is websocket, sse or poll. Prints "ready" when all are waiting, and one line
 * of JSON at the end. What is heard should hold "t":<CLOCK_MONOTONIC µs> and
 * "n":<number>, as bench_publisher writes it. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config/clock.h"
#include "config/process.h"

enum transport { WEBSOCKET, SSE, POLL };

#define HELD 4096 /* of an unfinished line, frame or answer */

struct client {
    int fd;
    uint32_t heard;
    uint32_t held;
    int64_t last; /* number of the last message, -1 before */
    bool waiting; /* the handshake is over */
    char bytes[HELD];
};

struct bench {
    enum transport transport;
    int port, epoll;
    bool own;
    size_t count, up, broken;
    uint64_t expected, heard, lost, twice;
    struct client *clients;
    uint32_t *latencies; /* µs */
    size_t latency_count, latency_room;
    int64_t first_us, last_us;
};

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void note_latency(struct bench *b, int64_t us) {
    if (b->latency_count < b->latency_room)
        b->latencies[b->latency_count++] = us < 0 ? 0 : (uint32_t)us;
}

static int64_t number_behind(const char *at, size_t len, const char *key) {
    const char *found = memmem(at, len, key, strlen(key));
    return found ? strtoll(found + strlen(key), NULL, 10) : -1;
}

static void hear(struct bench *b, struct client *c, const char *at, size_t len) {
    int64_t t = number_behind(at, len, "\"t\":"), n = number_behind(at, len, "\"n\":");
    b->last_us = rb_clock_us();
    if (b->heard++ == 0)
        b->first_us = b->last_us;
    c->heard++;
    if (t > 0)
        note_latency(b, b->last_us - t);
    if (n >= 0 && n <= c->last)
        b->twice++;
    else if (n > c->last + 1)
        b->lost += (uint64_t)(n - c->last - 1);
    if (n > c->last)
        c->last = n;
}

static void send_all(struct bench *b, struct client *c, const char *at, size_t len) {
    if (send(c->fd, at, len, MSG_NOSIGNAL) != (ssize_t)len)
        b->broken++;
}

static void ask(struct bench *b, struct client *c, const char *since) {
    char head[512];
    const char *more = "";
    if (b->transport == WEBSOCKET)
        more =
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    if (b->transport == SSE)
        more = "Accept: text/event-stream\r\n";
    size_t number = b->own ? (size_t)(c - b->clients) : 0;
    int len = snprintf(head, sizeof head,
                       "GET /wait/bench:%zu%s%s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n",
                       number, since ? "?since=" : "", since ? since : "", more);
    send_all(b, c, head, (size_t)len);
}

/* Each of these takes one unit off the front of what is held: how many bytes, 0 = wait.
 */

static size_t take_frame(struct bench *b, struct client *c, const char *at, size_t len) {
    if (len < 2)
        return 0;
    const unsigned char *p = (const unsigned char *)at;
    size_t head = 2, size = p[1] & 0x7f;
    if (size == 126) {
        if (len < 4)
            return 0;
        head = 4;
        size = (size_t)p[2] << 8 | p[3];
    }
    if (len < head + size)
        return 0;
    if ((p[0] & 0x0f) == 1)
        hear(b, c, at + head, size);
    return head + size;
}

static size_t take_line(struct bench *b, struct client *c, const char *at, size_t len) {
    const char *end = memchr(at, '\n', len);
    if (!end)
        return 0;
    size_t size = (size_t)(end - at);
    if (size > 5 && memcmp(at, "data:", 5) == 0)
        hear(b, c, at, size);
    return size + 1;
}

static size_t take_answer(struct bench *b, struct client *c, const char *at, size_t len) {
    char cursor[64] = "";
    const char *head_end = memmem(at, len, "\r\n\r\n", 4);
    if (!head_end)
        return 0;
    size_t head = (size_t)(head_end - at) + 4;
    int64_t body = number_behind(at, head, "Content-Length: ");
    if (body < 0)
        body = 0;
    if (len < head + (size_t)body)
        return 0;
    const char *p = at + head, *end = p + body;
    while ((p = memmem(p, (size_t)(end - p), "\"t\":", 4)) != NULL) {
        const char *next = memmem(p + 1, (size_t)(end - p - 1), "\"t\":", 4);
        hear(b, c, p, (size_t)((next ? next : end) - p));
        p += 4;
    }
    const char *tail = memmem(at + head, (size_t)body, "\"cursor\":\"", 10);
    if (tail)
        sscanf(tail + 10, "%60[0-9-]", cursor);
    if (b->transport == POLL)
        ask(b, c, cursor[0] ? cursor : NULL);
    return head + (size_t)body;
}

static size_t take_handshake(struct bench *b, struct client *c, const char *at,
                             size_t len) {
    const char *end = memmem(at, len, "\r\n\r\n", 4);
    if (!end)
        return 0;
    bool good =
        len > 12 && (memcmp(at + 9, "101", 3) == 0 || memcmp(at + 9, "200", 3) == 0);
    if (!good) {
        fprintf(stderr, "refused: %.*s\n", 60, at);
        b->broken++;
    }
    c->waiting = true;
    b->up++;
    return (size_t)(end - at) + 4;
}

static size_t take(struct bench *b, struct client *c, const char *at, size_t len) {
    if (!c->waiting)
        return take_handshake(b, c, at, len);
    if (b->transport == WEBSOCKET)
        return take_frame(b, c, at, len);
    return b->transport == SSE ? take_line(b, c, at, len) : take_answer(b, c, at, len);
}

static void on_readable(struct bench *b, struct client *c) {
    static char bytes[256 * 1024];
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
    while (at < len && (took = take(b, c, bytes + at, len - at)) > 0)
        at += took;
    c->held = (uint32_t)(len - at);
    if (c->held > HELD) {
        fprintf(stderr, "a message is too long for this program\n");
        exit(1);
    }
    memcpy(c->bytes, bytes + at, c->held);
}

static void turn(struct bench *b, int timeout_ms) {
    struct epoll_event events[512];
    int n = epoll_wait(b->epoll, events, 512, timeout_ms);
    for (int i = 0; i < n; i++)
        on_readable(b, events[i].data.ptr);
}

static void open_one(struct bench *b, struct client *c) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)b->port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->last = -1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0)
        die("connect");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(b->epoll, EPOLL_CTL_ADD, c->fd, &event) != 0)
        die("epoll_ctl");
    ask(b, c, NULL);
    if (b->transport == POLL) { /* its answer is the first message */
        c->waiting = true;
        b->up++;
    }
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static uint32_t percentile(const struct bench *b, double p) {
    if (b->latency_count == 0)
        return 0;
    return b->latencies[(size_t)((double)(b->latency_count - 1) * p)];
}

static void report(struct bench *b, double connect_s) {
    double span = (double)(b->last_us - b->first_us) / 1e6;
    qsort(b->latencies, b->latency_count, sizeof *b->latencies, by_size);
    printf("{\"connections\":%zu,\"up\":%zu,\"broken\":%zu,\"connect_s\":%.3f,"
           "\"expected\":%" PRIu64 ",\"heard\":%" PRIu64 ",\"lost\":%" PRIu64
           ",\"twice\":%" PRIu64 ",\"span_s\":%.4f,\"per_s\":%.0f,"
           "\"p50_us\":%u,\"p99_us\":%u,\"max_us\":%u}\n",
           b->count, b->up, b->broken, connect_s, b->expected, b->heard, b->lost,
           b->twice, span, span > 0 ? (double)b->heard / span : 0, percentile(b, 0.5),
           percentile(b, 0.99), percentile(b, 1));
}

int main(int argc, char **argv) {
    if (argc < 6) {
        fprintf(stderr,
                "usage: %s PORT websocket|sse|poll CONNECTIONS own|shared MESSAGES "
                "[TIMEOUT_S]\n",
                argv[0]);
        return 64;
    }
    struct bench b = {.port = (int)strtol(argv[1], NULL, 10),
                      .transport = argv[2][0] == 'w'   ? WEBSOCKET
                                   : argv[2][0] == 's' ? SSE
                                                       : POLL,
                      .count = strtoul(argv[3], NULL, 10),
                      .own = strcmp(argv[4], "own") == 0};
    uint64_t messages = strtoul(argv[5], NULL, 10);
    int64_t timeout_us = (argc > 6 ? strtoll(argv[6], NULL, 10) : 60) * 1000000;
    rb_process_prepare();
    b.epoll = epoll_create1(EPOLL_CLOEXEC);
    b.expected = messages * b.count;
    b.clients = calloc(b.count, sizeof *b.clients);
    b.latency_room = b.expected < 4000000 ? b.expected + 1 : 4000000;
    b.latencies = calloc(b.latency_room, sizeof *b.latencies);
    if (!b.clients || !b.latencies)
        die("calloc");
    int64_t start = rb_clock_us();
    for (size_t i = 0; i < b.count; i++) {
        open_one(&b, &b.clients[i]);
        turn(&b, 0);
    }
    while (b.up < b.count && rb_clock_us() - start < timeout_us)
        turn(&b, 100);
    double connect_s = (double)(rb_clock_us() - start) / 1e6;
    printf("ready\n");
    fflush(stdout);
    start = rb_clock_us();
    while (b.heard < b.expected && b.broken < b.count &&
           rb_clock_us() - start < timeout_us)
        turn(&b, 200);
    report(&b, connect_s);
    return b.heard == b.expected && b.lost == 0 && b.twice == 0 ? 0 : 1;
}
