/* How latencies are printed by the programs of the bench. */
#ifndef RB_BENCH_LATENCIES_H
#define RB_BENCH_LATENCIES_H

#include <inttypes.h>
#include <stdio.h>

#include "config/histogram.h"

/* "p50_us":…,"p90_us":…,"p99_us":…,"max_us":… */
static inline void latencies_print(const struct rb_histogram *h) {
    printf("\"p50_us\":%" PRIu64 ",\"p90_us\":%" PRIu64 ",\"p99_us\":%" PRIu64
           ",\"max_us\":%" PRIu64,
           rb_histogram_at(h, 0.5), rb_histogram_at(h, 0.9), rb_histogram_at(h, 0.99),
           h->max);
}

#endif
