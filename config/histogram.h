/* A histogram of latencies from microseconds to hours, within 3 %, in constant memory. */
#ifndef RB_CONFIG_HISTOGRAM_H
#define RB_CONFIG_HISTOGRAM_H

#include <stdint.h>

#define RB_HISTOGRAM_BUCKETS 1024

struct rb_histogram {
    uint64_t count, max;
    uint64_t buckets[RB_HISTOGRAM_BUCKETS];
};

/* What is below 0 counts as 0. */
void rb_histogram_note(struct rb_histogram *histogram, int64_t value);

/* The value that `share` (0 to 1) of all stay at or below; 0 when there are none. */
uint64_t rb_histogram_at(const struct rb_histogram *histogram, double share);

#endif
