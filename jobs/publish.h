/* Publishing an event: terminal marker, XADD, PEXPIRE and PUBLISH as one script on the
 * channel's slot (jobs/scripts/publish.lua), or, where scripts are not to be had, as
 * single commands in the same order. And what else is done to a channel as a whole.
 *
 * A stream entry holds RB_ENTRY_EVENT, and RB_ENTRY_PREV, the id of the entry before it
 * ("0-0": none). What is heard live is "<prev-id> <id> <event>". Without scripts the id
 * before is not known for sure: entries lack RB_ENTRY_PREV, and what is heard says
 * "<id> <id> <event>", which no reader can take for the chain's next link, so that it
 * reads the stream. */
#ifndef RB_JOBS_PUBLISH_H
#define RB_JOBS_PUBLISH_H

#include <stdbool.h>
#include <stdint.h>

#include "config/status.h"
#include "jobs/keys.h"
#include "jobs/link.h"
#include "jobs/stream_id.h"

#define RB_ENTRY_EVENT "e"
#define RB_ENTRY_PREV "p"

/* Fields of a channel's meta hash: ids, as text. It outlives the stream. */
#define RB_META_LAST "last"         /* of the last event */
#define RB_META_TERMINAL "terminal" /* of the last terminal event */
#define RB_META_MARKER "t:"         /* + job: of that job's terminal event */
#define RB_META_RECEIPT "r:"        /* + job: unix ms when that was written to a client */

struct rb_channel_policy {
    struct rb_keys keys;
    int64_t max_events;
    int64_t ttl_ms;
    int64_t max_data; /* bytes of a result in an event; a larger one is stored */
    bool scripts;     /* false: plain commands only (worker.claim blpop) */
};

/* How long a channel's meta hash stays after the last event: twice as long as its events,
 * and 10 minutes longer at least. */
int64_t rb_channel_meta_ttl_ms(const struct rb_channel_policy *policy);

struct rb_publication {
    struct rb_text channel;
    struct rb_text job;   /* "" = no marker is kept */
    bool terminal;        /* done or failed */
    struct rb_text event; /* JSON, without id */
    /* Publishing it again under the same digest of at most 64 bytes within once_ms gives
     * the first one's id, as a duplicate. "": each is published. Needs scripts. */
    struct rb_text once;
    int64_t once_ms;
};

/* What became of it. RB_OK: it is out under `id`, or, when duplicate, the job's terminal
 * event, or what was published once, (`id`) was out already and this event was dropped.
 * Any other status is the link's; whether it is out is unknown then, and publishing it
 * again is safe for terminal events. RB_INVALID: Redis answered what was not expected.
 * receivers = how many connections subscribed to it got it. */
struct rb_published {
    enum rb_status status;
    struct rb_stream_id id;
    bool duplicate;
    int64_t receivers;
    const char *error; /* Redis's own words when RB_REFUSED, else "" */
};
typedef void rb_published_fn(void *ctx, const struct rb_published *published);

/* fn is called exactly once, from the loop. Everything borrowed is copied. (When there is
 * no memory even to remember fn, it is called with RB_NOMEM before this returns.) */
void rb_publish(struct rb_link *link, const struct rb_channel_policy *policy,
                const struct rb_publication *publication, rb_published_fn *fn, void *ctx);

/* Keeps a result beside its channel, for as long as the channel's events; to be sent
 * before the event that links to it. fn as for rb_link_call, and may be NULL. */
void rb_result_store(struct rb_link *link, const struct rb_channel_policy *policy,
                     struct rb_text channel, struct rb_text job, struct rb_text json,
                     rb_link_reply_fn *fn, void *ctx);

/* Forgets a channel's events. Its meta hash stays, so that ids go on rising and cursors
 * are still understood. fn as for rb_link_call; the reply is UNLINK's. */
void rb_channel_forget(struct rb_link *link, const struct rb_keys *keys,
                       struct rb_text channel, rb_link_reply_fn *fn, void *ctx);

/* What is kept of a channel. */
struct rb_channel_info {
    enum rb_status status;
    int64_t events;           /* how many are kept */
    int64_t expires_ms;       /* in how many ms they will be gone; 0 = none are kept */
    struct rb_stream_id last; /* id of the last event ever, 0-0 = none is known of */
    struct rb_text event;     /* the last one's JSON, without id; len 0 = none is kept */
    const char *error;        /* as in rb_published */
};
typedef void rb_channel_info_fn(void *ctx, const struct rb_channel_info *info);

/* As rb_publish: fn is called exactly once; what it gets is borrowed for the call. */
void rb_channel_ask(struct rb_link *link, const struct rb_keys *keys,
                    struct rb_text channel, rb_channel_info_fn *fn, void *ctx);

#endif
