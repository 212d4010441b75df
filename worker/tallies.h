/* What this worker tells `ringback status` of its services: a JSON text under a key of
 * its own in Redis, which ends when the worker does not renew it.
 *
 *     {"at": 1700000000000,               when it was written, unix ms of Redis
 *      "bounds_s": [0.005, …],            upper bounds of the counts in `calls`
 *      "services": {"quote": {"in_flight": 1, "done": 4, "failed": 0,
 *                             "calls": [0, …],    how many took so long; one more count
 *                                                 than bounds, of the longer ones
 *                             "cache_hits": 3, "cache_lookups": 4,
 *                             "breaker": "closed"}}} */
#ifndef RB_WORKER_TALLIES_H
#define RB_WORKER_TALLIES_H

struct rb_tallies;
struct rb_worker;

/* NULL when out of memory. */
struct rb_tallies *rb_tallies_new(void);
void rb_tallies_free(struct rb_tallies *tallies);

/* A heartbeat was answered: writes what changed, or else once in the length of a lease.
 */
void rb_tallies_beat(struct rb_worker *w);

#endif
