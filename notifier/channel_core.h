/* What the files of the channel core share; nobody else includes this. channel.c: the
 * table, who comes and goes. channel_group.c: members who read history. channel_live.c:
 * messages as they come, and those kept for a while. channel_deliver.c: what a member is
 * told. */
#ifndef RB_NOTIFIER_CHANNEL_CORE_H
#define RB_NOTIFIER_CHANNEL_CORE_H

#include "config/buffer.h"
#include "notifier/channel.h"

TAILQ_HEAD(rb_members, rb_subscription);

/* A place in a stream. */
struct rb_place {
    bool set; /* false: nothing of the stream was seen */
    struct rb_stream_id id;
    bool terminal; /* the event there was terminal, as far as is known */
};

/* Whoever hands a message on finds all it needs side by side, at the end: a channel's
 * live group stands right before what the channel is found by. */
struct rb_group {
    LIST_ENTRY(rb_group) next; /* not of the live group */
    struct rb_place tip_asked; /* the channel's tip when the reading was sent */
    struct rb_place at;        /* all members have heard what is kept up to here */
    uint16_t page;             /* entries to ask for */
    uint16_t busy;             /* its members are being walked: not to be freed */
    bool verify;               /* at is a cursor: does the chain still hold it? */
    bool reading;              /* a reading is out */
    bool stale;                /* its answer is of no use any more */
    bool failed;               /* it failed: read again when told to */
    bool stalled;              /* its member is full */
    bool ahead;                /* read beyond the tip: live messages are on their way */
    bool backwards;            /* the next message is told from the last member on */
    struct rb_members members;
    struct rb_channel *channel; /* NULL: let go while a reading is out */
};

/* The list that a channel is on is its state. */
enum rb_channel_state {
    RB_CHANNEL_OFF,   /* to be subscribed */
    RB_CHANNEL_ASKED, /* SUBSCRIBE is sent */
    RB_CHANNEL_ON,    /* confirmed: every message from now on is heard */
    RB_CHANNEL_STATES
};

/* Which tick's list of lingering channels it is on. */
enum rb_linger { RB_LINGER_NOT, RB_LINGER_NEW, RB_LINGER_OLD };

struct rb_recents;

struct rb_channel {
    TAILQ_ENTRY(rb_channel) state_link;
    TAILQ_ENTRY(rb_channel) linger_link;
    /* live.at is the tip: the last event that was heard live or that a reader met at the
     * stream's end. tip_known with live.at not set: there was none so far. */
    struct rb_group live;
    LIST_HEAD(, rb_group) readers;
    struct rb_recents *recents; /* NULL: nothing is kept, the floor is the tip */
    struct rb_channels *all;
    struct rb_channel *bucket_next;
    uint32_t hash;
    uint32_t waiters;
    uint32_t away; /* left and not come back since: what they miss is kept a while */
    uint8_t state;
    uint8_t linger;
    bool tip_known;
    uint8_t name_len;
    char name[];
};

TAILQ_HEAD(rb_channel_list, rb_channel);

struct rb_channels {
    struct rb_channel_feed feed;
    struct rb_channels_limits limits;
    struct rb_channels_stats stats;
    uint64_t seed[2];
    struct rb_channel **buckets;
    size_t bucket_count; /* a power of two */
    size_t count;
    size_t waiters;
    bool up;
    int64_t unix_ms;
    struct rb_channel_list state[RB_CHANNEL_STATES];
    struct rb_channel_list lingering[2]; /* new, old */
    int64_t linger_at;                   /* when old ones go; 0: none linger */
    size_t recent_bytes;
    struct rb_buffer scratch; /* the event being built */
};

static inline struct rb_text rb_channel_name(const struct rb_channel *channel) {
    return rb_text(channel->name, channel->name_len);
}

/* channel.c */
struct rb_channel *rb_channels_find(const struct rb_channels *all, struct rb_text name);

/* channel_group.c */
struct rb_group *rb_group_new(struct rb_channel *channel, struct rb_place at,
                              bool verify); /* NULL when out of memory */
void rb_group_add(struct rb_group *group, struct rb_subscription *subscription);
void rb_group_remove(struct rb_subscription *subscription);
/* No memory: its members are unsubscribed and told so. */
void rb_group_fail(struct rb_group *group);
/* Frees a group without members that nobody walks; detaches one whose reading is out. */
void rb_group_drop_empty(struct rb_group *group);
/* Sends a reading where one is due. */
void rb_group_read(struct rb_group *group);
/* Where a group that stands ahead of the tip, or met the stream's end, goes now. It may
 * be gone after. */
void rb_group_settle(struct rb_group *group);
/* The same for a new group whose cursor is known to be good. */
void rb_group_begin(struct rb_group *group);
/* The live group's members become a group that reads from the tip; the tip stays. */
void rb_group_from_live(struct rb_channel *channel);

/* channel_live.c */
/* Some member reads, or one that left may be back soon. */
bool rb_recents_wanted(const struct rb_channel *channel);
void rb_recents_drop(struct rb_channel *channel);
/* Everything heard live behind `at` is kept, unbroken. */
bool rb_recents_cover(const struct rb_channel *channel, struct rb_place at);
/* The kept event with this id, so that a cursor can be believed; sets *terminal. */
bool rb_recents_knows(const struct rb_channel *channel, struct rb_stream_id id,
                      bool *terminal);
/* Hands what is kept behind the group's place to its members. False when the chain has a
 * hole: the group stands before it then. */
bool rb_recents_replay(struct rb_group *group);

/* channel_deliver.c */
/* An entry of history. The group's place moves to it. A full member is moved to a group
 * of its own, and reads on when it can. */
void rb_deliver_entry(struct rb_group *group, const struct rb_entry *entry);
/* One that is built. history: as above; else a full member gets it all the same. */
void rb_deliver_event(struct rb_group *group, struct rb_delivery *delivery, bool history);
void rb_deliver_raw(struct rb_group *group, struct rb_text payload);
/* What lies between the group's place and `resume` is lost; its place moves there.
 * terminal: the last of what is lost is known to have been. */
void rb_deliver_gap(struct rb_group *group, struct rb_stream_id resume,
                    const struct rb_stream_id *first, bool terminal);
/* Is the event terminal, as far as it says? */
bool rb_deliver_ends(struct rb_text json);
void rb_deliver_verified(struct rb_group *group, bool finished);
/* The event as clients get it, in the scratch buffer, see rb_event_tell. The texts of
 * *delivery are borrowed until the next call. False when out of memory. */
bool rb_deliver_build(struct rb_channel *channel, struct rb_stream_id id,
                      struct rb_text json, bool trusted, struct rb_delivery *delivery);
void rb_delivery_fini(struct rb_delivery *delivery); /* drops the encoded bytes */

#endif
