/* A token bucket in four bytes: the time at which it will be full again. */
#include "notifier/pace.h"

#include <stdlib.h>

#include "config/process.h"
#include "notifier/address_count.h"

#define WAYS 8
#define SETS 1024
#define MOST_MS (2 * RB_PACE_BURST_MS)

struct entry {
    uint32_t tag;
    uint32_t spent; /* 0: nobody's */
};

struct rb_pace {
    uint64_t seed[2];
    struct entry at[SETS][WAYS];
};

static uint32_t ticks_of(int64_t now_ms) {
    return (uint32_t)((uint64_t)now_ms * RB_PACE_TICKS);
}

/* How long until all is earned again, in ticks. What lies further ahead than can be was
 * spent so long ago that the counter has come round. */
static uint32_t ahead_of(uint32_t spent, uint32_t now, uint32_t most) {
    uint32_t ahead = spent - now;
    return spent == 0 || ahead > most ? 0 : ahead;
}

uint32_t rb_pace_spend(uint32_t *spent, int64_t a_second, int64_t now_ms,
                       uint32_t most_ms) {
    uint32_t now = ticks_of(now_ms), most = most_ms * RB_PACE_TICKS;
    uint32_t ahead = ahead_of(*spent, now, most);
    ahead += (uint32_t)(1000 * RB_PACE_TICKS / a_second);
    if (ahead > most)
        ahead = most;
    *spent = now + ahead;
    if (*spent == 0)
        *spent = 1;
    return (ahead + RB_PACE_TICKS - 1) / RB_PACE_TICKS;
}

uint32_t rb_pace_spent(uint32_t spent, int64_t now_ms, uint32_t most_ms) {
    uint32_t ahead = ahead_of(spent, ticks_of(now_ms), most_ms * RB_PACE_TICKS);
    return (ahead + RB_PACE_TICKS - 1) / RB_PACE_TICKS;
}

bool rb_pace_take(uint32_t *spent, int64_t a_second, int64_t now_ms) {
    uint32_t then = *spent;
    if (rb_pace_spend(&then, a_second, now_ms, MOST_MS) > RB_PACE_BURST_MS)
        return false;
    *spent = then;
    return true;
}

struct rb_pace *rb_pace_new(void) {
    struct rb_pace *pace = calloc(1, sizeof *pace);
    if (!pace)
        return NULL;
    pace->seed[0] = rb_process_random();
    pace->seed[1] = rb_process_random();
    return pace;
}

void rb_pace_free(struct rb_pace *pace) { free(pace); }

/* The address's entry, or the one that gives way to it. */
static struct entry *find(struct rb_pace *pace, uint64_t key, uint32_t now) {
    struct entry *set = pace->at[key % SETS], *poorest = set;
    const uint32_t tag = (uint32_t)(key >> 32), most = MOST_MS * RB_PACE_TICKS;
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].spent != 0 && set[i].tag == tag)
            return &set[i];
        if (ahead_of(set[i].spent, now, most) < ahead_of(poorest->spent, now, most))
            poorest = &set[i];
    }
    *poorest = (struct entry){.tag = tag};
    return poorest;
}

bool rb_pace_allows(struct rb_pace *pace, const struct sockaddr *peer, int64_t a_second,
                    int64_t now_ms) {
    uint64_t key = rb_address_key(pace->seed, peer);
    if (key == 0)
        return true;
    struct entry *entry = find(pace, key, ticks_of(now_ms));
    return rb_pace_take(&entry->spent, a_second, now_ms);
}
