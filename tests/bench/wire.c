/* One client of the load generator: its request, and what it makes of the bytes that
 * come. */
#include "wire.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "config/clock.h"

static int64_t number_behind(const char *at, size_t len, const char *key) {
    const char *found = memmem(at, len, key, strlen(key));
    return found ? strtoll(found + strlen(key), NULL, 10) : -1;
}

static void hear(struct bench *b, struct client *c, const char *at, size_t len) {
    int64_t t = number_behind(at, len, "\"t\":"), n = number_behind(at, len, "\"n\":");
    b->last_us = rb_clock_us();
    if (b->heard++ == 0)
        b->first_us = b->last_us;
    if (t > 0) {
        rb_histogram_note(&b->latencies, b->last_us - t);
        if (b->begun_us == 0 || t < b->begun_us)
            b->begun_us = t;
        if (n >= 0 && n < LATEST)
            b->latest_us[n] = (uint32_t)(b->last_us - t);
    }
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

void wire_ask(struct bench *b, struct client *c) {
    char head[512];
    const char *more = "";
    if (b->transport == WEBSOCKET)
        more =
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    if (b->transport == SSE)
        more = "Accept: text/event-stream\r\n";
    size_t number = b->own ? b->first + (size_t)(c - b->clients) : 0;
    int len =
        snprintf(head, sizeof head, "GET %s%zu%s%s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n",
                 b->path, number, c->cursor[0] ? "?since=" : "", c->cursor, more);
    send_all(b, c, head, (size_t)len);
}

/* A pong, masked with zeros: who does not answer is closed as silent. */
static void pong(struct bench *b, struct client *c, const char *at, size_t len) {
    char frame[6 + 125] = {(char)0x8a, (char)(0x80 | len)};
    memcpy(frame + 6, at, len);
    send_all(b, c, frame, 6 + len);
}

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
    unsigned opcode = p[0] & 0x0f;
    if (opcode == 1 || opcode == 2)
        hear(b, c, at + head, size);
    if (opcode == 9 && size <= 125)
        pong(b, c, at + head, size);
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
    while ((p = memmem(p, (size_t)(end - p), "\"n\":", 4)) != NULL) {
        const char *next = memmem(p + 1, (size_t)(end - p - 1), "\"n\":", 4);
        hear(b, c, p, (size_t)((next ? next : end) - p));
        p += 4;
    }
    const char *tail = memmem(at + head, (size_t)body, "\"cursor\":\"", 10);
    if (tail)
        sscanf(tail + 10, "%43[0-9-]", c->cursor);
    if (!b->asks_late)
        wire_ask(b, c);
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

size_t wire_take(struct bench *b, struct client *c, const char *at, size_t len) {
    if (!c->waiting)
        return take_handshake(b, c, at, len);
    if (b->transport == WEBSOCKET)
        return take_frame(b, c, at, len);
    return b->transport == SSE ? take_line(b, c, at, len) : take_answer(b, c, at, len);
}
