/* Publishing an event: terminal marker, XADD, PEXPIRE and PUBLISH as one script on the
 * channel's slot (jobs/scripts/publish.lua), or, where scripts are not to be had, as
 * single commands in the same order. */
#ifndef RB_JOBS_PUBLISH_H
#define RB_JOBS_PUBLISH_H

#include <stdbool.h>
#include <stdint.h>

#include "config/status.h"
#include "jobs/keys.h"
#include "jobs/link.h"
#include "jobs/stream_id.h"

struct rb_channel_policy {
    struct rb_keys keys;
    int64_t max_events;
    int64_t ttl_ms;
    bool scripts; /* false: plain commands only (worker.claim blpop) */
};

struct rb_publication {
    struct rb_text channel;
    struct rb_text job;   /* "" = no marker is kept */
    bool terminal;        /* done or failed */
    struct rb_text event; /* JSON, without id */
};

/* What became of it. RB_OK: it is out under `id`, or, when duplicate, the job's terminal
 * event was out already and this event was dropped. Any other status is the link's;
 * whether it is out is unknown then, and publishing it again is safe for terminal events.
 * receivers = how many connections subscribed to it got it. */
struct rb_published {
    enum rb_status status;
    struct rb_stream_id id;
    bool duplicate;
    int64_t receivers;
    const char *error; /* Redis's own words when RB_REFUSED, else "" */
};
typedef void rb_published_fn(void *ctx, const struct rb_published *published);

/* fn is called exactly once, from the loop. Everything borrowed is copied. */
void rb_publish(struct rb_link *link, const struct rb_channel_policy *policy,
                const struct rb_publication *publication, rb_published_fn *fn, void *ctx);

#endif
