/* Writing events, and the little of them that a reader needs. */
#include "jobs/event.h"

#include <assert.h>

#include "jobs/json_scan.h"
#include "jobs/name.h"

static const char *const codes[] = {
    [RB_FAIL_INVALID_JOB] = "invalid_job",
    [RB_FAIL_UNKNOWN_SERVICE] = "unknown_service",
    [RB_FAIL_INVALID_PARAMS] = "invalid_params",
    [RB_FAIL_EXPIRED] = "expired",
    [RB_FAIL_TIMEOUT] = "timeout",
    [RB_FAIL_CONNECT] = "connect",
    [RB_FAIL_TLS] = "tls",
    [RB_FAIL_HTTP_STATUS] = "http_status",
    [RB_FAIL_TOO_LARGE] = "too_large",
    [RB_FAIL_BAD_RESPONSE] = "bad_response",
    [RB_FAIL_CIRCUIT_OPEN] = "circuit_open",
    [RB_FAIL_RATE_LIMITED] = "rate_limited",
    [RB_FAIL_POISONED] = "poisoned",
    [RB_FAIL_CANCELLED] = "cancelled",
    [RB_FAIL_INTERNAL] = "internal",
};
static_assert(sizeof codes / sizeof codes[0] == RB_FAILURES, "each failure has its code");

const char *rb_failure_code(enum rb_failure failure) {
    return (unsigned)failure < RB_FAILURES ? codes[failure] : "internal";
}

static void text_member(struct rb_buffer *out, const char *key, struct rb_text value) {
    rb_buffer_string(out, key);
    rb_buffer_json(out, value);
}

static void int_member(struct rb_buffer *out, const char *key, int64_t value) {
    rb_buffer_string(out, key);
    rb_buffer_int(out, value);
}

static void write_origin(struct rb_buffer *out, const struct rb_event_origin *origin) {
    if (origin->shared)
        rb_buffer_string(out, ",\"shared\":true");
    if (origin->cached)
        int_member(out, ",\"cached\":true,\"age\":", origin->age_ms);
    if (origin->stale)
        rb_buffer_string(out, ",\"stale\":true");
    if (origin->missing.len > 0) {
        rb_buffer_string(out, ",\"missing\":");
        rb_buffer_text(out, origin->missing);
    }
}

static void open_event(struct rb_buffer *out, const struct rb_event_head *head,
                       struct rb_text event) {
    text_member(out, "{\"channel\":", head->channel);
    text_member(out, ",\"event\":", event);
    if (head->job.len > 0)
        text_member(out, ",\"job\":", head->job);
    if (head->service.len > 0)
        text_member(out, ",\"service\":", head->service);
    int_member(out, ",\"at\":", head->at);
    if (head->trace.len > 0)
        text_member(out, ",\"trace\":", head->trace);
    if (head->origin)
        write_origin(out, head->origin);
}

/* On one line, since some transports end a message with one. */
static void close_with_data(struct rb_buffer *out, struct rb_text data_json) {
    rb_buffer_string(out, ",\"data\":");
    rb_json_line(out, data_json);
    rb_buffer_char(out, '}');
}

void rb_event_error_json(struct rb_buffer *out, const struct rb_event_error *error) {
    text_member(out, "{\"code\":", rb_text_of(rb_failure_code(error->code)));
    text_member(out, ",\"message\":", rb_text_of(error->message));
    if (error->status > 0)
        int_member(out, ",\"status\":", error->status);
    rb_buffer_char(out, '}');
}

static void close_with_error(struct rb_buffer *out, const struct rb_event_error *error) {
    rb_buffer_string(out, ",\"error\":");
    rb_event_error_json(out, error);
    rb_buffer_char(out, '}');
}

void rb_event_started(struct rb_buffer *out, const struct rb_event_head *head) {
    open_event(out, head, RB_TEXT("started"));
    rb_buffer_char(out, '}');
}

void rb_event_retrying(struct rb_buffer *out, const struct rb_event_head *head,
                       int attempt, int64_t delay_ms,
                       const struct rb_event_error *error) {
    open_event(out, head, RB_TEXT("retrying"));
    int_member(out, ",\"attempt\":", attempt);
    int_member(out, ",\"delay\":", delay_ms);
    close_with_error(out, error);
}

void rb_event_part_retrying(struct rb_buffer *out, const struct rb_event_head *head,
                            struct rb_text part, int attempt, int64_t delay_ms,
                            const struct rb_event_error *error) {
    open_event(out, head, RB_TEXT("retrying"));
    text_member(out, ",\"part\":", part);
    int_member(out, ",\"attempt\":", attempt);
    int_member(out, ",\"delay\":", delay_ms);
    close_with_error(out, error);
}

void rb_event_partial(struct rb_buffer *out, const struct rb_event_head *head,
                      struct rb_text part, int parts, struct rb_text data_json) {
    open_event(out, head, RB_TEXT("partial"));
    text_member(out, ",\"part\":", part);
    int_member(out, ",\"parts\":", parts);
    close_with_data(out, data_json);
}

void rb_event_done(struct rb_buffer *out, const struct rb_event_head *head,
                   struct rb_text data_json) {
    open_event(out, head, RB_TEXT("done"));
    close_with_data(out, data_json);
}

void rb_event_done_linked(struct rb_buffer *out, const struct rb_event_head *head,
                          struct rb_text link, int64_t bytes) {
    open_event(out, head, RB_TEXT("done"));
    text_member(out, ",\"link\":", link);
    int_member(out, ",\"bytes\":", bytes);
    rb_buffer_char(out, '}');
}

void rb_event_failed(struct rb_buffer *out, const struct rb_event_head *head,
                     const struct rb_event_error *error) {
    open_event(out, head, RB_TEXT("failed"));
    close_with_error(out, error);
}

void rb_event_custom(struct rb_buffer *out, const struct rb_event_head *head,
                     struct rb_text name, struct rb_text data_json) {
    open_event(out, head, name);
    close_with_data(out, data_json);
}

static void id_member(struct rb_buffer *out, const char *key, struct rb_stream_id id) {
    char text[RB_STREAM_ID_MAX + 3] = {'"'};
    size_t len = 1 + rb_stream_id_write(id, text + 1);
    text[len++] = '"';
    rb_buffer_string(out, key);
    rb_buffer_add(out, text, len);
}

void rb_event_gap(struct rb_buffer *out, struct rb_text channel, int64_t at,
                  struct rb_stream_id since, struct rb_stream_id resume,
                  const struct rb_stream_id *first) {
    id_member(out, "{\"id\":", resume);
    text_member(out, ",\"channel\":", channel);
    rb_buffer_string(out, ",\"event\":\"gap\"");
    int_member(out, ",\"at\":", at);
    id_member(out, ",\"since\":", since);
    if (first)
        id_member(out, ",\"first\":", *first);
    else
        rb_buffer_string(out, ",\"first\":null");
    rb_buffer_char(out, '}');
}

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

void rb_event_with_id(struct rb_buffer *out, struct rb_stream_id id,
                      struct rb_text json) {
    if (json.len < 2 || json.at[0] != '{') {
        rb_buffer_text(out, json);
        return;
    }
    size_t next = 1;
    while (next < json.len - 1 && is_space(json.at[next]))
        next++;
    id_member(out, "{\"id\":", id);
    if (json.at[next] != '}')
        rb_buffer_char(out, ',');
    rb_buffer_add(out, json.at + next, json.len - next);
}

static bool take(struct rb_text *json, struct rb_text what) {
    if (!rb_text_starts(*json, what))
        return false;
    *json = rb_text(json->at + what.len, json->len - what.len);
    return true;
}

/* Up to the next quote, which is taken too. Names hold no escapes, so whoever checks that
 * it is a name has found the end of the string. */
static bool take_string(struct rb_text *json, struct rb_text *string) {
    const char *quote = json->len > 0 ? memchr(json->at, '"', json->len) : NULL;
    if (!quote)
        return false;
    *string = rb_text(json->at, (size_t)(quote - json->at));
    *json = rb_text(quote + 1, json->len - string->len - 1);
    return true;
}

/* The way in which events are written here, with an id in front or without. What comes
 * behind the event's name is not looked at. */
static bool peek_fast(struct rb_text json, struct rb_text *channel,
                      struct rb_text *event) {
    struct rb_text id;
    if (json.len == 0 || json.at[json.len - 1] != '}')
        return false;
    if (take(&json, RB_TEXT("{\"id\":\""))) {
        struct rb_stream_id parsed;
        if (!take_string(&json, &id) || rb_stream_id_parse(id, &parsed) != RB_OK ||
            !take(&json, RB_TEXT(",\"channel\":\"")))
            return false;
    } else if (!take(&json, RB_TEXT("{\"channel\":\""))) {
        return false;
    }
    return take_string(&json, channel) && take(&json, RB_TEXT(",\"event\":\"")) &&
           take_string(&json, event) && (json.at[0] == ',' || json.at[0] == '}');
}

/* What the bytes are. */
struct look {
    bool usual;  /* an event as written here, as far as its name */
    bool object; /* all of it was looked at: a JSON object */
    bool has_id; /* likewise */
};

/* Any other order or spacing: an event written by an app itself. */
static bool peek_slow(struct rb_text json, struct rb_text *channel, struct rb_text *event,
                      struct look *look) {
    struct rb_json_walk walk;
    struct rb_text key, value;
    bool has_channel = false, has_event = false;
    enum rb_status status;
    if (rb_json_walk(json, &walk) != RB_OK || walk.end != '}')
        return false;
    while ((status = rb_json_next(&walk, &key, &value)) == RB_OK) {
        if (rb_json_string_is(key, RB_TEXT("channel")))
            has_channel = rb_json_plain_string(value, channel);
        else if (rb_json_string_is(key, RB_TEXT("event")))
            has_event = rb_json_plain_string(value, event);
        else if (rb_json_string_is(key, RB_TEXT("id")))
            look->has_id = true;
    }
    look->object = status == RB_NOT_FOUND && walk.rest.len == 0;
    return look->object && has_channel && has_event;
}

static const struct rb_event_view no_event = {{NULL, 0}, RB_TEXT("message"), false};

static struct look peek(struct rb_text json, bool trusted, struct rb_event_view *view) {
    struct rb_text channel, event;
    struct look look = {.usual = trusted && peek_fast(json, &channel, &event)};
    *view = no_event;
    if (!look.usual && !peek_slow(json, &channel, &event, &look))
        return look;
    if (!rb_name_is_channel(channel) || !rb_name_is_event(event))
        return look;
    view->channel = channel;
    view->event = event;
    view->terminal = rb_text_is(event, "done") || rb_text_is(event, "failed");
    return look;
}

void rb_event_peek(struct rb_text json, struct rb_event_view *view) {
    (void)peek(json, true, view);
}

static struct rb_text without_space(struct rb_text json) {
    while (json.len > 0 && is_space(json.at[0]))
        json = rb_text(json.at + 1, json.len - 1);
    while (json.len > 0 && is_space(json.at[json.len - 1]))
        json.len--;
    return json;
}

/* Readers take the last of two ids, which is not where the event stands. */
static void replace_id(struct rb_buffer *out, struct rb_stream_id id,
                       struct rb_text json) {
    struct rb_json_walk walk;
    struct rb_text key, value;
    id_member(out, "{\"id\":", id);
    if (rb_json_walk(json, &walk) == RB_OK)
        while (rb_json_next(&walk, &key, &value) == RB_OK) {
            if (rb_json_string_is(key, RB_TEXT("id")))
                continue;
            rb_buffer_char(out, ',');
            rb_buffer_text(out, key);
            rb_buffer_char(out, ':');
            rb_buffer_text(out, value);
        }
    rb_buffer_char(out, '}');
}

static void wrap(struct rb_buffer *out, struct rb_text channel, struct rb_stream_id id,
                 struct rb_text json) {
    id_member(out, "{\"id\":", id);
    text_member(out, ",\"channel\":", channel);
    rb_buffer_string(out, ",\"event\":\"message\"");
    int_member(out, ",\"at\":", (int64_t)(id.ms & INT64_MAX));
    rb_buffer_string(out, ",\"data\":");
    if (rb_json_check(json, NULL) == RB_OK)
        rb_json_line(out, json);
    else
        rb_buffer_json(out, json);
    rb_buffer_char(out, '}');
}

void rb_event_tell(struct rb_buffer *out, struct rb_text channel, struct rb_stream_id id,
                   struct rb_text json, bool trusted, struct rb_event_view *view) {
    const struct rb_text as_it_came = json;
    if (json.len == 0 || json.at[0] != '{' || json.at[json.len - 1] != '}')
        json = without_space(json);
    if (rb_text_starts(json, RB_TEXT("{\"id\":")))
        trusted = false; /* it was told before, by somebody else */
    struct look look = peek(json, trusted, view);
    if (look.has_id && look.object) {
        replace_id(out, id, json);
    } else if (look.usual || look.object) {
        rb_event_with_id(out, id, json);
    } else {
        *view = no_event;
        wrap(out, channel, id, as_it_came);
    }
}
