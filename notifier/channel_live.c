/* Messages as they come, and those of the last moments, kept while somebody needs them:
 * members who read up to the tip, and clients who come back with a cursor. */
#include <stdlib.h>
#include <string.h>

#include "notifier/channel_core.h"

#define FIRST_ROOM 2

struct kept {
    struct rb_stream_id prev, id;
    struct rb_bytes *json; /* with its id */
    uint32_t name_at;      /* the event's name, as an offset into json; len 0: message */
    uint8_t name_len;
    bool terminal;
};

struct rb_recents {
    struct rb_place
        floor; /* everything heard behind it is kept; not set: from the start */
    unsigned first, count, room;
    size_t bytes;
    struct kept at[];
};

bool rb_recents_wanted(const struct rb_channel *channel) {
    return !LIST_EMPTY(&channel->readers) || channel->away > 0;
}

static void drop_first(struct rb_channel *channel) {
    struct rb_recents *recents = channel->recents;
    struct kept *kept = &recents->at[recents->first++];
    recents->count--;
    recents->floor =
        (struct rb_place){.set = true, .id = kept->id, .terminal = kept->terminal};
    recents->bytes -= kept->json->len;
    channel->all->recent_bytes -= kept->json->len;
    rb_bytes_unref(kept->json);
}

void rb_recents_drop(struct rb_channel *channel) {
    if (!channel->recents)
        return;
    while (channel->recents->count > 0)
        drop_first(channel);
    free(channel->recents);
    channel->recents = NULL;
}

/* Room for one more, or NULL: then nothing is kept and the floor is the tip. */
static struct kept *make_room(struct rb_channel *channel) {
    const struct rb_channels_limits *limits = &channel->all->limits;
    struct rb_recents *recents = channel->recents;
    if (!recents) {
        recents = calloc(1, sizeof *recents + FIRST_ROOM * sizeof(struct kept));
        if (!recents)
            return NULL;
        recents->room = FIRST_ROOM;
        recents->floor = channel->live.at;
        channel->recents = recents;
    }
    if (recents->count >= limits->recent_events)
        drop_first(channel);
    if (recents->first + recents->count < recents->room)
        return &recents->at[recents->first + recents->count++];
    if (recents->first > 0) {
        memmove(recents->at, recents->at + recents->first,
                recents->count * sizeof(struct kept));
        recents->first = 0;
    } else {
        unsigned room = recents->room * 2;
        struct rb_recents *bigger =
            realloc(recents, sizeof *recents + room * sizeof(struct kept));
        if (!bigger)
            return NULL;
        bigger->room = room;
        channel->recents = recents = bigger;
    }
    return &recents->at[recents->count++];
}

static void keep(struct rb_channel *channel, struct rb_stream_id prev,
                 const struct rb_delivery *delivery) {
    struct rb_channels *all = channel->all;
    size_t len = delivery->json.len;
    bool fits = len <= all->limits.recent_bytes &&
                all->recent_bytes + len <= all->limits.recent_total_bytes;
    struct rb_bytes *json = fits ? rb_bytes_new(delivery->json) : NULL;
    struct kept *kept = json ? make_room(channel) : NULL;
    if (!kept) {
        rb_bytes_unref(json);
        rb_recents_drop(channel);
        return;
    }
    *kept = (struct kept){
        .prev = prev, .id = delivery->id, .json = json, .terminal = delivery->terminal};
    /* The name stands inside the JSON, behind the id, except for foreign entries. */
    const char *name =
        memmem(json->at, json->len, delivery->event.at, delivery->event.len);
    if (name) {
        kept->name_at = (uint32_t)(name - json->at);
        kept->name_len = (uint8_t)delivery->event.len;
    }
    channel->recents->bytes += len;
    all->recent_bytes += len;
    while (channel->recents->bytes > all->limits.recent_bytes)
        drop_first(channel);
}

bool rb_recents_cover(const struct rb_channel *channel, struct rb_place at) {
    if (!channel->recents)
        return false;
    const struct rb_place *floor = &channel->recents->floor;
    return !floor->set || (at.set && rb_stream_id_compare(at.id, floor->id) >= 0);
}

bool rb_recents_knows(const struct rb_channel *channel, struct rb_stream_id id,
                      bool *terminal) {
    const struct rb_recents *recents = channel->recents;
    if (!recents)
        return false;
    if (recents->floor.set && rb_stream_id_compare(recents->floor.id, id) == 0) {
        *terminal = recents->floor.terminal;
        return true;
    }
    for (unsigned i = 0; i < recents->count; i++) {
        const struct kept *kept = &recents->at[recents->first + i];
        if (rb_stream_id_compare(kept->id, id) != 0)
            continue;
        *terminal = kept->terminal;
        return true;
    }
    return false;
}

bool rb_recents_replay(struct rb_group *group) {
    const struct rb_recents *recents = group->channel->recents;
    for (unsigned i = 0; i < recents->count && !TAILQ_EMPTY(&group->members); i++) {
        const struct kept *kept = &recents->at[recents->first + i];
        if (group->at.set && rb_stream_id_compare(kept->id, group->at.id) <= 0)
            continue;
        if (group->at.set && rb_stream_id_compare(kept->prev, group->at.id) > 0)
            return false;
        struct rb_delivery delivery = {
            .kind = RB_DELIVERY_EVENT,
            .terminal = kept->terminal,
            .id = kept->id,
            .channel = rb_channel_name(group->channel),
            .json = rb_text(kept->json->at, kept->json->len),
            .event = kept->name_len > 0
                         ? rb_text(kept->json->at + kept->name_at, kept->name_len)
                         : RB_TEXT("message")};
        rb_deliver_event(group, &delivery, true);
        rb_delivery_fini(&delivery);
    }
    return true;
}

/* "<prev-id> <id> <event>": false for anything else, which is a raw message. A publisher
 * that does not know what was before says the id twice. */
static bool parse(struct rb_text payload, struct rb_stream_id *prev,
                  struct rb_stream_id *id, struct rb_text *json) {
    struct rb_text part;
    *json = payload;
    if (!rb_text_next(json, ' ', &part) || rb_stream_id_parse(part, prev) != RB_OK ||
        !rb_text_next(json, ' ', &part) || rb_stream_id_parse(part, id) != RB_OK)
        return false;
    return json->len > 0 && rb_stream_id_compare(*prev, *id) <= 0;
}

/* Readers that are due after the tip moved: those of a new hole, and those whose entries
 * have come now. */
static void go_on(struct rb_channel *channel) {
    struct rb_group *group, *next;
    for (group = LIST_FIRST(&channel->readers); group; group = next) {
        next = LIST_NEXT(group, next);
        if (group->ahead)
            rb_group_settle(group);
        else
            rb_group_read(group);
    }
}

/* The event as it came, to those who stand right before it. */
static void take_next(struct rb_channel *channel, struct rb_stream_id prev,
                      struct rb_stream_id id, struct rb_text json) {
    struct rb_channels *all = channel->all;
    struct rb_delivery delivery;
    if (json.len > all->limits.max_message) {
        all->stats.oversize++;
        rb_recents_drop(channel);
        rb_deliver_gap(&channel->live, id, NULL, rb_deliver_ends(json));
    } else if (rb_deliver_build(channel, id, json, true, &delivery)) {
        if (rb_recents_wanted(channel))
            keep(channel, prev, &delivery);
        else
            rb_recents_drop(channel); /* what is kept reaches up to the tip */
        all->stats.unheard += delivery.terminal && channel->waiters == 0;
        rb_deliver_event(&channel->live, &delivery, false);
        rb_delivery_fini(&delivery);
    } else {
        rb_recents_drop(channel);
        rb_group_fail(&channel->live);
    }
}

static void take_event(struct rb_channel *channel, struct rb_stream_id prev,
                       struct rb_stream_id id, struct rb_text json) {
    struct rb_channels *all = channel->all;
    struct rb_place *tip = &channel->live.at;
    all->stats.messages++;
    if (tip->set && rb_stream_id_compare(id, tip->id) <= 0) {
        all->stats.duplicates++;
        return;
    }
    bool linked = rb_stream_id_compare(prev, id) < 0;
    if (!linked || (tip->set && rb_stream_id_compare(prev, tip->id) > 0)) {
        all->stats.holes++;
        rb_group_from_live(channel);
    }
    channel->tip_known = true;
    if (linked)
        take_next(channel, prev, id, json);
    else
        rb_recents_drop(channel); /* it is read from the stream, in its place */
    bool ends = linked ? tip->terminal : rb_deliver_ends(json);
    *tip = (struct rb_place){.set = true, .id = id, .terminal = ends};
    if (!LIST_EMPTY(&channel->readers))
        go_on(channel);
}

static void take_raw(struct rb_channel *channel, struct rb_text payload) {
    struct rb_channels *all = channel->all;
    if (payload.len > all->limits.max_message) {
        all->stats.oversize++;
        return;
    }
    all->stats.raw++;
    rb_deliver_raw(&channel->live, payload);
    struct rb_group *group, *next;
    for (group = LIST_FIRST(&channel->readers); group; group = next) {
        next = LIST_NEXT(group, next);
        rb_deliver_raw(group, payload);
        rb_group_drop_empty(group);
    }
}

void rb_channel_message(struct rb_channels *all, struct rb_text name,
                        struct rb_text payload) {
    struct rb_channel *channel = rb_channels_find(all, name);
    /* Before the confirmation it is a last word of an earlier subscription. */
    if (!channel || channel->state != RB_CHANNEL_ON)
        return;
    struct rb_stream_id prev, id;
    struct rb_text json;
    if (parse(payload, &prev, &id, &json))
        take_event(channel, prev, id, json);
    else
        take_raw(channel, payload);
}
