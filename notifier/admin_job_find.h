/* Where is a job? Looked for where jobs stand: in the queues, among those that are due,
 * in workers' hands, among the dead; in this order, in which jobs go, so that one that
 * moves meanwhile is met. Redis is asked for a small page at a time, and for no more
 * than a bounded number of pages and bytes. */
#ifndef RB_NOTIFIER_ADMIN_JOB_FIND_H
#define RB_NOTIFIER_ADMIN_JOB_FIND_H

#include <stdbool.h>
#include <stdint.h>

#include "config/buffer.h"
#include "jobs/name.h"
#include "notifier/exchange.h"

enum rb_job_place {
    RB_PLACE_QUEUE,
    RB_PLACE_RETRY,
    RB_PLACE_DUE,
    RB_PLACE_HELD,
    RB_PLACE_DEAD,
    RB_PLACE_NOWHERE
};

/* Times are unix ms, 0: not known. */
struct rb_job_found {
    enum rb_status status; /* else Redis did not answer */
    char error[192];
    enum rb_job_place place;
    bool complete;    /* every place was looked at to its end, or it was found */
    int64_t now_ms;   /* of Redis */
    int64_t position; /* in its list, from 0; -1: in none */
    char queue[RB_NAME_MAX + 1];
    char worker[RB_JOB_ID_MAX + 1];
    int64_t lease_ms; /* how long that worker still counts as alive */
    int64_t due_at;
    char service[RB_NAME_MAX + 1];
    char channel[RB_CHANNEL_MAX + 1];
    int64_t deliveries, attempts;
    int64_t asked_at, claimed_at, run_at, expires_at;
    struct rb_buffer dead; /* as rb_dead_write has it; empty: it is not dead */
};

/* Borrowed for the call. */
typedef void rb_job_find_fn(void *ctx, const struct rb_job_found *found);

/* Calls fn once; from inside when there is no memory. The exchange must be held. It ends
 * early, as nowhere, when the client goes. */
void rb_job_find(struct rb_exchange *exchange, struct rb_text id, rb_job_find_fn *fn,
                 void *ctx);

#endif
