/* What the worker counts: the families of its metrics and the series that it adds to. */
#ifndef RB_WORKER_STATS_H
#define RB_WORKER_STATS_H

#include <stdint.h>

#include "config/metrics.h"
#include "jobs/event.h"
#include "worker/breaker.h"

/* Series without labels. */
enum rb_stat {
    RB_STAT_IN_FLIGHT_LIMIT,
    RB_STAT_CLAIMS,
    RB_STAT_CLAIMED,
    RB_STAT_REDELIVERED,
    RB_STAT_GIVEN_BACK,
    RB_STAT_PARKED,
    RB_STAT_PROMOTED,
    RB_STAT_REAPED,
    RB_STAT_FENCED,
    RB_STAT_THROWN_AWAY,
    RB_STAT_DEAD,
    RB_STAT_PUBLISHED,
    RB_STAT_DUPLICATES,
    RB_STAT_PUBLISH_RETRIES,
    RB_STAT_EVENTS_LOST,
    RB_STAT_RESULTS_DROPPED,
    RB_STAT_CONNECTIONS,
    RB_STAT_BYTES,
    RB_STAT_DNS_LOOKUPS,
    RB_STAT_DNS_FAILURES,
    RB_STAT_LINK_LOSSES,
    RB_STAT_WAITING,
    RB_STAT_NOT_UNIQUE,
    RB_STAT_TICKS,
    RB_STAT_ALONE,
    RB_STATS
};

/* Upper bounds of what calls and jobs take, in seconds, ended by a 0. */
#define RB_STATS_BOUNDS 13
extern const double rb_stats_bounds[RB_STATS_BOUNDS + 1];

struct rb_stats;

/* Before the processes fork. Dies on lack of memory. */
struct rb_metrics *rb_stats_metrics(int processes);

/* In each process. NULL when out of memory. */
struct rb_stats *rb_stats_new(struct rb_metrics *metrics);
void rb_stats_free(struct rb_stats *stats);
struct rb_metrics *rb_stats_of(struct rb_stats *stats);

/* stats may be NULL: then nothing is counted. */
void rb_stats_add(struct rb_stats *stats, enum rb_stat stat, int64_t delta);
void rb_stats_set(struct rb_stats *stats, enum rb_stat stat, int64_t value);

/* Series of one service: to be looked up once and kept. outcome: RB_FAILURES is done. */
rb_series rb_stats_outcome(struct rb_stats *stats, struct rb_text service,
                           enum rb_failure outcome);
rb_series rb_stats_in_flight(struct rb_stats *stats, struct rb_text service);
rb_series rb_stats_call_seconds(struct rb_stats *stats, struct rb_text service);
rb_series rb_stats_job_seconds(struct rb_stats *stats, struct rb_text service);
rb_series rb_stats_wait_seconds(struct rb_stats *stats, struct rb_text service);
/* outcome: hit, miss, stale or coalesced. */
rb_series rb_stats_cache(struct rb_stats *stats, struct rb_text service,
                         struct rb_text outcome);
rb_series rb_stats_retries(struct rb_stats *stats, struct rb_text service);
rb_series rb_stats_retries_denied(struct rb_stats *stats, struct rb_text service);
rb_series rb_stats_pushbacks(struct rb_stats *stats, struct rb_text service);
rb_series rb_stats_breaker(struct rb_stats *stats, struct rb_text service,
                           enum rb_breaker_state state);

#endif
