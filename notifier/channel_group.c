/* Members who read history together: page after page, until they meet the tip. */
#include <assert.h>
#include <stdlib.h>

#include "notifier/channel_core.h"

#define FIRST_PAGE 8 /* of who knows how large events */

static bool is_live(const struct rb_group *group) {
    return group->channel && group == &group->channel->live;
}

struct rb_group *rb_group_new(struct rb_channel *channel, struct rb_place at,
                              bool verify) {
    struct rb_group *group = calloc(1, sizeof *group);
    if (!group)
        return NULL;
    group->channel = channel;
    group->at = at;
    group->verify = verify;
    group->page = FIRST_PAGE;
    TAILQ_INIT(&group->members);
    LIST_INSERT_HEAD(&channel->readers, group, next);
    return group;
}

void rb_group_add(struct rb_group *group, struct rb_subscription *subscription) {
    subscription->group = group;
    TAILQ_INSERT_TAIL(&group->members, subscription, member);
    group->channel->waiters++;
    group->channel->all->waiters++;
}

void rb_group_remove(struct rb_subscription *subscription) {
    struct rb_group *group = subscription->group;
    TAILQ_REMOVE(&group->members, subscription, member);
    subscription->group = NULL;
    group->channel->waiters--;
    group->channel->all->waiters--;
}

void rb_group_drop_empty(struct rb_group *group) {
    if (!TAILQ_EMPTY(&group->members) || group->busy > 0 || is_live(group))
        return;
    struct rb_channel *channel = group->channel;
    if (channel) {
        LIST_REMOVE(group, next);
        group->channel = NULL;
        if (!rb_recents_wanted(channel))
            rb_recents_drop(channel);
    }
    if (!group->reading)
        free(group);
}

static void fail_members(struct rb_group *group) {
    struct rb_subscription *subscription;
    group->busy++;
    while ((subscription = TAILQ_FIRST(&group->members))) {
        rb_channel_unsubscribe(subscription);
        subscription->sink->failed(subscription);
    }
    group->busy--;
}

void rb_group_fail(struct rb_group *group) {
    fail_members(group);
    rb_group_drop_empty(group);
}

void rb_group_read(struct rb_group *group) {
    struct rb_channel *channel = group->channel;
    if (channel->state != RB_CHANNEL_ON || group->reading || group->failed ||
        group->stalled || group->ahead || is_live(group))
        return;
    struct rb_reading reading = {.channel = rb_channel_name(channel),
                                 .from = group->at.id,
                                 .inclusive = group->verify || !group->at.set,
                                 .verify = group->verify,
                                 .count = group->page};
    if (reading.count > channel->all->limits.page_max)
        reading.count = channel->all->limits.page_max;
    group->reading = true;
    group->tip_asked = channel->live.at;
    channel->all->stats.readings++;
    if (channel->all->feed.read(channel->all->feed.ctx, &reading, group) != RB_OK) {
        group->reading = false;
        group->failed = true;
    }
}

void rb_group_from_live(struct rb_channel *channel) {
    struct rb_group *live = &channel->live;
    if (TAILQ_EMPTY(&live->members))
        return;
    struct rb_group *group = rb_group_new(channel, live->at, live->at.set);
    if (!group) {
        fail_members(live);
        return;
    }
    TAILQ_CONCAT(&group->members, &live->members, member);
    struct rb_subscription *subscription;
    TAILQ_FOREACH (subscription, &group->members, member)
        subscription->group = group;
}

/* The members of a group that stands at the tip hear live from now on. */
static void join_live(struct rb_group *group) {
    struct rb_channel *channel = group->channel;
    struct rb_group *live = &channel->live;
    channel->tip_known = true;
    live->at = group->at;
    struct rb_subscription *subscription;
    group->busy++;
    live->busy++;
    while ((subscription = TAILQ_FIRST(&group->members))) {
        TAILQ_REMOVE(&group->members, subscription, member);
        TAILQ_INSERT_TAIL(&live->members, subscription, member);
        subscription->group = live;
        if (subscription->sink->live)
            subscription->sink->live(subscription);
    }
    live->busy--;
    group->busy--;
    rb_group_drop_empty(group);
}

/* A reading that reached the end has covered all that the channel had heard when it was
 * sent: what is missing between is not kept any more. */
static void cover_tip_asked(struct rb_group *group) {
    const struct rb_place *tip = &group->tip_asked;
    if (!tip->set)
        return;
    if (!group->at.set)
        group->at = *tip;
    else if (rb_stream_id_compare(group->at.id, tip->id) < 0)
        rb_deliver_gap(group, tip->id, NULL, tip->terminal);
}

/* The group has read to the stream's end; group->busy is held. */
static void settle(struct rb_group *group) {
    struct rb_channel *channel = group->channel;
    struct rb_place *tip = &channel->live.at;
    group->ahead = false;
    if (!channel->tip_known) {
        join_live(group);
        return;
    }
    int order = 0;
    if (tip->set)
        order = group->at.set ? rb_stream_id_compare(group->at.id, tip->id) : -1;
    else if (group->at.set)
        order = 1;
    if (order > 0 && TAILQ_EMPTY(&channel->live.members)) {
        /* Nobody waits for the messages that are on their way: they are known here. */
        rb_recents_drop(channel);
        join_live(group);
    } else if (order > 0) {
        group->ahead = true;
    } else if (order == 0) {
        join_live(group);
    } else if (rb_recents_cover(channel, group->at) && rb_recents_replay(group)) {
        if (!TAILQ_EMPTY(&group->members))
            join_live(group);
    } else {
        rb_group_read(group);
    }
}

void rb_group_settle(struct rb_group *group) {
    group->busy++;
    if (!TAILQ_EMPTY(&group->members))
        settle(group);
    group->busy--;
    rb_group_drop_empty(group);
}

void rb_group_begin(struct rb_group *group) {
    group->busy++;
    rb_deliver_verified(group, group->at.terminal);
    if (!TAILQ_EMPTY(&group->members))
        settle(group);
    group->busy--;
    rb_group_drop_empty(group);
}

static struct rb_stream_id before(struct rb_stream_id id) {
    if (id.seq > 0)
        return (struct rb_stream_id){id.ms, id.seq - 1};
    return (struct rb_stream_id){id.ms > 0 ? id.ms - 1 : 0, id.ms > 0 ? UINT64_MAX : 0};
}

/* Does the chain of ids still hold the cursor? Returns how many entries are known by the
 * group already. */
static size_t verify(struct rb_group *group, const struct rb_page *page) {
    struct rb_stream_id at = group->at.id;
    const struct rb_entry *first = page->count > 0 ? &page->entries[0] : NULL;
    group->verify = false;
    if (first && rb_stream_id_compare(first->id, at) == 0) {
        group->at.terminal = first->has_json && rb_deliver_ends(first->json);
        rb_deliver_verified(group, group->at.terminal);
        return 1;
    }
    struct rb_place resume = {0};
    if (first) {
        /* Right before one that knows of none is also where its own gap let off. */
        resume.id = first->has_prev ? first->prev : before(first->id);
    } else {
        /* The stream has expired; its last id may be known still. */
        if (page->last_known)
            resume = (struct rb_place){.id = page->last, .terminal = page->last_terminal};
        if (group->tip_asked.set &&
            rb_stream_id_compare(group->tip_asked.id, resume.id) > 0)
            resume = group->tip_asked;
    }
    int missed = rb_stream_id_compare(resume.id, at);
    if (!first)
        group->at.terminal = missed == 0 && resume.terminal;
    rb_deliver_verified(group, group->at.terminal);
    if (missed != 0)
        rb_deliver_gap(group, resume.id, first ? &first->id : NULL,
                       missed > 0 && resume.terminal);
    return 0;
}

/* The next page weighs about page_bytes, as far as this one tells. */
static void measure(struct rb_group *group, const struct rb_page *page) {
    const struct rb_channels_limits *limits = &group->channel->all->limits;
    size_t bytes = 0;
    for (size_t i = 0; i < page->count; i++)
        bytes += page->entries[i].json.len + 64;
    if (page->count == 0)
        return;
    size_t next = limits->page_bytes / (bytes / page->count);
    if (next > (size_t)group->page * 4)
        next = (size_t)group->page * 4;
    if (next > limits->page_max)
        next = limits->page_max;
    group->page = (uint16_t)(next > 0 ? next : 1);
}

/* Something between the group's place and the entry is not kept any more. An entry that
 * knows of none before it began a new stream after the old one had gone. */
static bool breaks_off(const struct rb_group *group, const struct rb_entry *entry) {
    if (!entry->has_prev || !group->at.set)
        return false;
    return rb_stream_id_compare(entry->prev, group->at.id) > 0 ||
           (rb_stream_id_is_zero(entry->prev) && !rb_stream_id_is_zero(group->at.id));
}

static void take_page(struct rb_group *group, const struct rb_page *page) {
    size_t i = group->verify ? verify(group, page) : 0;
    for (; i < page->count && !TAILQ_EMPTY(&group->members); i++) {
        const struct rb_entry *entry = &page->entries[i];
        if (breaks_off(group, entry))
            rb_deliver_gap(group, entry->prev, &entry->id, false);
        if (entry->has_json)
            rb_deliver_entry(group, entry);
        else
            group->at = (struct rb_place){.set = true, .id = entry->id};
    }
    if (TAILQ_EMPTY(&group->members))
        return;
    measure(group, page);
    if (page->more) {
        rb_group_read(group);
        return;
    }
    cover_tip_asked(group);
    if (!TAILQ_EMPTY(&group->members))
        settle(group);
}

void rb_channel_page(struct rb_group *group, const struct rb_page *page) {
    group->reading = false;
    if (group->channel) {
        group->busy++;
        if (group->stale) {
            group->stale = false;
            rb_group_read(group);
        } else if (page->status != RB_OK) {
            group->failed = true;
        } else {
            take_page(group, page);
        }
        group->busy--;
    }
    rb_group_drop_empty(group);
}
