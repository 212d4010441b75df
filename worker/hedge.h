/* A call that is made a second time when the first one is slow, so that one bad server
 * among many does not hold a job up (J. Dean, L. Barroso, "The Tail at Scale", 2013). The
 * first answer wins, and the other call is broken off.
 *
 * The second call is one more for the service: it is paid from the retry budget, so that
 * a service which is slow for everyone does not get twice the load. */
#ifndef RB_WORKER_HEDGE_H
#define RB_WORKER_HEDGE_H

#include <stdint.h>

#include "worker/call.h"

struct rb_flight;
struct rb_hedge;

/* As rb_call_start, for a call of the flight; the second one is made after after_ms (0:
 * never). What the order borrows must stay until fn is called, once, or it is cancelled;
 * the hedge is gone then. */
struct rb_hedge *rb_hedge_start(struct rb_flight *f, const struct rb_call_order *order,
                                int64_t after_ms, rb_call_fn *fn, void *ctx);
void rb_hedge_cancel(struct rb_hedge *hedge);

#endif
