/* Latencies in buckets whose width grows with what they hold. */
#include "config/histogram.h"

#define FINE 32 /* buckets for each power of two */

/* Below 32 each value has its bucket; above, the five bits behind the highest tell it. */
static unsigned bucket_of(uint64_t value) {
    if (value < FINE)
        return (unsigned)value;
    unsigned shift = 58u - (unsigned)__builtin_clzll(value);
    unsigned bucket = shift * FINE + (unsigned)(value >> shift);
    return bucket < RB_HISTOGRAM_BUCKETS ? bucket : RB_HISTOGRAM_BUCKETS - 1;
}

/* The largest value of a bucket. */
static uint64_t edge_of(unsigned bucket) {
    if (bucket < 2 * FINE)
        return bucket;
    unsigned shift = bucket / FINE - 1;
    return ((uint64_t)(bucket % FINE + FINE + 1) << shift) - 1;
}

void rb_histogram_note(struct rb_histogram *histogram, int64_t value) {
    uint64_t noted = value < 0 ? 0 : (uint64_t)value;
    histogram->buckets[bucket_of(noted)]++;
    histogram->count++;
    if (noted > histogram->max)
        histogram->max = noted;
}

uint64_t rb_histogram_at(const struct rb_histogram *histogram, double share) {
    double exact = (double)histogram->count * share;
    uint64_t wanted = (uint64_t)exact, seen = 0;
    wanted += (double)wanted < exact;
    for (unsigned i = 0; i + 1 < RB_HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen > 0 && seen >= wanted)
            return edge_of(i) < histogram->max ? edge_of(i) : histogram->max;
    }
    return histogram->max;
}
