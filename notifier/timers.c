/* The wheel: a slot for each tick, a timer in the slot of its tick, whatever the round.
 */
#include "notifier/timers.h"

#include <stdlib.h>

/* 16 s a round: longer delays wait for their round in the slot. */
#define SLOTS 1024u
#define WORD_BITS 64u

struct rb_timers {
    rb_timer_fn *fn;
    void *ctx;
    int64_t start_ms;
    uint32_t tick; /* all ticks up to this one have been looked at */
    size_t count;
    uint64_t used[SLOTS / WORD_BITS]; /* a bit a slot that may hold timers */
    struct rb_timer *slots[SLOTS];
    struct rb_timer *due; /* taken off the wheel, about to be fired */
};

struct rb_timers *rb_timers_new(int64_t now_ms, rb_timer_fn *fn, void *ctx) {
    struct rb_timers *timers = calloc(1, sizeof *timers);
    if (!timers)
        return NULL;
    timers->fn = fn;
    timers->ctx = ctx;
    timers->start_ms = now_ms;
    return timers;
}

void rb_timers_free(struct rb_timers *timers) { free(timers); }

static uint32_t tick_of(const struct rb_timers *timers, int64_t now_ms) {
    return (uint32_t)((now_ms - timers->start_ms) / RB_TIMER_TICK_MS);
}

static void link_into(struct rb_timer **list, struct rb_timer *timer) {
    timer->next = *list;
    timer->back = list;
    if (*list)
        (*list)->back = &timer->next;
    *list = timer;
}

static void unlink_from(struct rb_timer *timer) {
    *timer->back = timer->next;
    if (timer->next)
        timer->next->back = timer->back;
    timer->next = NULL;
    timer->back = NULL;
}

static void link_at(struct rb_timers *timers, struct rb_timer *timer, uint32_t tick) {
    uint32_t slot = tick % SLOTS;
    timer->linked = tick;
    link_into(&timers->slots[slot], timer);
    timers->used[slot / WORD_BITS] |= UINT64_C(1) << slot % WORD_BITS;
}

void rb_timer_set(struct rb_timers *timers, struct rb_timer *timer, int64_t now_ms,
                  int64_t delay_ms) {
    /* One tick more, since the running one has begun; and never one that was passed. */
    uint32_t tick = tick_of(timers, now_ms + (delay_ms > 0 ? delay_ms : 0)) + 1;
    if ((int32_t)(tick - timers->tick) <= 0)
        tick = timers->tick + 1;
    timer->tick = tick;
    /* Where it is, it is looked at in time, and moved on then. Its neighbours, who are
     * in nobody's cache, are left alone. */
    if (rb_timer_is_set(timer) && (int32_t)(tick - timer->linked) >= 0 &&
        (int32_t)(timer->linked - timers->tick) > 0)
        return;
    rb_timer_stop(timers, timer);
    link_at(timers, timer, tick);
    timers->count++;
}

void rb_timer_stop(struct rb_timers *timers, struct rb_timer *timer) {
    if (!rb_timer_is_set(timer))
        return;
    unlink_from(timer);
    timers->count--;
}

/* Moves what is due in a slot to the list of those to fire, and what was put off to
 * where it is due now; others stay for their round. */
static void collect(struct rb_timers *timers, uint32_t slot, uint32_t tick) {
    struct rb_timer *next;
    for (struct rb_timer *timer = timers->slots[slot]; timer; timer = next) {
        next = timer->next;
        if ((int32_t)(timer->linked - tick) > 0)
            continue;
        unlink_from(timer);
        if ((int32_t)(timer->tick - tick) > 0)
            link_at(timers, timer, timer->tick);
        else
            link_into(&timers->due, timer);
    }
    if (!timers->slots[slot])
        timers->used[slot / WORD_BITS] &= ~(UINT64_C(1) << slot % WORD_BITS);
}

static void fire(struct rb_timers *timers) {
    for (int i = 0; i < RB_TIMERS_AT_ONCE && timers->due; i++) {
        struct rb_timer *timer = timers->due;
        unlink_from(timer);
        timers->count--;
        timers->fn(timers->ctx, timer);
    }
}

void rb_timers_run(struct rb_timers *timers, int64_t now_ms) {
    uint32_t now = tick_of(timers, now_ms);
    uint32_t passed = now - timers->tick;
    if ((int32_t)passed > 0) {
        /* After a long sleep one look at every slot is enough. */
        if (passed > SLOTS)
            passed = SLOTS;
        timers->tick = now;
        for (uint32_t i = 0; i < passed; i++) {
            uint32_t slot = (now - i) % SLOTS;
            if (timers->used[slot / WORD_BITS] >> slot % WORD_BITS & 1)
                collect(timers, slot, now);
        }
    }
    fire(timers);
}

/* The first tick behind the running one whose slot is used; those that hold only later
 * rounds are visited too, at most once a round each. */
static uint32_t next_used(const struct rb_timers *timers) {
    uint32_t tick = timers->tick + 1;
    for (uint32_t looked = 0; looked <= SLOTS; looked += WORD_BITS) {
        uint32_t slot = tick % SLOTS;
        uint64_t word = timers->used[slot / WORD_BITS] >> slot % WORD_BITS;
        if (word != 0)
            return tick + (uint32_t)__builtin_ctzll(word);
        tick += WORD_BITS - slot % WORD_BITS;
    }
    return tick;
}

int64_t rb_timers_wait(const struct rb_timers *timers, int64_t now_ms) {
    if (timers->due)
        return 0;
    if (timers->count == 0)
        return -1;
    int64_t at = timers->start_ms + (int64_t)next_used(timers) * RB_TIMER_TICK_MS;
    return at > now_ms ? at - now_ms : 0;
}
