/* How many calls of one service run at once in this process, and who waits for a place.
 *
 * Those who wait stand in a line of bounded length and hold none of the worker's slots;
 * when the line is full a job is parked: given back to Redis until its turn may have
 * come, so that a service which is slow or limited never keeps others from being served.
 */
#ifndef RB_WORKER_LIMITER_H
#define RB_WORKER_LIMITER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

/* To be embedded in what waits. */
struct rb_in_line {
    TAILQ_ENTRY(rb_in_line) link;
    bool waiting; /* the limiter's; false at first */
};

/* In the owner's storage; its members are limiter.c's. */
struct rb_limiter {
    int64_t limit; /* 0: none */
    int64_t running, waiting;
    int64_t took_us;                    /* what a call takes, smoothed */
    int64_t last_turn_us, last_look_us; /* given to parked jobs */
    TAILQ_HEAD(, rb_in_line) line;
};

void rb_limiter_init(struct rb_limiter *limiter, int64_t limit);
/* Another limit, after a reload; what runs goes on. */
void rb_limiter_set(struct rb_limiter *limiter, int64_t limit);

/* Is a place free? The caller may hold back for reasons of its own: `most` (0: none) is a
 * second limit, for now. */
bool rb_limiter_has_room(const struct rb_limiter *limiter, int64_t most);

/* A call starts. Whoever comes anew asks _has_room, and that nobody waits, before. */
void rb_limiter_begin(struct rb_limiter *limiter);
/* It has ended; took_us < 0: it tells nothing about how long calls take. */
void rb_limiter_end(struct rb_limiter *limiter, int64_t took_us);

/* Into the line; false when `bound` wait already. */
bool rb_limiter_wait(struct rb_limiter *limiter, struct rb_in_line *waiter,
                     int64_t bound);
/* Out of the line, wherever it stands; legal when it does not wait. */
void rb_limiter_withdraw(struct rb_limiter *limiter, struct rb_in_line *waiter);
/* The first of the line, who stays in it; NULL when nobody waits. */
struct rb_in_line *rb_limiter_first(const struct rb_limiter *limiter);

/* For how long to park a job: until the line and those who were parked before should have
 * had their turn, ±10 %. What is further away than RB_PARK_NEAR_MS nobody can foretell:
 * such jobs come to look again, at least a thousand a second, at most RB_PARK_MAX_MS
 * later; so a service that recovers is found out soon, and a backlog of any length costs
 * little. pace_us: the least time between two starts, for a limit other than this one. */
#define RB_PARK_MIN_MS 100
#define RB_PARK_NEAR_MS 1000
#define RB_PARK_MAX_MS 60000
int64_t rb_limiter_park_ms(struct rb_limiter *limiter, int64_t now_ms, int64_t pace_us,
                           uint32_t random);

#endif
