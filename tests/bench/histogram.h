/* Latencies in buckets a thirty-second of their size apart: a percentile is at most 3 %
 * off, however many are noted. */
#ifndef RB_BENCH_HISTOGRAM_H
#define RB_BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BUCKETS 1024

struct histogram {
    uint64_t count, max, buckets[HISTOGRAM_BUCKETS];
};

void histogram_note(struct histogram *h, int64_t us); /* what is negative counts as 0 */

/* The upper edge of the bucket in which the share `p` (0 to 1) ends; 0 = none noted. */
uint64_t histogram_percentile(const struct histogram *h, double p);

/* "p50_us":…,"p90_us":…,"p99_us":…,"max_us":… */
void histogram_print(const struct histogram *h);

#endif
