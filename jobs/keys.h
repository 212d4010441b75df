/* The names of everything in Redis. No other source file spells them. */
#ifndef RB_JOBS_KEYS_H
#define RB_JOBS_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "config/text.h"

#define RB_KEY_MAX 448 /* a prefix and two names of at most 128 each fit */

/* Borrowed prefixes, from the settings. */
struct rb_keys {
    struct rb_text jobs;     /* J, default "ringback" */
    struct rb_text channels; /* C, default "ringback:ch" */
};

struct rb_key {
    size_t len;
    char at[RB_KEY_MAX];
};

static inline struct rb_text rb_key_text(const struct rb_key *key) {
    return (struct rb_text){key->at, key->len};
}

/* Each writes one key. Names must have passed name.h. */
void rb_key_queue(const struct rb_keys *keys, struct rb_text queue, struct rb_key *key);
void rb_key_retry(const struct rb_keys *keys, struct rb_text queue, struct rb_key *key);
void rb_key_due(const struct rb_keys *keys, struct rb_key *key);
void rb_key_workers(const struct rb_keys *keys, struct rb_key *key);
void rb_key_held(const struct rb_keys *keys, struct rb_text worker, struct rb_key *key);
/* What a worker tells of its services, for as long as it does. */
void rb_key_stats(const struct rb_keys *keys, struct rb_text worker, struct rb_key *key);
void rb_key_dead(const struct rb_keys *keys, struct rb_key *key);
/* Job ids by when they were cancelled, which is also the pub/sub name that tells it; and
 * the set of what is paused: "queue:<name>", "service:<name>"; likewise. */
void rb_key_cancelled(const struct rb_keys *keys, struct rb_key *key);
void rb_key_paused(const struct rb_keys *keys, struct rb_key *key);
void rb_key_rate(const struct rb_keys *keys, struct rb_text service, struct rb_key *key);
void rb_key_slots(const struct rb_keys *keys, struct rb_text service, struct rb_key *key);
void rb_key_cache(const struct rb_keys *keys, struct rb_text service,
                  struct rb_text digest, struct rb_key *key);
void rb_key_once(const struct rb_keys *keys, struct rb_text unique, struct rb_key *key);
/* The once of one time (unix seconds) of a recurring job. */
void rb_key_tick(const struct rb_keys *keys, struct rb_text service, int64_t at_s,
                 struct rb_key *key);
/* The stream of a channel, which is also its pub/sub name; and its meta hash. */
void rb_key_channel(const struct rb_keys *keys, struct rb_text channel,
                    struct rb_key *key);
void rb_key_meta(const struct rb_keys *keys, struct rb_text channel, struct rb_key *key);
/* The result of a job that is too large for its channel. */
void rb_key_result(const struct rb_keys *keys, struct rb_text channel, struct rb_text job,
                   struct rb_key *key);
/* What was asked under an Idempotency-Key; and what was published under one, beside its
 * channel. The digests are the notifier's. */
void rb_key_request(const struct rb_keys *keys, struct rb_text digest,
                    struct rb_key *key);
void rb_key_published(const struct rb_keys *keys, struct rb_text channel,
                      struct rb_text digest, struct rb_key *key);
/* pub/sub name on which the notifiers ask each other who waits, and one to answer on. */
void rb_key_notifiers(const struct rb_keys *keys, struct rb_key *key);
void rb_key_notifier(const struct rb_keys *keys, struct rb_text id, struct rb_key *key);

/* The channel's name inside a pub/sub name or stream key; false when it is not one. */
bool rb_key_parse_channel(const struct rb_keys *keys, struct rb_text key,
                          struct rb_text *channel);

#endif
