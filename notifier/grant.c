/* A grant's names stand behind one another, each with its length and its list ahead. */
#include "notifier/grant.h"

#include <stdlib.h>
#include <string.h>

#include "config/buffer.h"
#include "jobs/jwt.h"
#include "jobs/name.h"

#define SUBJECT_MAX 256
#define SESSION "session:"

enum list { LIST_CHANNELS = 'c', LIST_SERVICES = 's' };

struct rb_grant {
    uint32_t refs;
    uint16_t subject_len;
    int64_t expires;
    size_t names_len;
    char bytes[]; /* the subject, then the names */
};

/* --- making one --- */

static void add_name(struct rb_buffer *names, enum list list, struct rb_text name) {
    rb_buffer_char(names, (char)list);
    rb_buffer_char(names, (char)(unsigned char)name.len); /* at most RB_CHANNEL_MAX + 1 */
    rb_buffer_text(names, name);
}

static bool is_pattern(struct rb_text text) {
    if (text.len > 0 && text.at[text.len - 1] == '*')
        text.len--;
    else if (text.len == 0)
        return false;
    return text.len == 0 || rb_name_is_channel(text);
}

/* False when it is none. */
static bool add_channel(struct rb_buffer *names, struct rb_text text,
                        struct rb_text session) {
    char resolved[RB_CHANNEL_MAX + 1] = SESSION;
    size_t len = sizeof SESSION - 1 + session.len;
    if (!is_pattern(text))
        return false;
    if (!rb_text_is(text, "@session")) {
        add_name(names, LIST_CHANNELS, text);
    } else if (session.len > 0 && len <= RB_CHANNEL_MAX && rb_name_is_channel(session)) {
        memcpy(resolved + sizeof SESSION - 1, session.at, session.len);
        add_name(names, LIST_CHANNELS, rb_text(resolved, len));
    }
    return true;
}

static bool add_service(struct rb_buffer *names, struct rb_text text,
                        struct rb_text session) {
    (void)session;
    if (!rb_text_is(text, "*") && !rb_name_is_service(text))
        return false;
    add_name(names, LIST_SERVICES, text);
    return true;
}

static bool add_list(struct rb_buffer *names, const json_t *list, struct rb_text session,
                     bool (*add)(struct rb_buffer *, struct rb_text, struct rb_text)) {
    size_t i;
    const json_t *item;
    if (!list)
        return true;
    if (!json_is_array(list) || json_array_size(list) > RB_GRANT_NAMES)
        return false;
    json_array_foreach(list, i, item) {
        struct rb_text text = rb_text(json_string_value(item), json_string_length(item));
        if (!json_is_string(item) || !add(names, text, session))
            return false;
    }
    return true;
}

static struct rb_grant *grant_new(struct rb_text subject, const struct rb_buffer *names) {
    struct rb_grant *grant = NULL;
    if (names->status == RB_OK)
        grant = calloc(1, sizeof *grant + subject.len + names->len);
    if (!grant)
        return NULL;
    grant->refs = 1;
    grant->subject_len = (uint16_t)subject.len;
    grant->names_len = names->len;
    if (subject.len > 0)
        memcpy(grant->bytes, subject.at, subject.len);
    if (names->len > 0)
        memcpy(grant->bytes + subject.len, names->at, names->len);
    return grant;
}

static enum rb_status say(const char **problem, const char *why) {
    *problem = why;
    return RB_INVALID;
}

enum rb_status rb_grant_read(const json_t *claims, struct rb_text session,
                             struct rb_grant **grant, const char **problem) {
    const json_t *sub = json_object_get(claims, "sub");
    struct rb_text subject = rb_text(json_string_value(sub), json_string_length(sub));
    int64_t expires = 0;
    struct rb_buffer names;
    enum rb_status status = RB_OK;
    *grant = NULL;
    if (rb_jwt_time(claims, "exp", &expires) == RB_INVALID)
        return say(problem, "exp is not a time.");
    if ((sub && !json_is_string(sub)) || subject.len > SUBJECT_MAX)
        return say(problem, "sub is not a string of at most 256 bytes.");
    rb_buffer_init(&names, (size_t)RB_GRANT_NAMES * (RB_CHANNEL_MAX + 3));
    if (!add_list(&names, json_object_get(claims, "channels"), session, add_channel))
        status =
            say(problem, "channels is not a list of names, with * only at their end.");
    else if (!add_list(&names, json_object_get(claims, "enqueue"), session, add_service))
        status = say(problem, "enqueue is not a list of services.");
    else if (!(*grant = grant_new(subject, &names)))
        status = RB_NOMEM;
    else
        (*grant)->expires = expires;
    rb_buffer_fini(&names);
    return status;
}

struct rb_grant *rb_grant_of(const struct rb_text *channels, size_t count) {
    struct rb_buffer names;
    rb_buffer_init(&names, (size_t)RB_GRANT_NAMES * (RB_CHANNEL_MAX + 3));
    for (size_t i = 0; i < count; i++)
        add_name(&names, LIST_CHANNELS, channels[i]);
    struct rb_grant *grant = grant_new(RB_TEXT(""), &names);
    rb_buffer_fini(&names);
    return grant;
}

struct rb_grant *rb_grant_ref(struct rb_grant *grant) {
    grant->refs++;
    return grant;
}

void rb_grant_unref(struct rb_grant *grant) {
    if (grant && --grant->refs == 0)
        free(grant);
}

/* --- asking it --- */

static bool matches(struct rb_text pattern, struct rb_text name) {
    if (pattern.at[pattern.len - 1] == '*')
        return rb_text_starts(name, rb_text(pattern.at, pattern.len - 1));
    return rb_text_equal(pattern, name);
}

static bool allows(const struct rb_grant *grant, enum list list, struct rb_text name) {
    const char *at = grant->bytes + grant->subject_len;
    const char *end = at + grant->names_len;
    while (at < end) {
        struct rb_text own = rb_text(at + 2, (unsigned char)at[1]);
        if (*at == (char)list && matches(own, name))
            return true;
        at = own.at + own.len;
    }
    return false;
}

bool rb_grant_hears(const struct rb_grant *grant, struct rb_text channel) {
    return allows(grant, LIST_CHANNELS, channel);
}

bool rb_grant_enqueues(const struct rb_grant *grant, struct rb_text service) {
    return allows(grant, LIST_SERVICES, service);
}

int64_t rb_grant_expires(const struct rb_grant *grant) { return grant->expires; }

struct rb_text rb_grant_subject(const struct rb_grant *grant) {
    return rb_text(grant->bytes, grant->subject_len);
}
