/* What workers say of their services: what `ringback status` shows of them. All workers
 * tell it in Redis; where none does (claim: blpop), the one of this host does on
 * worker.metrics. */
#ifndef RB_JOBS_CLI_FIGURES_H
#define RB_JOBS_CLI_FIGURES_H

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
        double le_s, count;
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

/* Adds what one worker told in Redis; nothing, when that can't be understood. */
void rb_figures_add(struct rb_text text, struct rb_figures *figures);
/* All was added: works out p50_s and p95_s. */
void rb_figures_finish(struct rb_figures *figures);

/* Asks the worker at this address (as worker.metrics has it), and waits for a second at
 * most. None when no worker answers there. */
void rb_figures_fetch(const char *address, struct rb_figures *figures);
/* Reads the text format of Prometheus; for tests too. */
void rb_figures_read(struct rb_text text, struct rb_figures *figures);
void rb_figures_fini(struct rb_figures *figures);

#endif
