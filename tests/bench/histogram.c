/* A histogram of latencies with buckets that grow with what they hold. */
#include "histogram.h"

#include <inttypes.h>
#include <stdio.h>

/* Below 32 each value has its bucket; above, 32 buckets for each power of two. */
static unsigned bucket_of(uint64_t us) {
    if (us < 32)
        return (unsigned)us;
    unsigned shift = 58u - (unsigned)__builtin_clzll(us);
    unsigned bucket = (shift + 1) * 32 + (unsigned)(us >> shift) - 32;
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

static uint64_t edge_of(unsigned bucket) {
    if (bucket < 32)
        return bucket;
    unsigned shift = bucket / 32 - 1;
    return ((uint64_t)(bucket % 32 + 33) << shift) - 1;
}

void histogram_note(struct histogram *h, int64_t us) {
    uint64_t value = us < 0 ? 0 : (uint64_t)us;
    h->buckets[bucket_of(value)]++;
    h->count++;
    if (value > h->max)
        h->max = value;
}

uint64_t histogram_percentile(const struct histogram *h, double p) {
    uint64_t seen = 0, wanted = (uint64_t)((double)h->count * p);
    if (wanted >= h->count)
        return h->max;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen > wanted)
            return edge_of(i) < h->max ? edge_of(i) : h->max;
    }
    return h->max;
}

void histogram_print(const struct histogram *h) {
    printf("\"p50_us\":%" PRIu64 ",\"p90_us\":%" PRIu64 ",\"p99_us\":%" PRIu64
           ",\"max_us\":%" PRIu64,
           histogram_percentile(h, 0.5), histogram_percentile(h, 0.9),
           histogram_percentile(h, 0.99), h->max);
}
