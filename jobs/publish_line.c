/* From a line of JSON to what is to be published. */
#include "jobs/publish_line.h"

#include <jansson.h>

#include "jobs/json_scan.h"

static const char no_channel[] =
    "channel is 1 to 128 of A-Z a-z 0-9 _ . : @ = ~ and -, in quotes.";

const char *rb_publish_event_problem(struct rb_text name) {
    if (!rb_name_is_event(name))
        return "An event's name is 1 to 64 of A-Z a-z 0-9 _ . and -.";
    return rb_text_is(name, "gap") ? "gap is the notifier's own event." : NULL;
}

static enum rb_status wrong(struct rb_error *error, const char *text) {
    return rb_error_set(error, NULL, 0, 0, "%s", text);
}

/* Reads a JSON string, escapes and all; false when it is none or does not fit. */
static bool read_string(struct rb_text value, char *out, size_t room) {
    struct rb_text plain;
    if (rb_json_plain_string(value, &plain)) {
        if (plain.len >= room)
            return false;
        memcpy(out, plain.at, plain.len);
        out[plain.len] = '\0';
        return true;
    }
    json_t *json = json_loadb(value.at, value.len, JSON_DECODE_ANY, NULL);
    const char *text = json_string_value(json);
    bool fits = text && json_string_length(json) < room;
    if (fits)
        memcpy(out, text, json_string_length(json) + 1);
    json_decref(json);
    return fits;
}

enum member { CHANNEL, EVENT, DATA, MEMBERS };

static enum rb_status take(struct rb_publish_line *parsed, enum member member,
                           struct rb_text value, struct rb_error *error) {
    const char *problem;
    switch (member) {
    case CHANNEL:
        if (!read_string(value, parsed->channel, sizeof parsed->channel) ||
            !rb_name_is_channel(rb_text_of(parsed->channel)))
            return wrong(error, no_channel);
        if (rb_name_is_stand_in(rb_text_of(parsed->channel)))
            return wrong(error, rb_name_stand_in);
        break;
    case EVENT:
        if (!read_string(value, parsed->event, sizeof parsed->event))
            parsed->event[0] = '\0';
        problem = rb_publish_event_problem(rb_text_of(parsed->event));
        if (problem)
            return wrong(error, problem);
        break;
    default:
        parsed->data = value;
    }
    return RB_OK;
}

enum rb_status rb_publish_line_parse(struct rb_text line, struct rb_publish_line *parsed,
                                     struct rb_error *error) {
    static const char *const names[] = {"channel", "event", "data"};
    bool seen[MEMBERS] = {false};
    struct rb_json_walk walk;
    struct rb_text key, value;
    if (rb_json_check(line, error) != RB_OK)
        return RB_INVALID;
    if (rb_text_trim(line).at[0] != '{' || rb_json_walk(line, &walk) != RB_OK)
        return wrong(error, "Expected an object with channel, event and data.");
    memset(parsed, 0, sizeof *parsed);
    memcpy(parsed->event, "message", sizeof "message");
    parsed->data = RB_TEXT("null");
    while (rb_json_next(&walk, &key, &value) == RB_OK) {
        size_t i = 0;
        while (i < MEMBERS && !rb_json_string_is(key, rb_text_of(names[i])))
            i++;
        if (i == MEMBERS)
            return wrong(error, "A message has channel, event and data, and no other.");
        if (seen[i])
            return rb_error_set(error, NULL, 0, 0, "%s is there twice.", names[i]);
        seen[i] = true;
        if (take(parsed, (enum member)i, value, error) != RB_OK)
            return RB_INVALID;
    }
    return seen[CHANNEL] ? RB_OK : wrong(error, no_channel);
}

static bool is_blank(struct rb_text line) {
    for (size_t i = 0; i < line.len; i++)
        if (line.at[i] != ' ' && line.at[i] != '\t' && line.at[i] != '\r')
            return false;
    return true;
}

bool rb_publish_line_next(struct rb_text *rest, size_t *number, struct rb_text *line) {
    while (rb_text_next(rest, '\n', line)) {
        ++*number;
        if (!is_blank(*line))
            return true;
    }
    return false;
}
