/* Hearing channels from a console. */
#include "jobs/cli/hearing.h"

#include <stdlib.h>

#include "jobs/event.h"
#include "jobs/name.h"
#include "jobs/subscriber.h"

#define PAGE "100" /* entries a reading */
#define PAGE_COUNT 100
#define PROBE_MS 15000
#define EVENT_LIMIT ((size_t)64 * 1024 * 1024)

struct heard {
    struct rb_hearing *hearing;
    struct rb_key key;
    struct rb_text name; /* in key */
    struct rb_stream_id cursor;
    bool reading;
    bool again;  /* something came while reading */
    bool verify; /* it was not heard for a while: is what lies between still there? */
    bool moved;  /* the cursor went back while reading: what is read does not count */
    bool told;   /* that Redis refuses to read it */
    struct rb_stream_id
        last;  /* the last id ever, asked before reading; 0-0 = not asked */
    bool gone; /* nobody wants to hear it: only its readings keep it */
    size_t readings;
};

struct rb_hearing {
    struct rb_cli *cli;
    struct rb_hearing_events events;
    void *ctx;
    struct rb_subscriber *subscriber;
    struct heard **heard;
    size_t count, room;
    struct rb_buffer json;
    bool freed; /* only its readings keep it */
    size_t readings;
};

static void read_on(struct heard *h);

static struct heard *find(struct rb_hearing *hearing, struct rb_text key) {
    for (size_t i = 0; i < hearing->count; i++)
        if (rb_text_equal(rb_key_text(&hearing->heard[i]->key), key))
            return hearing->heard[i];
    return NULL;
}

static bool is_string(const struct redisReply *reply) {
    return reply->type == REDIS_REPLY_STRING;
}

static struct rb_text text_of(const struct redisReply *reply) {
    return rb_text(reply->str, reply->len);
}

static struct rb_text field(const struct redisReply *fields, const char *name) {
    for (size_t i = 0; fields->type == REDIS_REPLY_ARRAY && i + 1 < fields->elements;
         i += 2)
        if (is_string(fields->element[i]) && is_string(fields->element[i + 1]) &&
            rb_text_is(text_of(fields->element[i]), name))
            return text_of(fields->element[i + 1]);
    return rb_text(NULL, 0);
}

static void gap(struct heard *h, struct rb_stream_id resume) {
    struct rb_hearing *hearing = h->hearing;
    struct rb_stream_id since = h->cursor;
    h->cursor = resume;
    hearing->events.on_gap(hearing->ctx, h->name, since, resume);
}

static void take_entry(struct heard *h, const struct redisReply *entry) {
    struct rb_hearing *hearing = h->hearing;
    struct rb_stream_id id, prev;
    if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2 ||
        !is_string(entry->element[0]) ||
        rb_stream_id_parse(text_of(entry->element[0]), &id) != RB_OK)
        return;
    struct rb_text event = field(entry->element[1], RB_ENTRY_EVENT);
    struct rb_text before = field(entry->element[1], RB_ENTRY_PREV);
    /* An entry that follows nothing, where something was heard before: all is forgotten.
     */
    if (!rb_stream_id_is_zero(h->cursor) && rb_stream_id_parse(before, &prev) == RB_OK &&
        (rb_stream_id_compare(prev, h->cursor) > 0 || rb_stream_id_is_zero(prev)))
        gap(h, prev);
    h->cursor = id;
    if (event.len == 0 || hearing->freed)
        return;
    rb_buffer_clear(&hearing->json);
    struct rb_event_view view;
    rb_event_tell(&hearing->json, h->name, id, event, false, &view);
    if (hearing->json.status == RB_OK)
        hearing->events.on_event(hearing->ctx, h->name, id,
                                 rb_buffer_view(&hearing->json));
}

static void release(struct rb_hearing *hearing) {
    if (!hearing->freed || hearing->readings > 0)
        return;
    for (size_t i = 0; i < hearing->count; i++)
        free(hearing->heard[i]);
    free(hearing->heard);
    rb_buffer_fini(&hearing->json);
    free(hearing);
}

static void end_reading(struct heard *h) {
    struct rb_hearing *hearing = h->hearing;
    h->readings--;
    hearing->readings--;
    if (h->gone && h->readings == 0)
        free(h);
    release(hearing);
}

static void begin_reading(struct heard *h) {
    h->readings++;
    h->hearing->readings++;
}

/* Asked before the entries, so that what comes in between can't look like a loss. */
static void on_last(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct heard *h = ctx;
    struct rb_hearing *hearing = h->hearing;
    struct rb_stream_id last;
    if (!hearing->freed && !h->gone && status == RB_OK && is_string(reply) &&
        rb_stream_id_parse(text_of(reply), &last) == RB_OK) {
        h->last = last;
        h->moved = rb_stream_id_compare(last, h->cursor) < 0;
        if (h->moved) /* a failover lost events */
            gap(h, last);
    }
    end_reading(h);
}

static void take_page(struct heard *h, const struct redisReply *page) {
    struct rb_hearing *hearing = h->hearing;
    bool moved = h->moved;
    h->moved = false;
    for (size_t i = 0; !moved && i < page->elements && !hearing->freed; i++)
        take_entry(h, page->element[i]);
    if (hearing->freed)
        return;
    if (moved || h->again || page->elements == PAGE_COUNT) {
        read_on(h);
    } else {
        if (!rb_stream_id_is_zero(h->cursor) &&
            rb_stream_id_compare(h->last, h->cursor) > 0) /* they expired */
            gap(h, h->last);
        h->last = (struct rb_stream_id){0, 0};
    }
}

static void on_page(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct heard *h = ctx;
    struct rb_hearing *hearing = h->hearing;
    h->reading = false;
    if (hearing->freed || h->gone) {
        /* nobody is there any more */
    } else if (status == RB_OK && reply->type == REDIS_REPLY_ARRAY) {
        take_page(h, reply);
    } else {
        h->verify = true;
        if (status == RB_REFUSED && !h->told)
            rb_cli_say("%.*s: %s", RB_TEXT_ARG(h->name), reply->str);
        h->told = status == RB_REFUSED;
    }
    end_reading(h);
}

static void read_on(struct heard *h) {
    struct rb_hearing *hearing = h->hearing;
    char from[RB_STREAM_ID_MAX + 2] = "(";
    struct rb_key meta;
    if (h->reading) {
        h->again = true;
        return;
    }
    h->reading = true;
    h->again = false;
    if (h->verify) {
        h->verify = false;
        rb_key_meta(&hearing->cli->keys, h->name, &meta);
        const struct rb_text last[] = {RB_TEXT("HGET"), rb_key_text(&meta),
                                       RB_TEXT(RB_META_LAST)};
        begin_reading(h);
        rb_cli_ask(hearing->cli, on_last, h, 3, last);
    }
    size_t len = rb_stream_id_write(h->cursor, from + 1) + 1;
    const struct rb_text range[] = {RB_TEXT("XRANGE"),  rb_key_text(&h->key),
                                    rb_text(from, len), RB_TEXT("+"),
                                    RB_TEXT("COUNT"),   RB_TEXT(PAGE)};
    begin_reading(h);
    rb_cli_ask(hearing->cli, on_page, h, 6, range);
}

static void on_link(void *ctx, bool up) {
    struct rb_hearing *hearing = ctx;
    for (size_t i = 0; up && i < hearing->count; i++)
        read_on(hearing->heard[i]);
}

static void on_subscriber(void *ctx, bool up) {
    struct rb_hearing *hearing = ctx;
    hearing->events.on_state(hearing->ctx, up, up ? "" : "the connection broke");
    for (size_t i = 0; up && i < hearing->count; i++)
        rb_subscriber_subscribe(hearing->subscriber,
                                rb_key_text(&hearing->heard[i]->key));
}

static void on_subscribed(void *ctx, struct rb_text name) {
    struct heard *h = find(ctx, name);
    if (!h)
        return;
    h->verify = true;
    read_on(h);
}

/* "<prev-id> <id> <event>" */
static bool is_entry(struct rb_text payload) {
    struct rb_text prev, id;
    struct rb_stream_id parsed;
    return rb_text_next(&payload, ' ', &prev) && rb_text_next(&payload, ' ', &id) &&
           rb_stream_id_parse(prev, &parsed) == RB_OK &&
           rb_stream_id_parse(id, &parsed) == RB_OK && payload.len > 0 &&
           payload.at[0] == '{';
}

static void on_message(void *ctx, struct rb_text name, struct rb_text payload) {
    struct rb_hearing *hearing = ctx;
    struct heard *h = find(hearing, name);
    if (h && is_entry(payload))
        read_on(h);
    else if (h)
        hearing->events.on_raw(hearing->ctx, h->name, payload);
}

struct rb_hearing *rb_hearing_new(struct rb_cli *cli,
                                  const struct rb_hearing_events *events, void *ctx) {
    const struct rb_subscriber_options options = {
        .address = &cli->address,
        .name = "ringback-hearing",
        .connect_timeout_ms = cli->settings->redis.connect_timeout,
        .probe_ms = PROBE_MS,
    };
    const struct rb_subscriber_events heard = {
        .on_state = on_subscriber,
        .on_subscribed = on_subscribed,
        .on_message = on_message,
    };
    struct rb_hearing *hearing = calloc(1, sizeof *hearing);
    if (!hearing)
        return NULL;
    hearing->cli = cli;
    hearing->events = *events;
    hearing->ctx = ctx;
    rb_buffer_init(&hearing->json, EVENT_LIMIT);
    hearing->subscriber = rb_subscriber_new(cli->loop, &options, &heard, hearing);
    if (!hearing->subscriber) {
        free(hearing);
        return NULL;
    }
    cli->on_link = on_link;
    cli->on_link_ctx = hearing;
    return hearing;
}

void rb_hearing_free(struct rb_hearing *hearing) {
    if (!hearing)
        return;
    rb_subscriber_free(hearing->subscriber);
    hearing->cli->on_link = NULL;
    hearing->freed = true;
    release(hearing);
}

static bool make_room(struct rb_hearing *hearing) {
    if (hearing->count < hearing->room)
        return true;
    size_t room = hearing->room > 0 ? hearing->room * 2 : 16;
    struct heard **heard = realloc(hearing->heard, room * sizeof *heard);
    if (!heard)
        return false;
    hearing->heard = heard;
    hearing->room = room;
    return true;
}

enum rb_status rb_hearing_add(struct rb_hearing *hearing, struct rb_text channel,
                              struct rb_stream_id since) {
    struct rb_key key;
    if (!rb_name_is_channel(channel))
        return RB_INVALID;
    rb_key_channel(&hearing->cli->keys, channel, &key);
    if (find(hearing, rb_key_text(&key)))
        return RB_OK;
    struct heard *h = make_room(hearing) ? calloc(1, sizeof *h) : NULL;
    if (!h)
        return RB_NOMEM;
    h->hearing = hearing;
    h->key = key;
    if (!rb_key_parse_channel(&hearing->cli->keys, rb_key_text(&h->key), &h->name)) {
        free(h);
        return RB_INVALID;
    }
    h->cursor = since;
    hearing->heard[hearing->count++] = h;
    rb_subscriber_subscribe(hearing->subscriber, rb_key_text(&h->key));
    return RB_OK;
}

bool rb_hearing_remove(struct rb_hearing *hearing, struct rb_text channel) {
    for (size_t i = 0; i < hearing->count; i++) {
        struct heard *h = hearing->heard[i];
        if (!rb_text_equal(h->name, channel))
            continue;
        rb_subscriber_unsubscribe(hearing->subscriber, rb_key_text(&h->key));
        hearing->count--;
        memmove(hearing->heard + i, hearing->heard + i + 1,
                (hearing->count - i) * sizeof(struct heard *));
        h->gone = true;
        if (h->readings == 0)
            free(h);
        return true;
    }
    return false;
}

size_t rb_hearing_count(const struct rb_hearing *hearing) { return hearing->count; }

struct rb_text rb_hearing_name(const struct rb_hearing *hearing, size_t index) {
    return hearing->heard[index]->name;
}

struct asked {
    struct rb_stream_id *id;
    bool known;
};

static void on_asked(void *ctx, const struct rb_channel_info *info) {
    struct asked *asked = ctx;
    asked->known = info->status == RB_OK;
    *asked->id = info->last;
    if (info->status == RB_REFUSED)
        rb_cli_say("%s", info->error);
    else if (info->status != RB_OK)
        rb_cli_say("Redis: %s", rb_status_text(info->status));
}

bool rb_hearing_now(struct rb_cli *cli, struct rb_text channel, struct rb_stream_id *id) {
    struct asked asked = {.id = id};
    rb_channel_ask(cli->link, &cli->keys, channel, on_asked, &asked);
    rb_cli_settle(cli);
    return asked.known;
}

bool rb_hearing_since(struct rb_cli *cli, const char *text, struct rb_text channel,
                      struct rb_stream_id *id) {
    *id = (struct rb_stream_id){0, 0};
    if (!text)
        return true;
    if (strcmp(text, "now") == 0)
        return rb_hearing_now(cli, channel, id);
    if (rb_stream_id_parse(rb_text_of(text), id) != RB_OK)
        rb_cli_misuse(cli, "--since: expected the id of an event, or now, got \"%s\"",
                      text);
    return true;
}
