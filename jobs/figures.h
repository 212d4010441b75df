/* What workers say of their services, added up over all of them. All workers tell it in
 * Redis (worker/tallies.h says how). */
#ifndef RB_JOBS_FIGURES_H
#define RB_JOBS_FIGURES_H

#include <stdbool.h>

#include "config/text.h"

#define RB_FIGURE_BUCKETS 32

/* Of all workers together, each since it started. */
struct rb_figure {
    char service[80];
    double in_flight, done, failed, calls;
    double cache_hits, cache_lookups;
    double p50_s, p95_s;    /* of calls; negative: unknown */
    double open, half_open; /* processes whose circuit breaker is that */
    size_t bucket_count;
    struct {
        double le_s, count; /* calls that took so long at most */
    } buckets[RB_FIGURE_BUCKETS];
};

struct rb_figures {
    struct rb_figure *at;
    size_t count, room;
    bool told;    /* a worker answered */
    double at_ms; /* when the newest of it was so; unix ms, 0: now */
};

/* The figure of a service, new if it must be. NULL when there is no room for it. */
struct rb_figure *rb_figures_find(struct rb_figures *figures, struct rb_text service);

/* The one that is there, or NULL. */
const struct rb_figure *rb_figures_of(const struct rb_figures *figures,
                                      const char *service);

/* Adds what one worker told in Redis; nothing, when that can't be understood. */
void rb_figures_add(struct rb_text text, struct rb_figures *figures);
/* All was added: works out p50_s and p95_s. */
void rb_figures_finish(struct rb_figures *figures);

/* "open", "half-open" or "closed". */
const char *rb_figure_breaker(const struct rb_figure *figure);
/* Calls a second since `before`, which may be NULL; negative: not known. A service that
 * was not among them had no calls then. */
double rb_figure_rate(const struct rb_figure *figure, const struct rb_figures *now,
                      const struct rb_figures *before);

void rb_figures_fini(struct rb_figures *figures);

#endif
