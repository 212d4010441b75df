/* Looking a host up without blocking the loop: getaddrinfo(3) in a thread of its own,
 * the answer from the loop. An address needs no thread. */
#ifndef RB_JOBS_REDIS_LOOKUP_H
#define RB_JOBS_REDIS_LOOKUP_H

#include <ev.h>
#include <netdb.h>

struct rb_redis_lookup;

/* error: 0 and a list (freeaddrinfo), or getaddrinfo's code and NULL. Called once, from
 * the loop. */
typedef void rb_redis_lookup_fn(void *ctx, int error, struct addrinfo *list);

/* The addresses when `host` is one itself (also with a scope), else NULL. Never blocks.
 */
struct addrinfo *rb_redis_lookup_literal(const char *host, int port);

/* NULL when there is no memory or no thread to be had. The thread can't be stopped and
 * lasts as long as the resolver's own timeouts: start one at a time. */
struct rb_redis_lookup *rb_redis_lookup_start(struct ev_loop *loop, const char *host,
                                              int port, rb_redis_lookup_fn *fn,
                                              void *ctx);

/* The answer is not wanted any more. NULL is legal. Not needed once fn was called. */
void rb_redis_lookup_abandon(struct rb_redis_lookup *lookup);

#endif
