/* The worker's lease: its id, its heartbeat, and the leases of others that lapsed. */
#ifndef RB_WORKER_LEASE_H
#define RB_WORKER_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "config/text.h"

struct redisReply;
struct rb_lease;
struct rb_worker;

struct rb_lease *rb_lease_new(struct rb_worker *w);
void rb_lease_free(struct rb_lease *lease);

/* "host.pid.random", new for each lease: what one lease held never mixes with another's.
 * "" before the first one. */
struct rb_text rb_lease_id(const struct rb_lease *lease);
/* What the ids of jobs start with that bring none of their own: the random part alone,
 * since services and browsers see it. */
struct rb_text rb_lease_job_prefix(const struct rb_lease *lease);
/* Counts the leases. Who sent a command keeps it, and hears by it whether an answer is
 * about a lease that is over. */
unsigned rb_lease_generation(const struct rb_lease *lease);

/* Numbers for `count` claims: none is used twice in one lease. Returns the first. */
uint64_t rb_lease_numbers(struct rb_lease *lease, size_t count);
/* Of those only `used` were used. */
void rb_lease_numbers_used(struct rb_lease *lease, uint64_t first, size_t count,
                           size_t used);

/* The link is up: renews the lease, or asks for the first one. */
void rb_lease_renew(struct rb_worker *w);

/* True when the reply says that the lease of that generation lapsed; then everything in
 * flight was thrown away, since it belongs to others now, and a new lease is asked for.
 */
bool rb_lease_is_fenced(struct rb_worker *w, unsigned generation,
                        const struct redisReply *reply);

/* Jobs of dead workers may be on their way into the queues. */
bool rb_lease_is_reaping(const struct rb_worker *w);

/* This worker is none any more: no heartbeat. */
void rb_lease_end(struct rb_worker *w);

#endif
