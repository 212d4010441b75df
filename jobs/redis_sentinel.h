/* Asking Sentinels where the master is
 * (https://redis.io/docs/latest/develop/reference/sentinel-clients/). */
#ifndef RB_JOBS_REDIS_SENTINEL_H
#define RB_JOBS_REDIS_SENTINEL_H

#include <ev.h>

#include "jobs/redis_address.h"

struct rb_redis_sentinel_query;

/* host and port of the master as a Sentinel knows it, borrowed for the call; or NULL, and
 * `why` is a sentence: none of them knows. Whether it is a master is still to be checked
 * (ROLE): a Sentinel may be behind. Called once after each _start that is not stopped:
 * from the loop, or, when there is nothing to wait for, from inside _start. It may free
 * the query. */
typedef void rb_redis_sentinel_fn(void *ctx, const char *host, int port, const char *why);

/* NULL when out of memory. `sentinel` is borrowed. */
struct rb_redis_sentinel_query *
rb_redis_sentinel_query_new(struct ev_loop *loop,
                            const struct rb_redis_sentinel *sentinel,
                            rb_redis_sentinel_fn *fn, void *ctx);
void rb_redis_sentinel_query_free(struct rb_redis_sentinel_query *query);

/* Each question begins with the node behind the one that was asked last: one that is cut
 * off together with the old master is not believed for ever. */
void rb_redis_sentinel_query_start(struct rb_redis_sentinel_query *query);

/* True when it was running. */
bool rb_redis_sentinel_query_stop(struct rb_redis_sentinel_query *query);

#endif
