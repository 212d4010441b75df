/* One client of the load generator, from its request to each message that it hears. */
#ifndef RB_BENCH_WIRE_H
#define RB_BENCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/histogram.h"

enum transport { WEBSOCKET, SSE, POLL };

#define LATEST 64 /* messages of which the last delivery is noted */
#define HELD 4096 /* of an unfinished line, frame or answer */

struct client {
    int fd;
    uint32_t held;
    int64_t last;    /* number of the last message, -1 before */
    bool waiting;    /* the handshake is over */
    char *bytes;     /* what is unfinished, HELD of them; NULL until there is some */
    char cursor[44]; /* of the last answer to a poll; "": none */
};

struct bench {
    enum transport transport;
    const char *path; /* the channel's number goes behind it */
    int port, epoll;
    bool own;
    size_t first, count, up, broken;
    uint64_t expected, heard, lost, twice;
    struct client *clients;
    struct rb_histogram latencies;
    int64_t first_us, last_us;
    uint64_t round;             /* messages that end one; 0: there are none */
    bool asks_late;             /* who polls asks again when the round is over */
    int64_t begun_us, spent_us; /* the running round; all that are over, together */
    uint32_t latest_us[LATEST]; /* by number: how late the last client heard it */
};

/* Sends the request of a client that is connected, or that polls again. */
void wire_ask(struct bench *b, struct client *c);

/* Takes one unit off the front of what came: how many bytes, 0 = it is not whole. */
size_t wire_take(struct bench *b, struct client *c, const char *at, size_t len);

#endif
