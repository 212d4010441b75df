/* Saying what a definition does, so that whoever wrote it sees whether it is what was
 * meant. */
#include "jobs/cli/explain.h"

#include <stdio.h>
#include <time.h>

#include "jobs/definition_tls.h"
#include "jobs/params.h"
#include "jobs/schedule.h"

static const char *plural(int64_t count) { return count == 1 ? "" : "s"; }

/* "250ms", "1.5s", "5m", "2h", "7d": in the largest unit that fits. */
static const char *duration(int64_t ms, char room[24]) {
    static const struct {
        int64_t ms;
        const char *unit;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (ms < units[i].ms || ms * 10 % units[i].ms != 0)
            continue;
        if (ms % units[i].ms == 0)
            snprintf(room, 24, "%lld%s", (long long)(ms / units[i].ms), units[i].unit);
        else
            snprintf(room, 24, "%.1f%s", (double)ms / (double)units[i].ms, units[i].unit);
        return room;
    }
    snprintf(room, 24, "%lldms", (long long)ms);
    return room;
}

static void explain_params(const struct rb_definition *d) {
    const char *separator = "";
    printf("    params: ");
    for (const char *const *name = rb_params_names(d->params); *name; name++) {
        printf("%s%s", separator, *name);
        separator = ", ";
    }
    printf("%s\n", *separator ? "" : "none");
}

static void explain_time(const struct rb_definition *d, const char *indent) {
    char connect[24], per_try[24], total[24], after[24];
    printf("%stimeouts: connect %s, per try %s, total %s\n", indent,
           duration(d->timeout.connect, connect), duration(d->timeout.per_try, per_try),
           duration(d->timeout.total, total));
    if (d->retry.max_attempts > 1)
        printf("%sretry: up to %lld calls, waits of up to %s between them\n", indent,
               (long long)d->retry.max_attempts, duration(d->retry.max_ms, connect));
    if (d->hedge_after_ms > 0)
        printf("%shedge: a call that takes longer than %s is made a second time, and the "
               "first answer wins\n",
               indent, duration(d->hedge_after_ms, after));
}

static void explain_tls(const struct rb_call_tls *tls, const char *indent) {
    char date[24] = "?";
    struct tm at;
    time_t until;
    if (!tls)
        return;
    printf("%stls: %s at least, verified by ", indent, tls->newest ? "1.3" : "1.2");
    if (tls->ca)
        printf("%zu certificate%s of its own\n", tls->authorities,
               plural((int64_t)tls->authorities));
    else
        printf("the system's certificates\n");
    if (!tls->certificate)
        return;
    until = (time_t)tls->valid_until;
    if (gmtime_r(&until, &at))
        strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", &at);
    printf("%stls: a client certificate is shown, valid until %s%s\n", indent, date,
           until < time(NULL) ? ": it has EXPIRED" : "");
}

static void explain_redirects(const struct rb_redirects *redirects, const char *indent) {
    if (redirects->max == 0)
        return;
    printf("%sredirects: up to %lld, to the same host", indent,
           (long long)redirects->max);
    for (size_t i = 0; i < redirects->count; i++) {
        printf("%s%s", i + 1 < redirects->count ? ", " : " or ",
               redirects->hosts[i].name);
        if (redirects->hosts[i].port > 0)
            printf(":%d", redirects->hosts[i].port);
    }
    printf("\n");
}

/* Of one request. */
static void explain_call(const struct rb_definition *d, const char *indent) {
    explain_tls(d->tls, indent);
    explain_redirects(&d->redirects, indent);
    explain_time(d, indent);
}

static void explain_need(const struct rb_definition *d) {
    int64_t need = d->calls.need, count = (int64_t)d->calls.count;
    char deadline[24];
    if (need == RB_NEED_SETTLED)
        printf("    done when each of them has answered or failed");
    else if (need == count)
        printf("    done when %s answered, failed as soon as one can't",
               count == 1 ? "it has" : "all have");
    else
        printf("    done when %lld of them %s answered; the rest is broken off",
               (long long)need, need == 1 ? "has" : "have");
    if (d->calls.deadline_ms > 0)
        printf("; after %s with what is there", duration(d->calls.deadline_ms, deadline));
    printf("\n");
}

static void explain_calls(const struct rb_definition *d) {
    if (d->calls.count == 0)
        return;
    printf("    calls: %zu, side by side\n", d->calls.count);
    for (size_t i = 0; i < d->calls.count; i++) {
        printf("      %s\n", d->calls.legs[i].name);
        explain_call(d->calls.legs[i].definition, "          ");
    }
    explain_need(d);
}

static void explain_limits(const struct rb_definition *d) {
    char period[24], open[24];
    if (d->concurrency.limit > 0)
        printf("    concurrency: %lld call%s at once %s\n",
               (long long)d->concurrency.limit, plural(d->concurrency.limit),
               d->concurrency.global ? "over all workers" : "in each process");
    if (d->rate_limit.limit > 0)
        printf("    rate limit: %lld call%s in %s over all workers, %lld at once after a "
               "calm\n",
               (long long)d->rate_limit.limit, plural(d->rate_limit.limit),
               duration(d->rate_limit.period_ms, period), (long long)d->rate_limit.burst);
    if (d->circuit_breaker.enabled)
        printf("    circuit breaker: opens when %lld%% of the calls fail, for %s\n",
               (long long)d->circuit_breaker.failure_rate,
               duration(d->circuit_breaker.open_for_ms, open));
    if (d->max_queue_time_ms > 0)
        printf("    max queue time: a job that waited %s for its first call fails\n",
               duration(d->max_queue_time_ms, open));
    if (d->cancel_when_alone.grace_ms > 0)
        printf(
            "    cancel when alone: a job whose channel nobody has waited on for %s is "
            "cancelled\n",
            duration(d->cancel_when_alone.grace_ms, open));
}

static void explain_cache(const struct rb_definition *d) {
    const struct rb_cache_policy *cache = &d->cache;
    char room[24];
    if (cache->ttl_ms > 0)
        printf("    cache: a result is given again for %s\n",
               duration(cache->ttl_ms, room));
    if (cache->stale_if_error_ms > 0)
        printf("    cache: for %s more when the service fails\n",
               duration(cache->stale_if_error_ms, room));
    if (cache->negative_ttl_ms > 0)
        printf("    cache: a failure with a status is given again for %s\n",
               duration(cache->negative_ttl_ms, room));
    if (cache->coalesce)
        printf("    cache: jobs that ask the same at the same time share one call\n");
}

void rb_cli_explain(const struct rb_definition *d) {
    printf("%s (%s)\n", d->service, d->file);
    if (d->description)
        printf("    %s\n", d->description);
    explain_params(d);
    printf("    channel: %s\n", d->channel ? "from the definition" : "from the job");
    if (d->calls.count == 0)
        explain_call(d, "    ");
    explain_calls(d);
    explain_limits(d);
    explain_cache(d);
    if (d->schedule)
        printf("    schedule: a job at each time of it, once over all workers\n");
}
