/* The worker of one process: what its parts share. Each part is owned by the file that is
 * named like it; worker.c brings them to life and drives the turn of the loop. */
#ifndef RB_WORKER_WORKER_H
#define RB_WORKER_WORKER_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/log.h"
#include "config/network.h"
#include "config/options.h"
#include "config/settings.h"
#include "jobs/keys.h"
#include "jobs/link.h"
#include "jobs/publish.h"
#include "jobs/redis_address.h"
#include "jobs/services.h"
#include "worker/flight.h"

struct rb_alones;
struct rb_backends;
struct rb_caller;
struct rb_cancels;
struct rb_claim;
struct rb_claiming;
struct rb_claims;
struct rb_coalesce;
struct rb_drain;
struct rb_due;
struct rb_tallies;
struct rb_held;
struct rb_kept;
struct rb_lease;
struct rb_metrics;
struct rb_plain;
struct rb_scrape;
struct rb_stats;
struct rb_ticks;
struct rb_waits;

#define RB_CLAIM_ID_MAX 64 /* of a worker's id, with its NUL */

struct rb_worker {
    struct ev_loop *loop;
    int64_t now_ms;   /* rb_clock_ms of this turn */
    int64_t ahead_ms; /* Redis's unix clock minus now_ms */

    struct rb_settings *settings; /* of the start: what can't change is read here */
    struct rb_settings *live;     /* of the last reload, or the same */
    struct rb_services *services;
    struct rb_redis_address address;
    struct rb_keys keys;
    struct rb_channel_policy policy;
    struct rb_network *allow, *deny; /* worker.network */
    int64_t connections_max;         /* to services, that descriptors are left for */
    int64_t limit;                   /* jobs in flight at most */

    struct rb_stats *stats;
    struct rb_tallies *tallies;
    struct rb_backends *backends;
    struct rb_caller *caller;
    struct rb_link *link; /* commands; never a blocking one */
    bool ready;           /* jobs may be claimed, and held ones changed */

    const struct rb_claiming *mode;
    struct rb_claims *claims;
    struct rb_coalesce *coalesce;
    struct rb_lease *lease; /* claim: lease */
    struct rb_held *held;   /* likewise */
    struct rb_claim *claim; /* likewise: the one that is asked, or was last */
    struct rb_waits *waits; /* likewise: links that block until there is a job */
    struct rb_plain *plain; /* claim: blpop */
    struct rb_kept *kept;
    struct rb_due *due;
    struct rb_cancels *cancels;
    struct rb_alones *alones;
    struct rb_ticks *ticks;
    struct rb_flights flights;
    struct rb_drain *drain;
    struct rb_scrape *scrape;
    bool announced; /* READY=1 was sent */

    struct rb_log_limit failed_log, buried_log, redis_log;
    struct rb_buffer scratch; /* for one event at a time */
};

struct rb_worker_options {
    const struct rb_program *program;
    const struct rb_options *options; /* to read the settings again */
    struct rb_settings *settings;     /* taken */
    struct rb_services *services;     /* taken */
    struct rb_metrics *metrics;
    int64_t descriptors; /* that may be open */
    bool until_empty;    /* --drain */
};

/* Runs until it is told to stop, or the queues are empty, and returns the exit code. */
int rb_worker_run(const struct rb_worker_options *options);

/* --check: connects to Redis, prints what was found. Returns the exit code. */
int rb_worker_check(const struct rb_settings *settings,
                    const struct rb_services *services);

/* Redis's clock as far as it is known here: the only one that jobs are judged by. */
static inline int64_t rb_worker_unix_ms(const struct rb_worker *w) {
    return w->now_ms + w->ahead_ms;
}

/* Redis said what time it is. */
static inline void rb_worker_heard_time(struct rb_worker *w, int64_t redis_ms) {
    w->ahead_ms = redis_ms - w->now_ms;
}

/* A command was answered with an error: logs it, rate-limited, and replaces the link when
 * it leads to a replica. True when the trouble passes by itself (a Redis that is loading,
 * full, or failing over), false when it is about the command. */
bool rb_worker_refused(struct rb_worker *w, const char *what, const char *error);

/* The lease is held (or none is needed), what was unclear after a lost link is settled:
 * work goes on. */
void rb_worker_set_ready(struct rb_worker *w);

#endif
