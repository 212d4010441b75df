/* The floor under a notifier: what is left when nothing is promised. A bare epoll loop
 * that shakes hands with WebSockets, hears Redis, and hands on what it hears.
 *
 *     floor_broadcast gather|each REDIS_SOCKET [PROCESSES [PING_S]]
 *
 * Prints "listening PORT". gather: what a socket gets in one turn of the loop leaves in
 * one writev; each: one write a message. A GET that is no handshake is a poll: the next
 * message is its answer. Each client is pinged once in PING_S seconds, 0: never. No
 * history, no cursors, no limits, no other paths than /wait/bench:<number>. */
#include <arpa/inet.h>
#include <errno.h>
#include <hiredis/hiredis.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "config/clock.h"
#include "config/process.h"

#define MOST_CHANNELS 131072
#define AT_ONCE 64     /* messages in a writev */
#define READS 32       /* from Redis in a turn */
#define BEFORE_MORE 64 /* clients written to, then Redis is heard again */

struct message {
    uint32_t refs, len;
    char bytes[];
};

struct client {
    int fd;
    bool waiting, dirty, blocked, poll;
    uint32_t queued, room, sent; /* messages; and bytes of the first that are out */
    struct message **queue;
    LIST_ENTRY(client) member;
    STAILQ_ENTRY(client) turn;
    TAILQ_ENTRY(client) beat;
};
LIST_HEAD(members, client);

struct floor {
    bool gather;
    int epoll, listener;
    redisContext *redis;
    struct members *channels;
    bool *subscribed;
    STAILQ_HEAD(, client) dirty;
    TAILQ_HEAD(, client) beats; /* WebSockets, the next to be pinged first */
    size_t pinged;              /* of them */
    long ping_s;
    struct message *ping;
};

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void watch(struct floor *f, int how, int fd, uint32_t events, void *ptr) {
    struct epoll_event event = {.events = events, .data.ptr = ptr};
    if (epoll_ctl(f->epoll, how, fd, &event) != 0)
        die("epoll_ctl");
}

static void unref(struct message *m) {
    if (--m->refs == 0)
        free(m);
}

/* ------------------------------------------------------------------------- writing */

static void flush(struct floor *f, struct client *c) {
    while (c->queued > 0) {
        struct iovec parts[AT_ONCE];
        int n = 0;
        for (; n < AT_ONCE && (uint32_t)n < c->queued; n++)
            parts[n] = (struct iovec){c->queue[n]->bytes, c->queue[n]->len};
        parts[0].iov_base = c->queue[0]->bytes + c->sent;
        parts[0].iov_len -= c->sent;
        ssize_t took = writev(c->fd, parts, n);
        if (took < 0) {
            if (errno == EAGAIN && !c->blocked) {
                c->blocked = true;
                watch(f, EPOLL_CTL_MOD, c->fd, EPOLLIN | EPOLLOUT, c);
            }
            return;
        }
        uint32_t out = 0;
        size_t left = (size_t)took + c->sent;
        while (out < c->queued && left >= c->queue[out]->len) {
            left -= c->queue[out]->len;
            unref(c->queue[out++]);
        }
        c->sent = (uint32_t)left;
        c->queued -= out;
        memmove(c->queue, c->queue + out, c->queued * sizeof *c->queue);
    }
    if (c->blocked) {
        c->blocked = false;
        watch(f, EPOLL_CTL_MOD, c->fd, EPOLLIN, c);
    }
}

static void hand(struct floor *f, struct client *c, struct message *m) {
    if (c->queued == c->room) {
        c->room = c->room ? 2 * c->room : 4;
        c->queue = realloc(c->queue, c->room * sizeof *c->queue);
        if (!c->queue)
            die("realloc");
    }
    m->refs++;
    c->queue[c->queued++] = m;
    if (!f->gather) {
        flush(f, c);
    } else if (!c->dirty) {
        c->dirty = true;
        STAILQ_INSERT_TAIL(&f->dirty, c, turn);
    }
}

static void end_turn(struct floor *f) {
    struct client *c;
    for (int i = 0; i < BEFORE_MORE && (c = STAILQ_FIRST(&f->dirty)); i++) {
        STAILQ_REMOVE_HEAD(&f->dirty, turn);
        c->dirty = false;
        if (!c->blocked)
            flush(f, c);
        if (c->queued == 0) { /* who waits without news owns no queue */
            free(c->queue);
            c->queue = NULL;
            c->room = 0;
        }
        if (c->fd < 0)
            free(c);
    }
}

/* -------------------------------------------------------------------------- hearing */

static struct message *message_of(const char *head, size_t head_len, const char *at,
                                  size_t len, const char *tail) {
    size_t tail_len = strlen(tail);
    struct message *m = malloc(sizeof *m + head_len + len + tail_len);
    if (!m)
        die("malloc");
    memcpy(m->bytes, head, head_len);
    memcpy(m->bytes + head_len, at, len);
    memcpy(m->bytes + head_len + len, tail, tail_len);
    m->refs = 1;
    m->len = (uint32_t)(head_len + len + tail_len);
    return m;
}

static struct message *frame_of(const char *at, size_t len) {
    char head[4] = {(char)0x81, (char)len};
    if (len < 126)
        return message_of(head, 2, at, len, "");
    head[1] = 126;
    head[2] = (char)(len >> 8);
    head[3] = (char)len;
    return message_of(head, 4, at, len, "");
}

static struct message *answer_of(const char *at, size_t len) {
    static const char tail[] = "],\"cursor\":\"-\"}";
    char head[128];
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                     "Content-Length: %zu\r\n\r\n{\"events\":[",
                     11 + len + sizeof tail - 1);
    return message_of(head, (size_t)n, at, len, tail);
}

static void hear(struct floor *f, const redisReply *reply) {
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3 ||
        strcmp(reply->element[0]->str, "message") != 0)
        return;
    const char *name = reply->element[1]->str, *text = reply->element[2]->str;
    const char *number = strstr(name, "bench:"), *json = strchr(text, '{');
    if (!number || !json)
        return;
    size_t channel = strtoul(number + 6, NULL, 10);
    size_t len = reply->element[2]->len - (size_t)(json - text);
    struct message *forms[2] = {NULL, NULL};
    struct client *c, *next;
    for (c = LIST_FIRST(&f->channels[channel]); c; c = next) {
        struct message **m = &forms[c->poll];
        next = LIST_NEXT(c, member);
        if (!*m)
            *m = c->poll ? answer_of(json, len) : frame_of(json, len);
        hand(f, c, *m);
        if (c->poll) { /* it has its answer and asks again */
            c->waiting = false;
            LIST_REMOVE(c, member);
        }
    }
    for (int i = 0; i < 2; i++)
        if (forms[i])
            unref(forms[i]);
}

static bool has_more(const struct floor *f) {
    char byte;
    return recv(f->redis->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

/* hiredis reads 16 KiB at a time. */
static void on_redis(struct floor *f) {
    void *reply;
    int reads = 0;
    do {
        if (redisBufferRead(f->redis) != REDIS_OK)
            die("Redis");
        while (redisGetReplyFromReader(f->redis, &reply) == REDIS_OK && reply) {
            hear(f, reply);
            freeReplyObject(reply);
        }
    } while (f->gather && ++reads < READS && has_more(f));
}

/* What was asked in this turn leaves at its end. */
static void ask_redis(struct floor *f) {
    int done = 0;
    while (!done && redisBufferWrite(f->redis, &done) == REDIS_OK)
        continue;
    if (!done)
        die("Redis");
}

static void join(struct floor *f, struct client *c, size_t channel) {
    LIST_INSERT_HEAD(&f->channels[channel], c, member);
    if (!f->subscribed[channel]) {
        f->subscribed[channel] = true;
        redisAppendCommand(f->redis, "SUBSCRIBE ringback:ch:{bench:%u}",
                           (unsigned)channel);
    }
}

/* ------------------------------------------------------------------------- browsers */

static void shake_hands(struct floor *f, struct client *c, const char *key) {
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char digest[SHA_DIGEST_LENGTH];
    char text[24 + sizeof guid], accept[32], answer[256];
    memcpy(text, key, 24);
    memcpy(text + 24, guid, sizeof guid);
    SHA1((unsigned char *)text, 24 + sizeof guid - 1, digest);
    EVP_EncodeBlock((unsigned char *)accept, digest, sizeof digest);
    int len = snprintf(answer, sizeof answer,
                       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                       "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                       accept);
    (void)!send(c->fd, answer, (size_t)len, MSG_NOSIGNAL);
    TAILQ_INSERT_TAIL(&f->beats, c, beat);
    f->pinged++;
}

static void take_request(struct floor *f, struct client *c, const char *head) {
    const char *number = strstr(head, "bench:");
    size_t channel = number ? strtoul(number + 6, NULL, 10) : MOST_CHANNELS;
    /* Whoever polls has shown already that it is no WebSocket. */
    const char *key = c->poll ? NULL : strcasestr(head, "Sec-WebSocket-Key: ");
    if (channel >= MOST_CHANNELS)
        return;
    if (key)
        shake_hands(f, c, key + 19);
    c->poll = !key;
    c->waiting = true;
    join(f, c, channel);
}

/* Once a second its share of all of them. */
static void ping_some(struct floor *f) {
    size_t share = (f->pinged + (size_t)f->ping_s - 1) / (size_t)f->ping_s;
    for (; share > 0; share--) {
        struct client *c = TAILQ_FIRST(&f->beats);
        TAILQ_REMOVE(&f->beats, c, beat);
        TAILQ_INSERT_TAIL(&f->beats, c, beat);
        hand(f, c, f->ping);
    }
}

/* Freed at the end of the turn when something is queued: it is on a list then. */
static void leave(struct floor *f, struct client *c) {
    epoll_ctl(f->epoll, EPOLL_CTL_DEL, c->fd, NULL);
    close(c->fd);
    c->fd = -1;
    if (c->waiting)
        LIST_REMOVE(c, member);
    if (c->waiting && !c->poll) {
        TAILQ_REMOVE(&f->beats, c, beat);
        f->pinged--;
    }
    for (uint32_t i = 0; i < c->queued; i++)
        unref(c->queue[i]);
    c->queued = 0;
    if (!c->dirty) {
        free(c->queue);
        free(c);
    }
}

static void on_client(struct floor *f, struct client *c, uint32_t events) {
    char bytes[4096];
    ssize_t n = recv(c->fd, bytes, sizeof bytes - 1, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        leave(f, c);
        return;
    }
    if (n > 0 && !c->waiting) {
        bytes[n] = 0;
        take_request(f, c, bytes);
    }
    if (events & EPOLLOUT)
        flush(f, c);
}

static void on_accept(struct floor *f) {
    int fd, one = 1;
    while ((fd = accept4(f->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct client *c = calloc(1, sizeof *c);
        if (!c)
            die("calloc");
        c->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        watch(f, EPOLL_CTL_ADD, fd, EPOLLIN, c);
    }
}

/* --------------------------------------------------------------------------- living */

static int listen_at(int port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 ||
        listen(fd, 65535) != 0)
        die("listen");
    return fd;
}

static int port_of(int fd) {
    struct sockaddr_in at;
    socklen_t len = sizeof at;
    if (getsockname(fd, (struct sockaddr *)&at, &len) != 0)
        die("getsockname");
    return ntohs(at.sin_port);
}

static void serve(struct floor *f, const char *redis) {
    f->redis = redisConnectUnixNonBlock(redis);
    f->epoll = epoll_create1(EPOLL_CLOEXEC);
    f->channels = calloc(MOST_CHANNELS, sizeof *f->channels);
    f->subscribed = calloc(MOST_CHANNELS, sizeof *f->subscribed);
    STAILQ_INIT(&f->dirty);
    TAILQ_INIT(&f->beats);
    f->ping = message_of("\x89", 2, "", 0, "");
    if (!f->redis || f->redis->err || f->epoll < 0 || !f->channels || !f->subscribed)
        die("start");
    watch(f, EPOLL_CTL_ADD, f->redis->fd, EPOLLIN, f->redis);
    watch(f, EPOLL_CTL_ADD, f->listener, EPOLLIN, f);
    int64_t beat_ms = rb_clock_ms() + 1000;
    for (;;) {
        struct epoll_event events[512];
        int64_t left_ms = f->ping_s > 0 ? beat_ms - rb_clock_ms() : -1;
        if (!STAILQ_EMPTY(&f->dirty))
            left_ms = 0;
        if (f->ping_s > 0 && beat_ms <= rb_clock_ms()) {
            ping_some(f);
            beat_ms += 1000;
            left_ms = 0;
        }
        int n = epoll_wait(f->epoll, events, 512, (int)left_ms);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == f)
                on_accept(f);
            else if (events[i].data.ptr == f->redis)
                on_redis(f);
            else
                on_client(f, events[i].data.ptr, events[i].events);
        }
        end_turn(f);
        ask_redis(f);
    }
}

int main(int argc, char **argv) {
    static struct floor f;
    if (argc < 3) {
        fprintf(stderr, "usage: %s gather|each REDIS_SOCKET [PROCESSES [PING_S]]\n",
                argv[0]);
        return 64;
    }
    long processes = argc > 3 ? strtol(argv[3], NULL, 10) : 1;
    f.ping_s = argc > 4 ? strtol(argv[4], NULL, 10) : 0;
    f.gather = strcmp(argv[1], "gather") == 0;
    rb_process_prepare();
    f.listener = listen_at(0);
    int port = port_of(f.listener);
    for (long i = 1; i < processes; i++) {
        pid_t child = fork();
        if (child < 0)
            die("fork");
        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, SIGTERM);
            close(f.listener);
            f.listener = listen_at(port);
            serve(&f, argv[2]);
        }
    }
    printf("listening %d\n", port);
    fflush(stdout);
    serve(&f, argv[2]);
}
