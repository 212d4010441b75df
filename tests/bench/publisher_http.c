/* Publishes numbered, timed messages by HTTP, to servers that are told so.
 *
 *     bench_publisher_http PORT PATH CHANNELS MESSAGES BYTES [RATE]
 *
 * Message n is POSTed to PATH0 … PATH<CHANNELS-1> in turn over one connection, 64
 * requests ahead of their answers (one, where RATE messages a second are wanted). */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "config/clock.h"

#define AHEAD 64

struct bench {
    const char *path;
    int fd;
    uint64_t channels, total, sent, done, bytes;
    double rate;
    size_t held;
    char answer[65536];
};

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void dial(struct bench *b, int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    b->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (b->fd < 0 || connect(b->fd, (struct sockaddr *)&to, sizeof to) != 0)
        die("connect");
    setsockopt(b->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static void post(struct bench *b) {
    char body[2048], request[4096];
    int len = snprintf(body, sizeof body, "{\"n\":%" PRIu64 ",\"t\":%" PRId64 ",\"x\":\"",
                       b->sent / b->channels, rb_clock_us());
    int most = b->bytes < sizeof body - 2 ? (int)b->bytes - 2 : (int)sizeof body - 4;
    while (len < most)
        body[len++] = 'x';
    memcpy(body + len, "\"}", 2);
    len += 2;
    int size = snprintf(request, sizeof request,
                        "POST %s%" PRIu64
                        " HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%.*s",
                        b->path, b->sent % b->channels, len, len, body);
    if (send(b->fd, request, (size_t)size, MSG_NOSIGNAL) != size)
        die("send");
    b->sent++;
}

/* Counts whole answers: a head, and a body as long as it says. */
static void take_answers(struct bench *b) {
    ssize_t n = recv(b->fd, b->answer + b->held, sizeof b->answer - b->held, 0);
    if (n <= 0)
        die("recv");
    size_t len = b->held + (size_t)n, at = 0;
    for (;;) {
        const char *end = memmem(b->answer + at, len - at, "\r\n\r\n", 4);
        if (!end)
            break;
        size_t head = (size_t)(end - b->answer) + 4 - at;
        const char *body = memmem(b->answer + at, head, "Content-Length: ", 16);
        size_t size = head + (body ? strtoul(body + 16, NULL, 10) : 0);
        if (at + size > len)
            break;
        at += size;
        b->done++;
    }
    memmove(b->answer, b->answer + at, len - at);
    b->held = len - at;
}

static void wait_turn(const struct bench *b, int64_t start_us) {
    int64_t due = start_us + (int64_t)((double)b->sent * 1e6 / b->rate);
    int64_t left = due - rb_clock_us();
    struct timespec gap = {.tv_sec = left / 1000000, .tv_nsec = left % 1000000 * 1000};
    if (left > 0)
        nanosleep(&gap, NULL);
}

int main(int argc, char **argv) {
    static struct bench b;
    if (argc < 6) {
        fprintf(stderr, "usage: %s PORT PATH CHANNELS MESSAGES BYTES [RATE]\n", argv[0]);
        return 64;
    }
    b.path = argv[2];
    b.channels = strtoul(argv[3], NULL, 10);
    b.total = strtoul(argv[4], NULL, 10);
    b.bytes = strtoul(argv[5], NULL, 10);
    b.rate = argc > 6 ? strtod(argv[6], NULL) : 0;
    dial(&b, (int)strtol(argv[1], NULL, 10));
    int64_t start = rb_clock_us();
    while (b.done < b.total) {
        while (b.sent < b.total && b.sent - b.done < (b.rate > 0 ? 1 : AHEAD)) {
            if (b.rate > 0)
                wait_turn(&b, start);
            post(&b);
        }
        take_answers(&b);
    }
    double span = (double)(rb_clock_us() - start) / 1e6;
    printf("{\"published\":%" PRIu64 ",\"span_s\":%.4f,\"per_s\":%.0f}\n", b.done, span,
           (double)b.done / span);
    return 0;
}
