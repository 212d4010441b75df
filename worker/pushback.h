/* When a service says "too many" (429): all its calls pause for as long as it asks, or
 * for a time that doubles with each refusal; then they go on with half as many at once as
 * there were, and each call that is answered makes room again (additive increase,
 * multiplicative decrease, as TCP does). One process counts for itself. */
#ifndef RB_WORKER_PUSHBACK_H
#define RB_WORKER_PUSHBACK_H

#include <stdbool.h>
#include <stdint.h>

/* A plain value; all zero = nothing was refused. */
struct rb_pushback {
    int64_t until_ms;    /* nothing starts before */
    int64_t refused_ms;  /* the refusal that the pause goes back to */
    int64_t window_x256; /* how many at once, in 256ths; 0 = no limit */
    int64_t full_x256;   /* how many there were: from here on there is no limit again */
    int refusals;        /* without an answer between them */
};

/* A call that was started at started_ms was refused now. asked_ms is its Retry-After,
 * already cut to what the policy lets it ask for; negative: it asked for nothing.
 * running: calls of the service that run, this one among them. True when this began a
 * pause, false when the call was started before the last refusal was known and tells
 * nothing new. */
bool rb_pushback_refused(struct rb_pushback *p, int64_t now_ms, int64_t started_ms,
                         int64_t asked_ms, int64_t running, uint32_t random);

/* A call was answered with anything else. */
void rb_pushback_answered(struct rb_pushback *p);

/* For how long nothing may start; 0 = go. */
int64_t rb_pushback_wait_ms(const struct rb_pushback *p, int64_t now_ms);

/* How many may run at once; 0 = no limit. */
int64_t rb_pushback_most(const struct rb_pushback *p);

#endif
