/* One job after the other on an idle system: how long from RPUSH until somebody hears.
 *
 *     bench_one_job REDIS_SOCKET redis JOBS           hears the channel at Redis
 *     bench_one_job REDIS_SOCKET hop JOBS             no job: a PUBLISH to itself
 *     bench_one_job REDIS_SOCKET PORT JOBS            hears at a WebSocket of a notifier
 *
 * Two milliseconds lie between a result and the next job, so that everybody sleeps.
 * Prints one line of JSON. */
#include <arpa/inet.h>
#include <hiredis/hiredis.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "config/clock.h"
#include "latencies.h"

#define KEY "ringback:ch:{bench:one}"
#define DONE "\"event\":\"done\""
#define WARM_UP 50 /* jobs that do not count */

struct bench {
    redisContext *redis, *heard;
    int fd; /* of the WebSocket, -1 = we listen at Redis */
    bool hop;
};

static void die(const char *what) {
    perror(what);
    exit(1);
}

static redisContext *connect_redis(const char *socket_path) {
    redisContext *redis = redisConnectUnix(socket_path);
    if (!redis || redis->err)
        die("Redis");
    return redis;
}

/* One receive is one frame: nothing else comes on an idle system. */
static size_t receive(int fd, char *bytes, size_t room) {
    ssize_t n = recv(fd, bytes, room, 0);
    if (n <= 0)
        die("recv");
    return (size_t)n;
}

static void open_socket(struct bench *b, int port) {
    static const char request[] =
        "GET /wait/bench:one HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    char bytes[4096];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    b->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (b->fd < 0 || connect(b->fd, (struct sockaddr *)&to, sizeof to) != 0 ||
        send(b->fd, request, sizeof request - 1, MSG_NOSIGNAL) < 0)
        die("connect");
    setsockopt(b->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    receive(b->fd, bytes, sizeof bytes);
    if (memcmp(bytes + 9, "101", 3) != 0)
        die("handshake");
}

static void say(struct bench *b) {
    redisReply *reply;
    if (b->hop)
        reply = redisCommand(b->redis, "PUBLISH " KEY " {\"event\":\"done\"}");
    else
        reply = redisCommand(b->redis, "RPUSH ringback:queue:default %s",
                             "{\"service\":\"bench\",\"params\":{\"n\":1},"
                             "\"channel\":\"bench:one\"}");
    if (!reply || reply->type == REDIS_REPLY_ERROR)
        die("Redis");
    freeReplyObject(reply);
}

/* Until the terminal event is there; what else is told is passed over. */
static void hear(struct bench *b) {
    for (bool done = false; !done;) {
        if (b->fd >= 0) {
            char bytes[8192];
            size_t len = receive(b->fd, bytes, sizeof bytes);
            done = memmem(bytes, len, DONE, sizeof DONE - 1) != NULL;
            continue;
        }
        redisReply *reply;
        if (redisGetReply(b->heard, (void **)&reply) != REDIS_OK)
            die("Redis");
        done = reply->elements == 3 && strstr(reply->element[2]->str, DONE);
        freeReplyObject(reply);
    }
}

int main(int argc, char **argv) {
    static struct rb_histogram latencies;
    if (argc != 4) {
        fprintf(stderr, "usage: %s REDIS_SOCKET redis|hop|PORT JOBS\n", argv[0]);
        return 64;
    }
    struct bench b = {.redis = connect_redis(argv[1]), .fd = -1};
    long port = strtol(argv[2], NULL, 10), jobs = strtol(argv[3], NULL, 10);
    b.hop = strcmp(argv[2], "hop") == 0;
    if (port > 0) {
        open_socket(&b, (int)port);
    } else {
        b.heard = connect_redis(argv[1]);
        freeReplyObject(redisCommand(b.heard, "SUBSCRIBE " KEY));
    }
    for (long i = 0; i < jobs + WARM_UP; i++) {
        struct timespec pause = {.tv_nsec = 2000000};
        nanosleep(&pause, NULL);
        int64_t start = rb_clock_us();
        say(&b);
        hear(&b);
        if (i >= WARM_UP)
            rb_histogram_note(&latencies, rb_clock_us() - start);
    }
    printf("{\"jobs\":%ld,", jobs);
    latencies_print(&latencies);
    printf("}\n");
    redisFree(b.redis);
    if (b.heard)
        redisFree(b.heard);
    else
        close(b.fd);
    return 0;
}
