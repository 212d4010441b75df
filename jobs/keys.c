/* The names of everything in Redis. */
#include "jobs/keys.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The settings and name.h bound what comes here; the cap is for the day they do not. */
static void add(struct rb_key *key, struct rb_text text) {
    size_t room = sizeof key->at - key->len;
    assert(text.len <= room);
    size_t len = text.len <= room ? text.len : room;
    if (len > 0)
        memcpy(key->at + key->len, text.at, len);
    key->len += len;
}

static void write_key(struct rb_key *key, struct rb_text prefix, struct rb_text middle,
                      struct rb_text name, struct rb_text end) {
    key->len = 0;
    add(key, prefix);
    add(key, middle);
    add(key, name);
    add(key, end);
}

void rb_key_queue(const struct rb_keys *keys, struct rb_text queue, struct rb_key *key) {
    write_key(key, keys->jobs, RB_TEXT(":queue:"), queue, RB_TEXT(""));
}

void rb_key_retry(const struct rb_keys *keys, struct rb_text queue, struct rb_key *key) {
    write_key(key, keys->jobs, RB_TEXT(":retry:"), queue, RB_TEXT(""));
}

void rb_key_due(const struct rb_keys *keys, struct rb_key *key) {
    write_key(key, keys->jobs, RB_TEXT(":due"), RB_TEXT(""), RB_TEXT(""));
}

void rb_key_workers(const struct rb_keys *keys, struct rb_key *key) {
    write_key(key, keys->jobs, RB_TEXT(":workers"), RB_TEXT(""), RB_TEXT(""));
}

void rb_key_held(const struct rb_keys *keys, struct rb_text worker, struct rb_key *key) {
    write_key(key, keys->jobs, RB_TEXT(":held:"), worker, RB_TEXT(""));
}

void rb_key_dead(const struct rb_keys *keys, struct rb_key *key) {
    write_key(key, keys->jobs, RB_TEXT(":dead"), RB_TEXT(""), RB_TEXT(""));
}

void rb_key_cancelled(const struct rb_keys *keys, struct rb_key *key) {
    write_key(key, keys->jobs, RB_TEXT(":cancelled"), RB_TEXT(""), RB_TEXT(""));
}

void rb_key_paused(const struct rb_keys *keys, struct rb_key *key) {
    write_key(key, keys->jobs, RB_TEXT(":paused"), RB_TEXT(""), RB_TEXT(""));
}

void rb_key_stats(const struct rb_keys *keys, struct rb_text worker, struct rb_key *key) {
    write_key(key, keys->jobs, RB_TEXT(":stats:"), worker, RB_TEXT(""));
}

void rb_key_rate(const struct rb_keys *keys, struct rb_text service, struct rb_key *key) {
    write_key(key, keys->jobs, RB_TEXT(":rate:"), service, RB_TEXT(""));
}

void rb_key_slots(const struct rb_keys *keys, struct rb_text service,
                  struct rb_key *key) {
    write_key(key, keys->jobs, RB_TEXT(":slots:"), service, RB_TEXT(""));
}

void rb_key_cache(const struct rb_keys *keys, struct rb_text service,
                  struct rb_text digest, struct rb_key *key) {
    write_key(key, keys->jobs, RB_TEXT(":cache:"), service, RB_TEXT(":"));
    add(key, digest);
}

void rb_key_once(const struct rb_keys *keys, struct rb_text unique, struct rb_key *key) {
    write_key(key, keys->jobs, RB_TEXT(":once:"), unique, RB_TEXT(""));
}

void rb_key_tick(const struct rb_keys *keys, struct rb_text service, int64_t at_s,
                 struct rb_key *key) {
    char end[24];
    int len = snprintf(end, sizeof end, ":%" PRId64, at_s);
    write_key(key, keys->jobs, RB_TEXT(":once:tick:"), service,
              rb_text(end, (size_t)len));
}

/* The braces are a hash tag: stream and meta of a channel share a slot. */
void rb_key_channel(const struct rb_keys *keys, struct rb_text channel,
                    struct rb_key *key) {
    write_key(key, keys->channels, RB_TEXT(":{"), channel, RB_TEXT("}"));
}

void rb_key_meta(const struct rb_keys *keys, struct rb_text channel, struct rb_key *key) {
    write_key(key, keys->channels, RB_TEXT(":{"), channel, RB_TEXT("}:meta"));
}

void rb_key_result(const struct rb_keys *keys, struct rb_text channel, struct rb_text job,
                   struct rb_key *key) {
    write_key(key, keys->channels, RB_TEXT(":{"), channel, RB_TEXT("}:result:"));
    add(key, job);
}

void rb_key_request(const struct rb_keys *keys, struct rb_text digest,
                    struct rb_key *key) {
    write_key(key, keys->jobs, RB_TEXT(":request:"), digest, RB_TEXT(""));
}

void rb_key_published(const struct rb_keys *keys, struct rb_text channel,
                      struct rb_text digest, struct rb_key *key) {
    write_key(key, keys->channels, RB_TEXT(":{"), channel, RB_TEXT("}:once:"));
    add(key, digest);
}

void rb_key_notifiers(const struct rb_keys *keys, struct rb_key *key) {
    write_key(key, keys->channels, RB_TEXT(":notifiers"), RB_TEXT(""), RB_TEXT(""));
}

void rb_key_notifier(const struct rb_keys *keys, struct rb_text id, struct rb_key *key) {
    write_key(key, keys->channels, RB_TEXT(":notifier:"), id, RB_TEXT(""));
}

bool rb_key_parse_channel(const struct rb_keys *keys, struct rb_text key,
                          struct rb_text *channel) {
    const size_t around = sizeof ":{}" - 1;
    if (key.len <= keys->channels.len + around || !rb_text_starts(key, keys->channels))
        return false;
    struct rb_text rest =
        rb_text(key.at + keys->channels.len, key.len - keys->channels.len);
    if (rest.at[0] != ':' || rest.at[1] != '{' || rest.at[rest.len - 1] != '}')
        return false;
    struct rb_text name = rb_text(rest.at + 2, rest.len - around);
    if (memchr(name.at, '}', name.len) || memchr(name.at, '{', name.len))
        return false;
    *channel = name;
    return true;
}
