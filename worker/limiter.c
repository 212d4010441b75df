/* Places of one service, and the line before them. */
#include "worker/limiter.h"

#include <assert.h>
#include <stddef.h>

#define SMOOTHING 8 /* a new time counts for an eighth */
#define FIRST_TOOK_US                                                                    \
    100000 /* before any call was seen: too short costs a second look,                   \
              too long keeps a fast service idle */
#define LOOK_US 1000

void rb_limiter_init(struct rb_limiter *l, int64_t limit) {
    *l = (struct rb_limiter){.limit = limit, .took_us = FIRST_TOOK_US};
    TAILQ_INIT(&l->line);
}

void rb_limiter_set(struct rb_limiter *l, int64_t limit) { l->limit = limit; }

bool rb_limiter_has_room(const struct rb_limiter *l, int64_t most) {
    return (l->limit == 0 || l->running < l->limit) && (most == 0 || l->running < most);
}

void rb_limiter_begin(struct rb_limiter *l) { l->running++; }

void rb_limiter_end(struct rb_limiter *l, int64_t took_us) {
    assert(l->running > 0);
    l->running--;
    if (took_us >= 0)
        l->took_us += (took_us - l->took_us) / SMOOTHING;
}

bool rb_limiter_wait(struct rb_limiter *l, struct rb_in_line *waiter, int64_t bound) {
    assert(!waiter->waiting);
    if (l->waiting >= bound)
        return false;
    TAILQ_INSERT_TAIL(&l->line, waiter, link);
    waiter->waiting = true;
    l->waiting++;
    return true;
}

void rb_limiter_withdraw(struct rb_limiter *l, struct rb_in_line *waiter) {
    if (!waiter->waiting)
        return;
    TAILQ_REMOVE(&l->line, waiter, link);
    waiter->waiting = false;
    l->waiting--;
}

struct rb_in_line *rb_limiter_first(const struct rb_limiter *l) {
    return TAILQ_FIRST(&l->line);
}

static int64_t later(int64_t a, int64_t b) { return a > b ? a : b; }

/* Each parked job gets the turn behind the last one given. They come a little faster than
 * they can start: one too early is parked again, one too late leaves a place empty. */
int64_t rb_limiter_park_ms(struct rb_limiter *l, int64_t now_ms, int64_t pace_us,
                           uint32_t random) {
    int64_t now_us = now_ms * 1000, near_us = now_us + RB_PARK_NEAR_MS * 1000;
    int64_t start_us = later(l->limit > 0 ? l->took_us / l->limit : 0, pace_us);
    start_us -= start_us / 4;
    int64_t turn_us = later(now_us + l->waiting * start_us, l->last_turn_us) + start_us;
    if (turn_us <= near_us) {
        l->last_turn_us = turn_us;
    } else {
        turn_us = later(near_us, l->last_look_us) +
                  (start_us / 2 < LOOK_US ? start_us / 2 : LOOK_US);
        turn_us = turn_us < now_us + RB_PARK_MAX_MS * 1000
                      ? turn_us
                      : now_us + RB_PARK_MAX_MS * 1000;
        l->last_look_us = turn_us;
    }
    int64_t wait_ms = later((turn_us - now_us) / 1000, RB_PARK_MIN_MS);
    int64_t tenth = wait_ms / 10;
    return wait_ms - tenth + (int64_t)((uint64_t)(2 * tenth + 1) * random >> 32);
}
