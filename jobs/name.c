/* Which bytes a name may hold. ASCII alone, whatever the locale. */
#include "jobs/name.h"

static bool lower_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool alphanumeric(char c) { return lower_or_digit(c) || (c >= 'A' && c <= 'Z'); }

static bool service_byte(char c) { return lower_or_digit(c) || c == '_' || c == '-'; }

static bool event_byte(char c) {
    return alphanumeric(c) || c == '_' || c == '.' || c == '-';
}

bool rb_name_byte(char c) {
    return alphanumeric(c) || c == '_' || c == '.' || c == ':' || c == '@' || c == '=' ||
           c == '~' || c == '-';
}

static bool all(struct rb_text text, size_t max, bool (*legal)(char)) {
    if (text.len == 0 || text.len > max)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (!legal(text.at[i]))
            return false;
    return true;
}

bool rb_name_is_channel(struct rb_text text) {
    return all(text, RB_CHANNEL_MAX, rb_name_byte);
}

const char rb_name_stand_in[] = "@me and @session stand for a visitor's own channel: "
                                "name that one.";

bool rb_name_is_stand_in(struct rb_text channel) {
    return rb_text_is(channel, "@me") || rb_text_is(channel, "@session");
}

bool rb_name_is_job_id(struct rb_text text) {
    return all(text, RB_JOB_ID_MAX, rb_name_byte);
}

bool rb_name_is_queue(struct rb_text text) {
    return all(text, RB_NAME_MAX, rb_name_byte);
}

bool rb_name_is_service(struct rb_text text) {
    return all(text, RB_NAME_MAX, service_byte) && lower_or_digit(text.at[0]);
}

bool rb_name_is_event(struct rb_text text) { return all(text, RB_NAME_MAX, event_byte); }

struct rb_text rb_name_shown(struct rb_text channel) {
    static const struct rb_text secret[] = {{"session:", 8}, {"me:", 3}};
    for (size_t i = 0; i < sizeof secret / sizeof *secret; i++)
        if (rb_text_starts(channel, secret[i]))
            return secret[i];
    return channel;
}
