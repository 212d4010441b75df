/* Claiming under a lease, between its two ways: the question that a worker asks when it
 * has room (claim_lease.c), and the one that stands ready in Redis behind a blocking
 * command while the queues are empty (claim_wait.c). */
#ifndef RB_WORKER_CLAIM_LEASE_H
#define RB_WORKER_CLAIM_LEASE_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/status.h"
#include "jobs/link.h"

struct rb_waits;
struct rb_worker;

/* A claim that was sent. */
struct rb_claim {
    unsigned generation; /* of the lease for which it was asked */
    uint64_t first;      /* its jobs get these numbers: the first, and */
    size_t want;         /* how many */
    uint64_t order;      /* among all questions of this worker, from 1 */
};

/* Sends claim.lua for up to `want` jobs; timeout_ms as of rb_link_call. */
void rb_claim_ask(struct rb_worker *w, struct rb_link *link, int64_t timeout_ms,
                  struct rb_claim *claim, size_t want, rb_link_reply_fn *fn, void *ctx);

enum rb_claim_answer {
    RB_CLAIM_JOBS,    /* begun, maybe none; *more says whether the queues have others */
    RB_CLAIM_VOID,    /* of a lease that is over, or what it brings is compared soon */
    RB_CLAIM_REFUSED, /* was logged */
    RB_CLAIM_LOST     /* its fate is unknown, or it makes no sense */
};

/* What Redis answered: begins the jobs as far as there is room, and gives the others
 * back. */
enum rb_claim_answer rb_claim_answered(struct rb_worker *w, const struct rb_claim *claim,
                                       enum rb_status status,
                                       const struct redisReply *reply, size_t *claimed,
                                       bool *more);

/* ---- waiting ---- */

/* Two links for each queue, one for each of its lists. NULL when out of memory. */
struct rb_waits *rb_waits_new(struct rb_worker *w);
void rb_waits_free(struct rb_waits *waits);

/* The keys of queue i: what was given back, and what was pushed. */
struct rb_text rb_waits_retry(const struct rb_waits *waits, size_t i);
struct rb_text rb_waits_queue(const struct rb_waits *waits, size_t i);

/* Blocks on each list on which no link blocks. */
void rb_waits_begin(struct rb_worker *w);
/* No more, and what stands ready in Redis is withdrawn. */
void rb_waits_end(struct rb_worker *w);
/* Not on the lists of this queue before the next heartbeat. */
void rb_waits_rest(struct rb_worker *w, size_t queue);
/* Writes the numbers that questions which are not answered may give to jobs; returns how
 * many there are, at most one a queue. */
size_t rb_waits_numbers(const struct rb_worker *w, uint64_t *numbers);

#endif
