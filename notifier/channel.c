/* The table of channels, and who comes and goes. */
#include "notifier/channel.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/channel_core.h"
#include "notifier/hash.h"

#define FIRST_BUCKETS 64
#define OWNER_AT 64 /* where a client has what a message needs: connection.h */
#define SCRATCH_KEPT ((size_t)256 * 1024) /* more is given back after the turn */

struct rb_channels *rb_channels_new(const struct rb_channel_feed *feed,
                                    const struct rb_channels_limits *limits,
                                    const uint64_t seed[2]) {
    struct rb_channels *all = calloc(1, sizeof *all);
    if (!all)
        return NULL;
    all->buckets = calloc(FIRST_BUCKETS, sizeof(struct rb_channel *));
    if (!all->buckets) {
        free(all);
        return NULL;
    }
    all->bucket_count = FIRST_BUCKETS;
    all->feed = *feed;
    all->limits = *limits;
    memcpy(all->seed, seed, sizeof all->seed);
    for (int i = 0; i < RB_CHANNEL_STATES; i++)
        TAILQ_INIT(&all->state[i]);
    TAILQ_INIT(&all->lingering[0]);
    TAILQ_INIT(&all->lingering[1]);
    /* An event with its id is a little longer than the payload that brought it. */
    rb_buffer_init(&all->scratch, limits->max_message * 6 + 1024);
    return all;
}

static uint32_t hash_of(const struct rb_channels *all, struct rb_text name) {
    return (uint32_t)rb_hash(all->seed, name);
}

struct rb_channel *rb_channels_find(const struct rb_channels *all, struct rb_text name) {
    uint32_t hash = hash_of(all, name);
    struct rb_channel *channel = all->buckets[hash & (all->bucket_count - 1)];
    while (channel &&
           !(channel->hash == hash && rb_text_equal(rb_channel_name(channel), name)))
        channel = channel->bucket_next;
    return channel;
}

/* Each step needs what the one before has fetched. The first of a bucket is, as a rule,
 * the one that is meant. */
void rb_channels_fetch(const struct rb_channels *all, const struct rb_text *names,
                       size_t count) {
    struct rb_channel **buckets[RB_CHANNELS_FETCH];
    const struct rb_subscription *members[RB_CHANNELS_FETCH];
    for (size_t i = 0; i < count; i++) {
        buckets[i] = &all->buckets[hash_of(all, names[i]) & (all->bucket_count - 1)];
        __builtin_prefetch(buckets[i]);
    }
    for (size_t i = 0; i < count; i++)
        if (*buckets[i]) {
            __builtin_prefetch(&(*buckets[i])->live);
            __builtin_prefetch(&(*buckets[i])->state);
        }
    for (size_t i = 0; i < count; i++) {
        members[i] = *buckets[i] ? TAILQ_FIRST(&(*buckets[i])->live.members) : NULL;
        if (members[i])
            __builtin_prefetch(members[i]);
    }
    for (size_t i = 0; i < count; i++)
        if (members[i])
            __builtin_prefetch((const char *)members[i]->owner + OWNER_AT, 1);
}

/* A table that can't grow gets slower, not wrong. */
static void grow(struct rb_channels *all) {
    size_t count = all->bucket_count * 2;
    struct rb_channel **buckets = calloc(count, sizeof(struct rb_channel *));
    if (!buckets)
        return;
    for (size_t i = 0; i < all->bucket_count; i++) {
        struct rb_channel *next;
        for (struct rb_channel *c = all->buckets[i]; c; c = next) {
            next = c->bucket_next;
            c->bucket_next = buckets[c->hash & (count - 1)];
            buckets[c->hash & (count - 1)] = c;
        }
    }
    free(all->buckets);
    all->buckets = buckets;
    all->bucket_count = count;
}

static void set_state(struct rb_channel *channel, enum rb_channel_state state) {
    TAILQ_REMOVE(&channel->all->state[channel->state], channel, state_link);
    channel->state = (uint8_t)state;
    TAILQ_INSERT_TAIL(&channel->all->state[state], channel, state_link);
}

static void set_linger(struct rb_channel *channel, enum rb_linger linger) {
    struct rb_channel_list *lists = channel->all->lingering;
    if (channel->linger == linger)
        return; /* a list has no order: all of it gets older at once */
    if (channel->linger != RB_LINGER_NOT)
        TAILQ_REMOVE(&lists[channel->linger - 1], channel, linger_link);
    channel->linger = (uint8_t)linger;
    if (linger != RB_LINGER_NOT)
        TAILQ_INSERT_TAIL(&lists[linger - 1], channel, linger_link);
}

static void subscribe(struct rb_channel *channel) {
    set_state(channel, RB_CHANNEL_ASKED);
    channel->all->feed.subscribe(channel->all->feed.ctx, rb_channel_name(channel));
}

static struct rb_channel *channel_new(struct rb_channels *all, struct rb_text name) {
    struct rb_channel *channel = calloc(1, sizeof *channel + name.len);
    if (!channel)
        return NULL;
    channel->all = all;
    channel->hash = hash_of(all, name);
    channel->name_len = (uint8_t)name.len;
    memcpy(channel->name, name.at, name.len);
    channel->live.channel = channel;
    TAILQ_INIT(&channel->live.members);
    LIST_INIT(&channel->readers);
    if (all->count >= all->bucket_count)
        grow(all);
    struct rb_channel **bucket = &all->buckets[channel->hash & (all->bucket_count - 1)];
    channel->bucket_next = *bucket;
    *bucket = channel;
    all->count++;
    TAILQ_INSERT_TAIL(&all->state[RB_CHANNEL_OFF], channel, state_link);
    if (all->up)
        subscribe(channel);
    return channel;
}

static void channel_free(struct rb_channel *channel) {
    struct rb_channels *all = channel->all;
    assert(TAILQ_EMPTY(&channel->live.members) && LIST_EMPTY(&channel->readers));
    struct rb_channel **at = &all->buckets[channel->hash & (all->bucket_count - 1)];
    while (*at != channel)
        at = &(*at)->bucket_next;
    *at = channel->bucket_next;
    all->count--;
    TAILQ_REMOVE(&all->state[channel->state], channel, state_link);
    set_linger(channel, RB_LINGER_NOT);
    rb_recents_drop(channel);
    free(channel);
}

void rb_channels_free(struct rb_channels *all) {
    if (!all)
        return;
    for (int i = 0; i < RB_CHANNEL_STATES; i++) {
        struct rb_channel *channel;
        while ((channel = TAILQ_FIRST(&all->state[i])))
            channel_free(channel);
    }
    rb_buffer_fini(&all->scratch);
    free(all->buckets);
    free(all);
}

/* A client that comes back, or one of many that ask the same, costs no reading. */
static bool join_at_once(struct rb_channel *channel, struct rb_cursor cursor,
                         struct rb_subscription *subscription) {
    if (channel->state != RB_CHANNEL_ON || !channel->tip_known)
        return false;
    struct rb_place at = {.set = cursor.given, .id = cursor.id};
    const struct rb_place *tip = &channel->live.at;
    if (!cursor.given && tip->set)
        return false;
    if (cursor.given && !tip->set)
        return false;
    if (!cursor.given || rb_stream_id_compare(cursor.id, tip->id) == 0) {
        rb_group_add(&channel->live, subscription);
        subscription->told = true;
        if (subscription->sink->verified)
            subscription->sink->verified(subscription, cursor.given && tip->terminal);
        if (subscription->group && subscription->sink->live)
            subscription->sink->live(subscription);
        if (!rb_recents_wanted(channel))
            rb_recents_drop(channel);
        return true;
    }
    if (!rb_recents_knows(channel, cursor.id, &at.terminal))
        return false;
    struct rb_group *group = rb_group_new(channel, at, false);
    if (!group)
        return false;
    rb_group_add(group, subscription);
    rb_group_begin(group);
    return true;
}

/* Members who ask for the same history at the same time share one reading. */
static struct rb_group *reader_at(struct rb_channel *channel, struct rb_cursor cursor) {
    struct rb_group *group;
    int looked_at = 0;
    LIST_FOREACH (group, &channel->readers, next) {
        if (++looked_at > 8)
            return NULL;
        if (group->stalled || group->ahead || group->at.set != cursor.given ||
            group->verify != cursor.given)
            continue;
        if (!cursor.given || rb_stream_id_compare(group->at.id, cursor.id) == 0)
            return group;
    }
    return NULL;
}

enum rb_status rb_channel_subscribe(struct rb_channels *all, struct rb_text name,
                                    struct rb_cursor cursor,
                                    struct rb_subscription *subscription) {
    struct rb_channel *channel = rb_channels_find(all, name);
    if (!channel)
        channel = channel_new(all, name);
    if (!channel)
        return RB_NOMEM;
    if (channel->state == RB_CHANNEL_OFF && all->up)
        subscribe(channel); /* before those of the resubscribing whose clients wait */
    subscription->told = false;
    if (cursor.given && channel->away > 0)
        channel->away--; /* one of those who left, most likely */
    if (join_at_once(channel, cursor, subscription))
        return RB_OK;
    struct rb_group *group = reader_at(channel, cursor);
    if (!group)
        group =
            rb_group_new(channel, (struct rb_place){.set = cursor.given, .id = cursor.id},
                         cursor.given);
    if (!group) {
        if (channel->waiters == 0 && channel->linger == RB_LINGER_NOT)
            set_linger(channel, RB_LINGER_NEW);
        return RB_NOMEM;
    }
    rb_group_add(group, subscription);
    rb_group_read(group);
    if (!cursor.given) {
        subscription->told = true;
        if (subscription->sink->verified)
            subscription->sink->verified(subscription, false);
    }
    return RB_OK;
}

void rb_channel_unsubscribe(struct rb_subscription *subscription) {
    struct rb_group *group = subscription->group;
    if (!group)
        return;
    struct rb_channel *channel = group->channel;
    rb_group_remove(subscription);
    subscription->stands = group->at.set;
    subscription->stood = group->at.id;
    rb_group_drop_empty(group);
    channel->away++;
    set_linger(channel, RB_LINGER_NEW);
}

void rb_channel_resume(struct rb_subscription *subscription) {
    struct rb_group *group = subscription->group;
    if (!group || !group->stalled || subscription->sink->full(subscription))
        return;
    group->stalled = false;
    rb_group_read(group);
}

struct rb_text rb_subscription_channel(const struct rb_subscription *subscription) {
    return rb_channel_name(subscription->group->channel);
}

struct rb_cursor rb_subscription_cursor(const struct rb_subscription *subscription) {
    if (!subscription->group)
        return (struct rb_cursor){.given = subscription->stands,
                                  .id = subscription->stood};
    const struct rb_place *at = &subscription->group->at;
    return (struct rb_cursor){.given = at->set, .id = at->id};
}

bool rb_subscription_live(const struct rb_subscription *subscription) {
    const struct rb_group *group = subscription->group;
    return !group || group == &group->channel->live;
}

size_t rb_channel_waiters(const struct rb_channels *all, struct rb_text name) {
    const struct rb_channel *channel = rb_channels_find(all, name);
    return channel ? channel->waiters : 0;
}

void rb_channels_each(const struct rb_channels *all,
                      void (*each)(void *ctx, struct rb_text name, size_t waiters),
                      void *ctx) {
    for (size_t i = 0; i < all->bucket_count; i++)
        for (struct rb_channel *c = all->buckets[i]; c; c = c->bucket_next)
            if (c->waiters > 0)
                each(ctx, rb_channel_name(c), c->waiters);
}

size_t rb_channels_count(const struct rb_channels *all) { return all->count; }

size_t rb_channels_subscriptions(const struct rb_channels *all) { return all->waiters; }

const struct rb_channels_stats *rb_channels_stats(const struct rb_channels *all) {
    return &all->stats;
}

/* What is on its way is not to be trusted; where the members stand still is. */
static void go_off(struct rb_channel *channel) {
    set_state(channel, RB_CHANNEL_OFF);
    struct rb_group *group;
    LIST_FOREACH (group, &channel->readers, next) {
        group->stale = group->reading;
        group->verify = group->at.set;
        group->ahead = false;
        group->failed = false;
    }
    rb_group_from_live(channel);
    rb_recents_drop(channel);
    channel->tip_known = false;
    channel->live.at = (struct rb_place){0};
}

void rb_channels_down(struct rb_channels *all) {
    all->up = false;
    for (int state = RB_CHANNEL_ASKED; state <= RB_CHANNEL_ON; state++) {
        struct rb_channel *channel;
        while ((channel = TAILQ_FIRST(&all->state[state]))) {
            if (channel->waiters == 0)
                channel_free(channel);
            else
                go_off(channel);
        }
    }
}

bool rb_channels_resubscribe(struct rb_channels *all, size_t count) {
    struct rb_channel *channel;
    all->up = true;
    while (count-- > 0 && (channel = TAILQ_FIRST(&all->state[RB_CHANNEL_OFF])))
        subscribe(channel);
    return !TAILQ_EMPTY(&all->state[RB_CHANNEL_OFF]);
}

static void read_all(struct rb_channel *channel, bool only_failed) {
    struct rb_group *group, *next;
    for (group = LIST_FIRST(&channel->readers); group; group = next) {
        next = LIST_NEXT(group, next);
        if (only_failed && !group->failed)
            continue;
        group->failed = false;
        rb_group_read(group);
    }
}

void rb_channels_retry(struct rb_channels *all) {
    struct rb_channel *channel;
    TAILQ_FOREACH (channel, &all->state[RB_CHANNEL_ON], state_link)
        read_all(channel, true);
}

void rb_channel_confirmed(struct rb_channels *all, struct rb_text name) {
    struct rb_channel *channel = rb_channels_find(all, name);
    if (!channel || channel->state != RB_CHANNEL_ASKED)
        return;
    set_state(channel, RB_CHANNEL_ON);
    read_all(channel, false);
}

/* One that waits for its confirmation stays: an UNSUBSCRIBE now would let the next
 * SUBSCRIBE take this confirmation for its own. */
static void linger_over(struct rb_channel *channel) {
    channel->away = 0;
    if (channel->waiters > 0) {
        set_linger(channel, RB_LINGER_NOT);
        if (!rb_recents_wanted(channel))
            rb_recents_drop(channel);
    } else if (channel->state == RB_CHANNEL_ASKED) {
        set_linger(channel, RB_LINGER_NEW);
    } else {
        if (channel->state == RB_CHANNEL_ON)
            channel->all->feed.unsubscribe(channel->all->feed.ctx,
                                           rb_channel_name(channel));
        channel_free(channel);
    }
}

int64_t rb_channels_turn(struct rb_channels *all, int64_t now_ms, int64_t unix_ms) {
    all->unix_ms = unix_ms;
    if (all->scratch.room > SCRATCH_KEPT)
        rb_buffer_fini(&all->scratch);
    struct rb_channel_list *fresh = &all->lingering[RB_LINGER_NEW - 1];
    struct rb_channel_list *old = &all->lingering[RB_LINGER_OLD - 1];
    if (TAILQ_EMPTY(fresh) && TAILQ_EMPTY(old)) {
        all->linger_at = 0;
        return -1;
    }
    if (all->linger_at == 0)
        all->linger_at = now_ms + all->limits.linger_ms;
    if (now_ms < all->linger_at)
        return all->linger_at - now_ms;
    struct rb_channel *channel;
    while ((channel = TAILQ_FIRST(old)))
        linger_over(channel);
    TAILQ_FOREACH (channel, fresh, linger_link)
        channel->linger = RB_LINGER_OLD;
    TAILQ_CONCAT(old, fresh, linger_link);
    all->linger_at = now_ms + all->limits.linger_ms;
    return all->limits.linger_ms;
}
