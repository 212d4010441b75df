/* From an address to a connected descriptor: Sentinels where there are any, lookup, then
 * one address after the other. */
#ifndef RB_JOBS_REDIS_DIAL_H
#define RB_JOBS_REDIS_DIAL_H

#include <ev.h>

#include "jobs/redis_address.h"

struct rb_redis_dial;

/* fd: connected, non-blocking, close-on-exec, and the callee's; or -1, and `why` is a
 * sentence. Called once after each _start that is not stopped: from the loop, or, when
 * there is nothing to wait for, from inside _start. */
typedef void rb_redis_dial_fn(void *ctx, int fd, const char *why);

/* NULL when out of memory. `address` is borrowed. */
struct rb_redis_dial *rb_redis_dial_new(struct ev_loop *loop,
                                        const struct rb_redis_address *address,
                                        rb_redis_dial_fn *fn, void *ctx);
void rb_redis_dial_free(struct rb_redis_dial *dial);

void rb_redis_dial_start(struct rb_redis_dial *dial);

/* Stops, and says what it was busy with: "asking the Sentinels", "looking the host
 * up", "connecting", or NULL when it was not running. An address that was stopped at is
 * not the first one to be tried by the next _start. */
const char *rb_redis_dial_stop(struct rb_redis_dial *dial);

#endif
