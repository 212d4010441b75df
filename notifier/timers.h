/* Deadlines of a hundred thousand connections: a wheel of lists, one ev_timer for all. A
 * timer fires at its time or up to RB_TIMER_TICK_MS later; when many are due at once,
 * RB_TIMERS_AT_ONCE of them a call, so that nobody else waits for all. */
#ifndef RB_NOTIFIER_TIMERS_H
#define RB_NOTIFIER_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RB_TIMER_TICK_MS 16
#define RB_TIMERS_AT_ONCE 128

/* In its owner's storage; all zero = not set. */
struct rb_timer {
    struct rb_timer *next;
    struct rb_timer **back;
    uint32_t tick;   /* when it is due */
    uint32_t linked; /* no later: by which of them it is in a slot */
};

struct rb_timers;

typedef void rb_timer_fn(void *ctx, struct rb_timer *timer);

/* NULL when out of memory. */
struct rb_timers *rb_timers_new(int64_t now_ms, rb_timer_fn *fn, void *ctx);
void rb_timers_free(struct rb_timers *timers);

/* To put one off, as each message of a client does, costs nothing but a note. */
void rb_timer_set(struct rb_timers *timers, struct rb_timer *timer, int64_t now_ms,
                  int64_t delay_ms);
void rb_timer_stop(struct rb_timers *timers,
                   struct rb_timer *timer); /* legal when not set */
static inline bool rb_timer_is_set(const struct rb_timer *timer) {
    return timer->back != NULL;
}

/* Fires what is due; fn may set and stop any timer. */
void rb_timers_run(struct rb_timers *timers, int64_t now_ms);
/* ms until rb_timers_run is worth calling, 0 = now, -1 = no timer is set. */
int64_t rb_timers_wait(const struct rb_timers *timers, int64_t now_ms);

#endif
