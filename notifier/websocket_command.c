/* What a client says on its WebSocket: {"subscribe":"ch","since":"id"},
 * {"unsubscribe":"ch"} and {"token":"…"}, each answered, mistakes too. */
#include <jansson.h>
#include <string.h>

#include "jobs/name.h"
#include "notifier/admit.h"
#include "notifier/me.h"
#include "notifier/pass.h"
#include "notifier/transport.h"
#include "notifier/transport_websocket.h"

void rb_websocket_answer(struct rb_connection *c, const struct rb_buffer *json) {
    if (json->status == RB_OK)
        rb_websocket_send(c, RB_WS_TEXT, rb_buffer_view(json));
    else
        rb_connection_doom(c, RB_COUNT_CLOSED_MEMORY, "out of memory");
}

/* {"<done>":"<channel>"} */
static void confirm(struct rb_connection *c, const char *done, struct rb_text channel) {
    struct rb_buffer json;
    rb_buffer_init(&json, 2048);
    rb_buffer_printf(&json, "{\"%s\":", done);
    rb_buffer_json(&json, channel);
    rb_buffer_char(&json, '}');
    rb_websocket_answer(c, &json);
    rb_buffer_fini(&json);
}

/* channel may be empty. */
static void complain(struct rb_connection *c, const char *code, const char *message,
                     struct rb_text channel) {
    struct rb_buffer json;
    rb_buffer_init(&json, 4096);
    rb_buffer_printf(&json, "{\"error\":{\"code\":\"%s\",\"message\":", code);
    rb_buffer_json(&json, rb_text_of(message));
    if (channel.len > 0) {
        rb_buffer_string(&json, ",\"channel\":");
        rb_buffer_json(&json, channel);
    }
    rb_buffer_string(&json, "}}");
    rb_websocket_answer(c, &json);
    rb_buffer_fini(&json);
}

static struct rb_text text_of(const json_t *string) {
    return rb_text(json_string_value(string), json_string_length(string));
}

struct rb_text rb_websocket_me(const struct rb_connection *c, char room[RB_ME_LEN + 1]) {
    for (const struct rb_subscription *s = c->subscriptions; s; s = s->sibling)
        if (s->group && rb_me_is(rb_subscription_channel(s)))
            return rb_subscription_channel(s);
    rb_me_make(room);
    return rb_text(room, RB_ME_LEN);
}

bool rb_websocket_session(const struct rb_connection *c, char room[RB_CHANNEL_MAX + 1],
                          struct rb_text *channel) {
    static const char prefix[] = "session:";
    struct rb_text session = rb_pass_session(c);
    size_t len = sizeof prefix - 1 + session.len;
    if (session.len == 0 || len > RB_CHANNEL_MAX || !rb_name_is_channel(session))
        return false;
    memcpy(room, prefix, sizeof prefix - 1);
    memcpy(room + sizeof prefix - 1, session.at, session.len);
    *channel = rb_text(room, len);
    return true;
}

/* The channel that a name stands for; false after a complaint. */
static bool resolve(struct rb_connection *c, struct rb_text name,
                    char out[RB_CHANNEL_MAX + 1], struct rb_text *channel) {
    *channel = name;
    if (rb_text_is(name, "@me")) {
        *channel = rb_websocket_me(c, out);
        return true;
    }
    if (rb_text_is(name, "@session")) {
        if (rb_websocket_session(c, out, channel))
            return true;
        complain(c, "forbidden", "@session needs the session cookie.", name);
        return false;
    }
    if (rb_name_is_channel(name))
        return true;
    complain(c, "invalid_channel",
             "A channel's name is 1 to 128 of A-Z a-z 0-9 _ . : @ = ~ and -.",
             name.len <= RB_CHANNEL_MAX ? name : RB_TEXT(""));
    return false;
}

static bool read_cursor(const json_t *since, struct rb_cursor *cursor) {
    *cursor = (struct rb_cursor){0};
    if (!since || json_is_null(since))
        return true;
    if (!json_is_string(since))
        return false;
    if (rb_text_is(text_of(since), "-"))
        return true;
    cursor->given = true;
    return rb_stream_id_parse(text_of(since), &cursor->id) == RB_OK;
}

bool rb_websocket_is_full(struct rb_connection *c) {
    size_t count = 0;
    struct rb_subscription *ended = NULL;
    for (struct rb_subscription *s = c->subscriptions; s; s = s->sibling) {
        count++;
        ended = s->mark & RB_MARK_DONE ? s : ended;
    }
    if (count < RB_WAIT_CHANNELS)
        return false;
    if (ended)
        rb_connection_unsubscribe(c, ended);
    return !ended;
}

/* What it is called in the answer: a private channel by its name, which is how the client
 * gets to know it. */
static struct rb_text called(struct rb_text name, struct rb_text channel) {
    return rb_text_is(name, "@me") ? channel : name;
}

static void subscribe_admitted(struct rb_connection *c, struct rb_text channel,
                               struct rb_text name, struct rb_cursor cursor,
                               const struct rb_verdict *verdict) {
    bool known = rb_connection_find(c, channel) != NULL;
    if (verdict->status != 0) {
        rb_count(c->server, verdict->count, 1);
        complain(c, verdict->status == 503 ? "unavailable" : "forbidden",
                 verdict->problem, name);
        return;
    }
    if (!known && rb_websocket_is_full(c)) {
        complain(c, "too_many_channels", "At most 16 channels can be waited on at once.",
                 name);
        return;
    }
    confirm(c, "subscribed", called(name, channel));
    if (!known && !c->doomed &&
        rb_connection_subscribe(c, channel, cursor, &rb_websocket_sink) != RB_OK)
        rb_connection_doom(c, RB_COUNT_CLOSED_MEMORY, "out of memory");
}

static void subscribe(struct rb_connection *c, struct rb_text name, const json_t *since) {
    char out[RB_CHANNEL_MAX + 1];
    struct rb_text channel;
    struct rb_cursor cursor;
    if (!resolve(c, name, out, &channel))
        return;
    if (!read_cursor(since, &cursor)) {
        complain(c, "invalid_cursor", "since is an event's id.", name);
        return;
    }
    rb_admit_more(c, channel, name, cursor, subscribe_admitted);
}

static void unsubscribe(struct rb_connection *c, struct rb_text name) {
    char out[RB_CHANNEL_MAX + 1];
    struct rb_text channel;
    if (!resolve(c, name, out, &channel))
        return;
    struct rb_subscription *s = rb_connection_find(c, channel);
    /* The answer comes first: the channel's name may go with its last subscription. */
    confirm(c, "unsubscribed", called(name, channel));
    if (!s || c->doomed)
        return;
    rb_connection_unsubscribe(c, s);
    rb_connection_touch(c); /* all that are left may have ended */
}

/* {"token":…}: another one before the old one ends. */
static void renew(struct rb_connection *c, struct rb_text token) {
    struct rb_verdict verdict = rb_admit_renew(c, token);
    if (c->doomed || c->closing)
        return;
    if (verdict.status != 0)
        complain(c, verdict.error ? verdict.error : "forbidden", verdict.problem,
                 RB_TEXT(""));
    else
        rb_websocket_send(c, RB_WS_TEXT, RB_TEXT("{\"token\":\"accepted\"}"));
}

static void obey(struct rb_connection *c, const json_t *command, struct rb_text message) {
    const json_t *job = json_object_get(command, "enqueue");
    const json_t *token = json_object_get(command, "token");
    const json_t *wanted = json_object_get(command, "subscribe");
    const json_t *unwanted = json_object_get(command, "unsubscribe");
    const json_t *since = json_object_get(command, "since");
    size_t members = json_object_size(command);
    if (json_is_string(wanted) && members == 1 + (size_t)(since != NULL))
        subscribe(c, text_of(wanted), since);
    else if (json_is_string(unwanted) && members == 1)
        unsubscribe(c, text_of(unwanted));
    else if (json_is_string(token) && members == 1)
        renew(c, text_of(token));
    else if (job && members == 1 + (size_t)(json_object_get(command, "ref") != NULL))
        rb_websocket_enqueue(c, command, message);
    else
        complain(c, "invalid_message",
                 "Expected {\"subscribe\":…,\"since\":…}, {\"unsubscribe\":…}, "
                 "{\"enqueue\":{…}} or {\"token\":…}.",
                 RB_TEXT(""));
}

void rb_websocket_command(struct rb_connection *c, enum rb_ws_opcode opcode,
                          struct rb_text message) {
    json_t *command = NULL;
    if (opcode == RB_WS_TEXT)
        command = json_loadb(message.at ? message.at : "", message.len,
                             JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(command))
        obey(c, command, message);
    else
        complain(c, "invalid_message", "A message is a JSON object, as text.",
                 RB_TEXT(""));
    json_decref(command);
}

void rb_websocket_too_fast(struct rb_connection *c) {
    complain(c, "too_fast", "Messages come too fast; this one was not looked at.",
             RB_TEXT(""));
}
