/* The subscribed connection: one socket, any number of pub/sub channels, about one byte a
 * channel here (Redis keeps the rest). Reads for itself (redis_push.h): hiredis allocates
 * four times a message, and its async API of 0.14 aborts on what a subscriber needs.
 *
 * It remembers no names: after a reconnect (on_state up) the owner subscribes again, in
 * the pace it wants. Probes a silent connection with PING and replaces it when no answer
 * comes. */
#ifndef RB_JOBS_SUBSCRIBER_H
#define RB_JOBS_SUBSCRIBER_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/text.h"
#include "jobs/redis_address.h"

struct rb_subscriber;

#define RB_SUBSCRIBER_AHEAD 16 /* messages that are announced at a time */

/* Called from the loop; the texts are borrowed for the call. Any function of this header
 * may be called from inside. */
struct rb_subscriber_events {
    void (*on_state)(void *ctx, bool up);
    void (*on_subscribed)(void *ctx, struct rb_text name);
    void (*on_message)(void *ctx, struct rb_text name, struct rb_text payload);
    /* Messages and confirmations of these are told next, one after the other, as far as
     * the link holds: what is needed for them may be fetched. May be NULL. */
    void (*on_coming)(void *ctx, const struct rb_text *names, size_t count);
    /* All messages that came in one read were handed over: time to flush. May be NULL. */
    void (*on_batch_end)(void *ctx);
};

struct rb_subscriber_options {
    const struct rb_redis_address *address; /* borrowed */
    const char *name;
    int64_t connect_timeout_ms;
    int64_t
        probe_ms; /* PING after so long a silence; no answer in as long again = gone */
};

struct rb_subscriber *rb_subscriber_new(struct ev_loop *loop,
                                        const struct rb_subscriber_options *options,
                                        const struct rb_subscriber_events *events,
                                        void *ctx);
void rb_subscriber_free(struct rb_subscriber *subscriber);
bool rb_subscriber_up(const struct rb_subscriber *subscriber);

/* Queued and sent once a turn of the loop. Ignored while the link is down. RB_NOMEM
 * breaks the connection, so that nothing is silently not heard. */
void rb_subscriber_subscribe(struct rb_subscriber *subscriber, struct rb_text name);
void rb_subscriber_unsubscribe(struct rb_subscriber *subscriber, struct rb_text name);

/* Leaves what comes with Redis until told otherwise; a link that is lost forgets it. */
void rb_subscriber_rest(struct rb_subscriber *subscriber, bool on);

#endif
