/* What is said on a new connection, and what its answers mean. */
#include "jobs/redis_greeting.h"

#include <stdio.h>

#include "jobs/redis_command.h"

static enum rb_greeting_step skip_unneeded(const struct rb_redis_address *address,
                                           enum rb_greeting_step step) {
    if (step == RB_GREETING_AUTH && !address->password)
        step = RB_GREETING_SELECT;
    if (step == RB_GREETING_SELECT && address->db == 0)
        step = RB_GREETING_ROLE;
    if (step == RB_GREETING_ROLE && !address->sentinel)
        step = RB_GREETING_READY;
    return step;
}

static size_t write_step(const struct rb_redis_address *address, const char *name,
                         enum rb_greeting_step step, char db[16],
                         struct rb_text argv[3]) {
    size_t argc = 0;
    switch (step) {
    case RB_GREETING_AUTH:
        argv[argc++] = RB_TEXT("AUTH");
        if (address->user)
            argv[argc++] = rb_text_of(address->user);
        argv[argc++] = rb_text_of(address->password);
        break;
    case RB_GREETING_SELECT:
        snprintf(db, 16, "%d", address->db);
        argv[argc++] = RB_TEXT("SELECT");
        argv[argc++] = rb_text_of(db);
        break;
    case RB_GREETING_ROLE:
        argv[argc++] = RB_TEXT("ROLE");
        break;
    case RB_GREETING_READY:
        argv[argc++] = RB_TEXT("PING");
        break;
    case RB_GREETING_NAME:
        argv[argc++] = RB_TEXT("CLIENT");
        argv[argc++] = RB_TEXT("SETNAME");
        argv[argc++] = rb_text_of(name);
        break;
    case RB_GREETING_DONE:
        break;
    }
    return argc;
}

enum rb_status rb_greeting_write(const struct rb_redis_address *address, const char *name,
                                 struct rb_buffer *out, enum rb_greeting_step *first) {
    enum rb_greeting_step step = *first = skip_unneeded(address, RB_GREETING_AUTH);
    while (step != RB_GREETING_DONE) {
        char db[16];
        struct rb_text argv[3];
        size_t argc = write_step(address, name, step, db, argv);
        enum rb_status status = rb_redis_command_add(out, argc, argv);
        if (status != RB_OK)
            return status;
        step = skip_unneeded(address, step + 1);
    }
    return RB_OK;
}

/* True when the error starts with these words. */
static bool says(const struct redisReply *reply, struct rb_text words) {
    return rb_text_starts(rb_text(reply->str, reply->len), words);
}

static bool is_master(const struct redisReply *reply) {
    const struct redisReply *role =
        reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 ? reply->element[0]
                                                                : NULL;
    return role && role->type == REDIS_REPLY_STRING &&
           rb_text_is(rb_text(role->str, role->len), "master");
}

enum rb_status rb_greeting_judge(const struct rb_redis_address *address,
                                 const struct redisReply *reply,
                                 enum rb_greeting_step *step) {
    enum rb_greeting_step now = *step;
    *step = skip_unneeded(address, now + 1);
    if (reply->type != REDIS_REPLY_ERROR)
        return now != RB_GREETING_ROLE || is_master(reply) ? RB_OK : RB_UNAVAILABLE;
    if (says(reply, RB_TEXT("LOADING ")) || says(reply, RB_TEXT("MASTERDOWN ")) ||
        says(reply, RB_TEXT("BUSY ")) ||
        says(reply, RB_TEXT("ERR max number of clients")))
        return RB_UNAVAILABLE;
    if (now == RB_GREETING_AUTH || says(reply, RB_TEXT("NOAUTH ")))
        return RB_REFUSED;
    /* A name is a courtesy, and a user who may not PING or ask for the role may still be
     * let in. */
    if (now == RB_GREETING_NAME ||
        (now != RB_GREETING_SELECT && says(reply, RB_TEXT("NOPERM "))))
        return RB_OK;
    return RB_UNAVAILABLE;
}
