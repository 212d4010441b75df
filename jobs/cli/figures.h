/* What the worker of this host says of its services on worker.metrics: what `ringback
 * status` shows of them. */
#ifndef RB_JOBS_CLI_FIGURES_H
#define RB_JOBS_CLI_FIGURES_H

#include <stdbool.h>

#include "config/text.h"

#define RB_FIGURE_BUCKETS 32

/* All since the worker started. */
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
    bool told; /* a worker answered */
};

/* Asks the worker at this address (as worker.metrics has it), and waits for a second at
 * most. None when no worker answers there. */
void rb_figures_fetch(const char *address, struct rb_figures *figures);
/* Reads the text format of Prometheus; for tests too. */
void rb_figures_read(struct rb_text text, struct rb_figures *figures);
void rb_figures_fini(struct rb_figures *figures);

#endif
