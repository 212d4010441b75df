/* What the members of a group are told. */
#include "jobs/event.h"
#include "notifier/channel_core.h"
#include "notifier/receipt.h"

void rb_delivery_fini(struct rb_delivery *delivery) {
    for (int i = 0; i < RB_ENCODINGS; i++)
        rb_bytes_unref(delivery->encoded[i]);
    rb_receipt_unref(delivery->receipt);
}

/* Moves a member that can't take more to a group of its own, which reads on from where
 * the member stands when there is room. */
static void set_aside(struct rb_subscription *subscription, struct rb_place at) {
    struct rb_group *group = rb_group_new(subscription->group->channel, at, false);
    if (!group) {
        rb_channel_unsubscribe(subscription);
        subscription->sink->failed(subscription);
        return;
    }
    rb_group_remove(subscription);
    rb_group_add(group, subscription);
    group->stalled = true;
}

/* A member's sink may take the member away: the next one is known before. Every other
 * message begins with whom the last one ended: none is always the last, and a large
 * crowd's end is still in the processor's cache. */
static void tell(struct rb_group *group, struct rb_delivery *delivery, bool history,
                 struct rb_place stood) {
    struct rb_subscription *member, *next;
    const bool backwards = group->backwards;
    group->backwards = !backwards;
    group->busy++;
    member = backwards ? TAILQ_LAST(&group->members, rb_members)
                       : TAILQ_FIRST(&group->members);
    for (; member; member = next) {
        next = backwards ? TAILQ_PREV(member, rb_members, member)
                         : TAILQ_NEXT(member, member);
        const struct rb_sink *sink = member->sink;
        if (history && sink->full && sink->full(member))
            set_aside(member, stood);
        else
            sink->deliver(member, delivery);
    }
    group->busy--;
}

void rb_deliver_event(struct rb_group *group, struct rb_delivery *delivery,
                      bool history) {
    struct rb_place stood = group->at;
    group->at = (struct rb_place){
        .set = true, .id = delivery->id, .terminal = delivery->terminal};
    tell(group, delivery, history, stood);
}

void rb_deliver_gap(struct rb_group *group, struct rb_stream_id resume,
                    const struct rb_stream_id *first, bool terminal) {
    struct rb_channels *all = group->channel->all;
    struct rb_delivery delivery = {.kind = RB_DELIVERY_GAP,
                                   .terminal = terminal,
                                   .id = resume,
                                   .channel = rb_channel_name(group->channel),
                                   .event = RB_TEXT("gap")};
    rb_buffer_clear(&all->scratch);
    rb_event_gap(&all->scratch, delivery.channel, all->unix_ms, group->at.id, resume,
                 first);
    if (all->scratch.status != RB_OK) {
        rb_group_fail(group);
        return;
    }
    all->stats.gaps++;
    delivery.json = rb_buffer_view(&all->scratch);
    rb_deliver_event(group, &delivery, false);
    rb_delivery_fini(&delivery);
}

bool rb_deliver_ends(struct rb_text json) {
    struct rb_event_view view;
    rb_event_peek(json, &view);
    return view.terminal;
}

bool rb_deliver_build(struct rb_channel *channel, struct rb_stream_id id,
                      struct rb_text json, bool trusted, struct rb_delivery *delivery) {
    struct rb_buffer *scratch = &channel->all->scratch;
    struct rb_event_view view;
    rb_buffer_clear(scratch);
    rb_event_tell(scratch, rb_channel_name(channel), id, json, trusted, &view);
    if (scratch->status != RB_OK)
        return false;
    *delivery = (struct rb_delivery){.kind = RB_DELIVERY_EVENT,
                                     .terminal = view.terminal,
                                     .id = id,
                                     .channel = rb_channel_name(channel),
                                     .json = rb_buffer_view(scratch),
                                     .event = view.event};
    return true;
}

void rb_deliver_entry(struct rb_group *group, const struct rb_entry *entry) {
    struct rb_channels *all = group->channel->all;
    struct rb_delivery delivery;
    if (entry->json.len > all->limits.max_message) {
        all->stats.oversize++;
        rb_deliver_gap(group, entry->id, NULL, rb_deliver_ends(entry->json));
    } else if (rb_deliver_build(group->channel, entry->id, entry->json, entry->has_prev,
                                &delivery)) {
        rb_deliver_event(group, &delivery, true);
        rb_delivery_fini(&delivery);
    } else {
        rb_group_fail(group);
    }
}

void rb_deliver_raw(struct rb_group *group, struct rb_text payload) {
    struct rb_delivery delivery = {.kind = RB_DELIVERY_RAW,
                                   .channel = rb_channel_name(group->channel),
                                   .json = payload,
                                   .event = RB_TEXT("message")};
    tell(group, &delivery, false, group->at);
    rb_delivery_fini(&delivery);
}

void rb_deliver_verified(struct rb_group *group, bool finished) {
    struct rb_subscription *member, *next;
    group->busy++;
    for (member = TAILQ_FIRST(&group->members); member; member = next) {
        next = TAILQ_NEXT(member, member);
        if (member->told)
            continue;
        member->told = true;
        if (member->sink->verified)
            member->sink->verified(member, finished);
    }
    group->busy--;
}
