/* The Redis side of hearing: one subscribed link and one link for commands, whatever the
 * number of clients. Carries subscriptions, pages of history and live messages between
 * Redis and the channels; subscribes again, in a measured pace, when Redis is back. */
#ifndef RB_NOTIFIER_FEED_H
#define RB_NOTIFIER_FEED_H

#include <ev.h>
#include <stdbool.h>

#include "config/settings.h"
#include "jobs/keys.h"
#include "jobs/link.h"
#include "notifier/channel.h"

struct rb_feed;

struct rb_feed_options {
    const struct rb_redis_address *address; /* borrowed */
    const struct rb_settings *settings;     /* borrowed; read when it is made */
    struct rb_keys keys;
};

/* Starts connecting from the loop. NULL when out of memory. */
struct rb_feed *rb_feed_new(struct ev_loop *loop, const struct rb_feed_options *options);
/* Its channels must have no subscriptions any more. */
void rb_feed_free(struct rb_feed *feed);

struct rb_channels *rb_feed_channels(struct rb_feed *feed);
/* For commands of others: admin, census. */
struct rb_link *rb_feed_link(struct rb_feed *feed);
const struct rb_keys *rb_feed_keys(const struct rb_feed *feed);
/* Both links are up and every channel is subscribed. */
bool rb_feed_ready(const struct rb_feed *feed);
const char *rb_feed_last_error(const struct rb_feed *feed); /* "" when ready */

/* Leaves what is published with Redis until told otherwise. */
void rb_feed_rest(struct rb_feed *feed, bool on);

/* How often the subscribed link was lost. */
uint64_t rb_feed_losses(const struct rb_feed *feed);

/* A pub/sub name that is no channel (rb_key_notifiers, rb_key_notifier): subscribed now
 * and after every reconnect, fn called for each message. At most RB_FEED_CONTROLS;
 * RB_TOO_LARGE then. The name is copied. */
#define RB_FEED_CONTROLS 8
typedef void rb_control_fn(void *ctx, struct rb_text payload);
RB_MUST_CHECK enum rb_status rb_feed_control(struct rb_feed *feed, struct rb_text name,
                                             rb_control_fn *fn, void *ctx);

#endif
