/* One of many clients: a WebSocket that only listens. Text frames that are not in pieces
 * are all that it takes, which is what a notifier sends. */
#ifndef RB_JOBS_CLI_LOAD_CLIENT_H
#define RB_JOBS_CLI_LOAD_CLIENT_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/buffer.h"
#include "jobs/cli/load_target.h"
#include "jobs/stream_id.h"

enum rb_load_state {
    RB_LOAD_WAITS, /* for its turn to connect */
    RB_LOAD_ASKS,
    RB_LOAD_OPEN,
    RB_LOAD_FAILED, /* it never opened */
    RB_LOAD_CLOSED  /* it was open */
};

struct rb_load_client {
    struct rb_load_crowd *crowd;
    struct ev_io io;
    struct rb_buffer held; /* of an unfinished frame */
    enum rb_load_state state;
    uint32_t number;
    int64_t asked_ms; /* monotonic */
    int64_t open_ms;  /* unix: what is older was kept for it */
    int64_t last;     /* number of the last event of ours, -1 before */
    struct rb_stream_id last_id;
};

/* What they have in common. */
struct rb_load_crowd {
    struct ev_loop *loop;
    const struct rb_load_target *target;
    const char *channel; /* {n} in it: the client's number */
    const char *token;   /* may be NULL */
    void (*on_state)(void *ctx, struct rb_load_client *client, const char *why);
    void (*on_text)(void *ctx, struct rb_load_client *client, struct rb_text json);
    void *ctx;
    char bytes[64 * 1024]; /* read into, by one at a time */
};

/* The channel of client `number`; false when it is no channel's name. */
bool rb_load_channel(const char *channel, uint32_t number, struct rb_buffer *out);

/* on_state tells what becomes of it, at the earliest from inside. */
void rb_load_client_connect(struct rb_load_client *client);
/* Fails or closes it. */
void rb_load_client_end(struct rb_load_client *client, const char *why);

#endif
