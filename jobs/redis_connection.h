/* One connection to Redis that comes back: looks the name up, connects, authenticates,
 * selects the database, and after a loss does so again, with jittered backoff. It moves
 * bytes and knows nothing of what they ask: link.c and subscriber.c stand on it.
 *
 * It works on its own descriptor with hiredis's reader (redisReader), not on hiredis's
 * async API: that of 0.14 aborts the process on a reply nobody asked for, blocks on name
 * lookups, and never reports a connect that hangs.
 *
 * Teardown: breaking closes the descriptor at once, but on_down and the reconnect come
 * from the loop, so no event ever runs inside a call of this header. */
#ifndef RB_JOBS_REDIS_CONNECTION_H
#define RB_JOBS_REDIS_CONNECTION_H

#include <ev.h>
#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/buffer.h"
#include "jobs/redis_address.h"

struct rb_redis_connection;

/* All from the loop. Any function of this header may be called from inside; after
 * _free no more events come, and the owner's memory stays until the event returns. */
struct rb_redis_connection_events {
    void (*on_up)(void *owner);
    void (*on_down)(void *owner); /* once after each on_up */
    void (*on_reply)(void *owner, const struct redisReply *reply);
    /* Who reads for itself has this instead of on_reply, from on_up on: the bytes as they
     * came. Returns how many it took; the others come again with more behind them. */
    size_t (*on_bytes)(void *owner, struct rb_text bytes);
    void (*on_batch_end)(void *owner); /* the replies of one read are handed over */
    /* Once a turn in which _wake or _output was called: the last moment to add output. */
    void (*on_turn)(void *owner);
    /* The time given to _alarm has come, and what had arrived by then is handed over. */
    void (*on_alarm)(void *owner, int64_t now_ms);
};

struct rb_redis_connection_options {
    const struct rb_redis_address *address; /* borrowed */
    const char *name;                       /* borrowed; CLIENT SETNAME and the log */
    int64_t connect_timeout_ms; /* for lookup, connect and greeting together */
    size_t max_reply_bytes;     /* a larger reply breaks the connection */
    bool urgent;                /* writes before the others of a turn do */
};

/* Starts from the loop. NULL when out of memory. `events` is borrowed. */
struct rb_redis_connection *
rb_redis_connection_new(struct ev_loop *loop,
                        const struct rb_redis_connection_options *options,
                        const struct rb_redis_connection_events *events, void *owner);

/* Closes. Frees itself, and `owner_memory` with free(), as soon as none of its events is
 * running any more. */
void rb_redis_connection_free(struct rb_redis_connection *c, void *owner_memory);

bool rb_redis_connection_up(const struct rb_redis_connection *c);
const char *rb_redis_connection_error(const struct rb_redis_connection *c);

/* Where to add commands, when it is up; it is written once the turn ends, or pushed
 * before. Nothing else than adding may be done to the buffer. */
#define RB_REDIS_OUTPUT_MAX (64u * 1024 * 1024)
struct rb_buffer *rb_redis_connection_output(struct rb_redis_connection *c);

/* Writes what waits now, if that is at least `enough` bytes (> 0): Redis begins with it
 * while the turn goes on. */
void rb_redis_connection_push(struct rb_redis_connection *c, size_t enough);

/* Asks for on_turn in this turn of the loop, up or not. */
void rb_redis_connection_wake(struct rb_redis_connection *c);

/* Sets the one alarm (rb_clock_ms); INT64_MAX = none. It is forgotten when the
 * connection breaks. */
void rb_redis_connection_alarm(struct rb_redis_connection *c, int64_t at_ms);

/* Leaves unread what comes until told otherwise, or until the connection breaks. */
void rb_redis_connection_rest(struct rb_redis_connection *c, bool on);

/* Breaks a connection that is up, else does nothing. */
void rb_redis_connection_break(struct rb_redis_connection *c, const char *why);

#endif
