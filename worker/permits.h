/* Permits of a rate limit. They are counted in Redis over all workers (rate.lua), and
 * asked for in batches for those who stand in line; where Redis may not be asked to run
 * scripts, this process counts for itself. */
#ifndef RB_WORKER_PERMITS_H
#define RB_WORKER_PERMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "jobs/limits.h"

struct rb_worker;

/* In the owner's storage; its members are permits.c's. */
struct rb_permits {
    struct rb_worker *worker;
    const char *service;
    void (*on_answer)(void *ctx);
    void *ctx;
    int64_t stock;
    int64_t not_before_ms; /* there is none earlier */
    int64_t arrival_us;    /* when this process counts for itself: see rate.lua */
    bool asking;
};

/* on_answer: Redis answered, it is worth asking _ready again. Must outlive the worker's
 * link. */
void rb_permits_init(struct rb_permits *permits, struct rb_worker *w, const char *service,
                     void (*on_answer)(void *ctx), void *ctx);

/* Is there a permit? If not, `wanted` of them are asked for, when it is time. */
bool rb_permits_ready(struct rb_permits *permits, const struct rb_rate_limit *rate,
                      int64_t wanted);
/* How long there is none for certain; 0 = now, or when Redis answers. */
int64_t rb_permits_wait_ms(const struct rb_permits *permits);
/* Takes the one that is there. */
void rb_permits_use(struct rb_permits *permits);
/* Nobody wants those that are left: kept, they would add to a later burst. */
void rb_permits_forget(struct rb_permits *permits);

#endif
