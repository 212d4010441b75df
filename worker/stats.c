/* The table of the worker's metrics (worker/README.md lists it for operators). */
#include "worker/stats.h"

#include <stdlib.h>

#define MAX_SERIES 8192

const double rb_stats_bounds[RB_STATS_BOUNDS + 1] = {
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 0};

enum {
    JOBS = RB_STATS,
    IN_FLIGHT,
    CALL_SECONDS,
    JOB_SECONDS,
    WAIT_SECONDS,
    CACHE,
    RETRIES,
    RETRIES_DENIED,
    PUSHBACKS,
    BREAKER
};

static const struct rb_metric_family families[] = {
    [RB_STAT_IN_FLIGHT_LIMIT] = {"ringback_worker_in_flight_limit",
                                 "How many jobs the processes may have in flight.",
                                 RB_METRIC_GAUGE, NULL, NULL},
    [RB_STAT_CLAIMS] = {"ringback_worker_claims_total", "Claims sent to Redis.",
                        RB_METRIC_COUNTER, NULL, NULL},
    [RB_STAT_CLAIMED] = {"ringback_worker_claimed_total", "Jobs taken off the queues.",
                         RB_METRIC_COUNTER, NULL, NULL},
    [RB_STAT_REDELIVERED] = {"ringback_worker_redelivered_total",
                             "Claimed jobs that a worker had in hand before.",
                             RB_METRIC_COUNTER, NULL, NULL},
    [RB_STAT_GIVEN_BACK] = {"ringback_worker_given_back_total",
                            "Jobs put back by a drain or after a lost link.",
                            RB_METRIC_COUNTER, NULL, NULL},
    [RB_STAT_PARKED] = {"ringback_worker_parked_total", "Jobs put aside until a time.",
                        RB_METRIC_COUNTER, NULL, NULL},
    [RB_STAT_PROMOTED] = {"ringback_worker_promoted_total",
                          "Parked jobs queued when their time had come.",
                          RB_METRIC_COUNTER, NULL, NULL},
    [RB_STAT_REAPED] = {"ringback_worker_reaped_total",
                        "Jobs taken from workers whose lease had lapsed.",
                        RB_METRIC_COUNTER, NULL, NULL},
    [RB_STAT_FENCED] = {"ringback_worker_fenced_total",
                        "How often a worker's own lease had lapsed.", RB_METRIC_COUNTER,
                        NULL, NULL},
    [RB_STAT_THROWN_AWAY] = {"ringback_worker_thrown_away_total",
                             "Jobs in its hands when its own lease had lapsed.",
                             RB_METRIC_COUNTER, NULL, NULL},
    [RB_STAT_DEAD] = {"ringback_worker_dead_total", "Jobs buried.", RB_METRIC_COUNTER,
                      NULL, NULL},
    [RB_STAT_PUBLISHED] = {"ringback_worker_published_total", "Events published.",
                           RB_METRIC_COUNTER, NULL, NULL},
    [RB_STAT_DUPLICATES] = {"ringback_worker_publish_duplicates_total",
                            "Terminal events dropped because the job's was out already.",
                            RB_METRIC_COUNTER, NULL, NULL},
    [RB_STAT_PUBLISH_RETRIES] = {"ringback_worker_publish_retries_total",
                                 "Terminal events that had to be published again.",
                                 RB_METRIC_COUNTER, NULL, NULL},
    [RB_STAT_RESULTS_DROPPED] =
        {"ringback_worker_results_dropped_total",
         "Results beyond max_kept_bytes; their calls are repeated.", RB_METRIC_COUNTER,
         NULL, NULL},
    [RB_STAT_EVENTS_LOST] = {"ringback_worker_events_lost_total",
                             "Events about progress that could not be published.",
                             RB_METRIC_COUNTER, NULL, NULL},
    [RB_STAT_CONNECTIONS] = {"ringback_worker_connections_opened_total",
                             "Connections opened to services.", RB_METRIC_COUNTER, NULL,
                             NULL},
    [RB_STAT_BYTES] = {"ringback_worker_received_bytes_total",
                       "Bytes of answers, decoded.", RB_METRIC_COUNTER, NULL, NULL},
    [RB_STAT_DNS_LOOKUPS] = {"ringback_worker_dns_lookups_total", "Host names looked up.",
                             RB_METRIC_COUNTER, NULL, NULL},
    [RB_STAT_DNS_FAILURES] = {"ringback_worker_dns_failures_total",
                              "Lookups that gave no address.", RB_METRIC_COUNTER, NULL,
                              NULL},
    [RB_STAT_LINK_LOSSES] = {"ringback_worker_redis_losses_total",
                             "How often the link to Redis was lost.", RB_METRIC_COUNTER,
                             NULL, NULL},
    [RB_STAT_WAITING] = {"ringback_worker_waiting",
                         "Jobs in flight that wait for their turn or their next try.",
                         RB_METRIC_GAUGE, NULL, NULL},
    [RB_STAT_NOT_UNIQUE] = {"ringback_worker_not_unique_total",
                            "Jobs dropped since another one had their unique key.",
                            RB_METRIC_COUNTER, NULL, NULL},
    [RB_STAT_TICKS] = {"ringback_worker_scheduled_total", "Recurring jobs queued.",
                       RB_METRIC_COUNTER, NULL, NULL},
    [RB_STAT_ALONE] = {"ringback_worker_alone_cancelled_total",
                       "Jobs cancelled since nobody waited for them any more.",
                       RB_METRIC_COUNTER, NULL, NULL},
    [JOBS] = {"ringback_worker_jobs_total", "Jobs ended, by service and outcome.",
              RB_METRIC_COUNTER, "service,outcome", NULL},
    [IN_FLIGHT] = {"ringback_worker_in_flight", "Jobs in flight now.", RB_METRIC_GAUGE,
                   "service", NULL},
    [CALL_SECONDS] = {"ringback_worker_call_seconds", "Time of a call to the service.",
                      RB_METRIC_HISTOGRAM, "service", rb_stats_bounds},
    [JOB_SECONDS] = {"ringback_worker_job_seconds",
                     "Time from the claim of a job to its terminal event.",
                     RB_METRIC_HISTOGRAM, "service", rb_stats_bounds},
    [WAIT_SECONDS] = {"ringback_worker_wait_seconds",
                      "Time from when a job says it was asked to its claim.",
                      RB_METRIC_HISTOGRAM, "service", rb_stats_bounds},
    [CACHE] =
        {"ringback_worker_cache_total",
         "Jobs of services with a cache: hit, miss, stale, or coalesced with another.",
         RB_METRIC_COUNTER, "service,outcome", NULL},
    [RETRIES] = {"ringback_worker_retries_total", "Calls that are made again.",
                 RB_METRIC_COUNTER, "service", NULL},
    [RETRIES_DENIED] = {"ringback_worker_retries_denied_total",
                        "Calls not made again since the retry budget was spent.",
                        RB_METRIC_COUNTER, "service", NULL},
    [PUSHBACKS] = {"ringback_worker_pushbacks_total",
                   "Pauses after the service had answered 429.", RB_METRIC_COUNTER,
                   "service", NULL},
    [BREAKER] = {"ringback_worker_breaker",
                 "Processes whose circuit breaker of the service is in the state.",
                 RB_METRIC_GAUGE, "service,state", NULL},
    {0},
};

struct rb_stats {
    struct rb_metrics *metrics;
    rb_series series[RB_STATS];
};

struct rb_metrics *rb_stats_metrics(int processes) {
    return rb_metrics_new(families, processes, MAX_SERIES);
}

struct rb_stats *rb_stats_new(struct rb_metrics *metrics) {
    struct rb_stats *stats = calloc(1, sizeof *stats);
    if (!stats)
        return NULL;
    stats->metrics = metrics;
    for (int i = 0; i < RB_STATS; i++)
        stats->series[i] = rb_metrics_series(metrics, i, NULL);
    return stats;
}

void rb_stats_free(struct rb_stats *stats) { free(stats); }

struct rb_metrics *rb_stats_of(struct rb_stats *stats) {
    return stats->metrics;
}

void rb_stats_add(struct rb_stats *stats, enum rb_stat stat, int64_t delta) {
    if (stats)
        rb_metrics_add(stats->metrics, stats->series[stat], delta);
}

void rb_stats_set(struct rb_stats *stats, enum rb_stat stat, int64_t value) {
    if (stats)
        rb_metrics_set(stats->metrics, stats->series[stat], value);
}

rb_series rb_stats_outcome(struct rb_stats *stats, struct rb_text service,
                           enum rb_failure outcome) {
    const struct rb_text labels[] = {service, outcome == RB_FAILURES
                                                  ? RB_TEXT("done")
                                                  : rb_text_of(rb_failure_code(outcome))};
    return rb_metrics_series(stats->metrics, JOBS, labels);
}

rb_series rb_stats_in_flight(struct rb_stats *stats, struct rb_text service) {
    return rb_metrics_series(stats->metrics, IN_FLIGHT, &service);
}

rb_series rb_stats_call_seconds(struct rb_stats *stats, struct rb_text service) {
    return rb_metrics_series(stats->metrics, CALL_SECONDS, &service);
}

rb_series rb_stats_job_seconds(struct rb_stats *stats, struct rb_text service) {
    return rb_metrics_series(stats->metrics, JOB_SECONDS, &service);
}

rb_series rb_stats_wait_seconds(struct rb_stats *stats, struct rb_text service) {
    return rb_metrics_series(stats->metrics, WAIT_SECONDS, &service);
}

rb_series rb_stats_cache(struct rb_stats *stats, struct rb_text service,
                         struct rb_text outcome) {
    const struct rb_text labels[] = {service, outcome};
    return rb_metrics_series(stats->metrics, CACHE, labels);
}

rb_series rb_stats_retries(struct rb_stats *stats, struct rb_text service) {
    return rb_metrics_series(stats->metrics, RETRIES, &service);
}

rb_series rb_stats_retries_denied(struct rb_stats *stats, struct rb_text service) {
    return rb_metrics_series(stats->metrics, RETRIES_DENIED, &service);
}

rb_series rb_stats_pushbacks(struct rb_stats *stats, struct rb_text service) {
    return rb_metrics_series(stats->metrics, PUSHBACKS, &service);
}

rb_series rb_stats_breaker(struct rb_stats *stats, struct rb_text service,
                           enum rb_breaker_state state) {
    const struct rb_text labels[] = {service, rb_text_of(rb_breaker_state_name(state))};
    return rb_metrics_series(stats->metrics, BREAKER, labels);
}
