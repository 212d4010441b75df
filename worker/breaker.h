/* The circuit breaker of a service (M. Nygard, "Release It!"): closed, it lets calls
 * through and counts how they end in a sliding window of ten buckets; open, it refuses
 * them for a while; half-open, it lets a few through, and what becomes of them decides.
 *
 * A call's outcome counts only in the state that let it through: what was started before
 * the breaker opened says nothing about the service afterwards. One process counts for
 * itself. */
#ifndef RB_WORKER_BREAKER_H
#define RB_WORKER_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "jobs/breaker_policy.h"

enum rb_breaker_state {
    RB_BREAKER_CLOSED,
    RB_BREAKER_OPEN,
    RB_BREAKER_HALF_OPEN,
    RB_BREAKER_STATES
};
const char *rb_breaker_state_name(enum rb_breaker_state state); /* "half_open" */

enum rb_breaker_outcome {
    RB_BREAKER_SUCCESS,
    RB_BREAKER_FAILURE,
    RB_BREAKER_NO_MATTER, /* cancelled, or not the service's fault */
};

/* What the state was, what it is, and the figures that made it so. */
struct rb_breaker_change {
    enum rb_breaker_state from, to;
    int64_t calls, failures, slow;
};
typedef void rb_breaker_change_fn(void *ctx, const struct rb_breaker_change *change);

#define RB_BREAKER_BUCKETS 10

/* In the owner's storage; its members are breaker.c's. */
struct rb_breaker {
    enum rb_breaker_state state;
    uint32_t era; /* counts the changes */
    int64_t open_until_ms;
    int64_t probes_out, probes_well;
    struct rb_breaker_bucket {
        int64_t start_ms;
        int64_t calls, failures, slow;
    } buckets[RB_BREAKER_BUCKETS];
    rb_breaker_change_fn *on_change; /* may be NULL */
    void *ctx;
};

void rb_breaker_init(struct rb_breaker *breaker, rb_breaker_change_fn *on_change,
                     void *ctx);

/* May a call start now? With true, *ticket goes to _settle when it has ended, once. The
 * policy may be another one each time (a reload). */
bool rb_breaker_admit(struct rb_breaker *breaker, const struct rb_breaker_policy *policy,
                      int64_t now_ms, uint32_t *ticket);
void rb_breaker_settle(struct rb_breaker *breaker, const struct rb_breaker_policy *policy,
                       int64_t now_ms, uint32_t ticket, enum rb_breaker_outcome outcome,
                       int64_t took_ms);

/* How long it will refuse for certain; 0 = a call may be let through. */
int64_t rb_breaker_wait_ms(const struct rb_breaker *breaker, int64_t now_ms);

#endif
