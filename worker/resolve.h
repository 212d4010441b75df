/* Host names to addresses, on a few threads, because getaddrinfo(3) blocks. Each question
 * is one lookup: whoever asks (dial.c) keeps the answers and asks once a host. */
#ifndef RB_WORKER_RESOLVE_H
#define RB_WORKER_RESOLVE_H

#include <ev.h>

#include "config/status.h"

#define RB_RESOLVE_THREADS 4
#define RB_RESOLVE_MAX 16 /* addresses of a host that are used */

/* addresses: numeric, IPv6 in brackets, separated by commas, in the order in which they
 * are to be tried (RFC 6724); "" when error is not 0. error: 0 or one of getaddrinfo's.
 */
struct rb_resolved {
    const char *addresses;
    int error;
};
typedef void rb_resolved_fn(void *ctx, const struct rb_resolved *resolved);

struct rb_resolver;

/* Threads are started when they are needed. NULL when out of memory. */
struct rb_resolver *rb_resolver_new(struct ev_loop *loop);
/* Does not wait for lookups that run: their threads end by themselves, and no callback is
 * called any more. */
void rb_resolver_free(struct rb_resolver *resolver);

/* `fn` is called once, from the loop. RB_NOMEM or RB_SYSTEM (no thread): it is not. */
RB_MUST_CHECK enum rb_status rb_resolver_ask(struct rb_resolver *resolver,
                                             const char *host, rb_resolved_fn *fn,
                                             void *ctx);

#endif
