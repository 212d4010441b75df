/* A link to Redis for commands: asynchronous, on libev, with reconnect, its own timeouts
 * and one promise: the callback of every command is called exactly once.
 *
 * While it is down commands are answered with RB_UNAVAILABLE at once (from the loop,
 * never from inside rb_link_call, unless there is no memory even to remember it), so that
 * whoever needs them repeated decides that himself when the link says that it is up.
 * Reconnect waits 20 ms doubled up to 500 ms, with full jitter. A
 * READONLY breaks the link: a replica is of no use, and the next attempt may find the
 * master. A command that is not
 * answered in time breaks the link, since answers come in order; behind a blocking
 * command others wait, so that one gets a link of its own. The commands of one turn of
 * the loop leave in one write; of many, those before leave as soon as they are some
 * kilobytes, so that Redis works while more are made. */
#ifndef RB_JOBS_LINK_H
#define RB_JOBS_LINK_H

#include <ev.h>
#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/status.h"
#include "config/text.h"
#include "jobs/redis_address.h"
#include "jobs/scripts.h"

struct rb_link;

/* Commands beyond are answered with RB_UNAVAILABLE: Redis does not keep up. So are those
 * that would make more than 64 MiB wait to be written. */
#define RB_LINK_MAX_OUTSTANDING 100000

/* RB_OK with the reply; RB_REFUSED with a reply of type REDIS_REPLY_ERROR;
 * RB_UNAVAILABLE, RB_TIMEOUT (fate unknown), RB_CANCELLED (rb_link_free) or RB_NOMEM with
 * NULL. The reply is borrowed for the call. The callback may call any function of this
 * header, also _free. */
typedef void rb_link_reply_fn(void *ctx, enum rb_status status,
                              const struct redisReply *reply);

/* up: the link is authenticated, its database selected, and commands will be sent. It
 * begins as down without a word; "down" comes after what was outstanding is answered. */
typedef void rb_link_state_fn(void *ctx, bool up);

/* The replies that came in one read were handed over: what is asked for in here leaves at
 * once, ahead of all that the rest of the turn asks for. */
typedef void rb_link_replies_fn(void *ctx);

struct rb_link_options {
    const struct rb_redis_address *address; /* borrowed for the link's life */
    const char *name;               /* CLIENT SETNAME, and the link's name in the log */
    int64_t connect_timeout_ms;     /* to connect, AUTH and SELECT */
    int64_t command_timeout_ms;     /* default of a command */
    rb_link_state_fn *on_state;     /* may be NULL */
    rb_link_replies_fn *on_replies; /* may be NULL */
    void *ctx;                      /* for these two */
    bool urgent;                    /* written to before the other links of a turn */
};

/* Starts connecting from the loop. NULL when out of memory. */
struct rb_link *rb_link_new(struct ev_loop *loop, const struct rb_link_options *options);
/* Every outstanding callback is called with RB_CANCELLED before this returns, also that
 * of a command sent from inside such a callback; on_state is not called. NULL is legal.
 */
void rb_link_free(struct rb_link *link);

bool rb_link_up(const struct rb_link *link);
size_t rb_link_outstanding(const struct rb_link *link);
const char *
rb_link_last_error(const struct rb_link *link); /* why it is down; "" = is up */

/* Sends one command. timeout_ms: 0 = the link's default, negative = none (a blocking
 * command brings its own bound: give that plus a margin instead). fn may be NULL. argv is
 * copied. */
void rb_link_call(struct rb_link *link, int64_t timeout_ms, rb_link_reply_fn *fn,
                  void *ctx, size_t argc, const struct rb_text *argv);

/* EVALSHA; on NOSCRIPT the same call again by EVAL. keys and args together ≤ 4096. */
void rb_link_script(struct rb_link *link, const struct rb_script *script,
                    size_t key_count, const struct rb_text *keys, size_t arg_count,
                    const struct rb_text *args, rb_link_reply_fn *fn, void *ctx);
/* The same with its own timeout, as of rb_link_call: behind a blocking command it needs
 * as long as that. */
void rb_link_script_within(struct rb_link *link, int64_t timeout_ms,
                           const struct rb_script *script, size_t key_count,
                           const struct rb_text *keys, size_t arg_count,
                           const struct rb_text *args, rb_link_reply_fn *fn, void *ctx);

/* The word that an error starts with: "OOM", "READONLY", "WRONGTYPE" …; of one that a
 * script passed on, what the script was refused with. */
struct rb_text rb_link_error_code(const char *error);

/* Breaks the connection and connects again: for a caller that saw that it is of no use
 * (READONLY after a failover, a blocked command that Redis forgot). */
void rb_link_reset(struct rb_link *link, const char *why);

#endif
