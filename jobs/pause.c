/* Pausing: members of one set. */
#include "jobs/pause.h"

#include <stdio.h>

#include "jobs/name.h"

#define MEMBER_MAX (sizeof "service:" + RB_NAME_MAX)

static struct rb_text prefix(enum rb_pausable what) {
    return what == RB_PAUSE_QUEUE ? RB_TEXT("queue:") : RB_TEXT("service:");
}

void rb_pause(struct rb_link *link, const struct rb_keys *keys, enum rb_pausable what,
              struct rb_text name, bool paused, rb_link_reply_fn *fn, void *ctx) {
    struct rb_key key;
    char member[MEMBER_MAX];
    int len = snprintf(member, sizeof member, RB_TEXT_FMT RB_TEXT_FMT,
                       RB_TEXT_ARG(prefix(what)), RB_TEXT_ARG(name));
    rb_key_paused(keys, &key);
    const struct rb_text names[] = {rb_key_text(&key)};
    const struct rb_text args[] = {paused ? RB_TEXT("pause") : RB_TEXT("resume"),
                                   rb_text(member, (size_t)len), names[0]};
    rb_link_script(link, &rb_script_pause, 1, names, 3, args, fn, ctx);
}

bool rb_pause_has(const struct redisReply *paused, enum rb_pausable what,
                  struct rb_text name) {
    struct rb_text kind = prefix(what);
    for (size_t i = 0; paused && i < paused->elements; i++) {
        const struct redisReply *member = paused->element[i];
        if (member->type != REDIS_REPLY_STRING || member->len != kind.len + name.len)
            continue;
        struct rb_text text = rb_text(member->str, member->len);
        if (rb_text_starts(text, kind) &&
            rb_text_equal(rb_text(text.at + kind.len, name.len), name))
            return true;
    }
    return false;
}
