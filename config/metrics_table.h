/* How the counters lie in shared memory: for metrics.c, which counts, and
 * metrics_write.c, which shows.
 *
 * The mapping holds the head, then max_series entries, then a row of cells for each
 * process. The table of series only grows: an entry is written in full under the lock,
 * then `count` is raised; so readers need no lock, and a process that dies in between
 * leaves nothing behind but a lock that the next one recovers. */
#ifndef RB_CONFIG_METRICS_TABLE_H
#define RB_CONFIG_METRICS_TABLE_H

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

#include "config/metrics.h"

#define RB_METRIC_LABELS 4
#define RB_METRIC_LABEL_BYTES 128
#define RB_CACHE_LINE 64

static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "counters are shared between processes");

struct rb_metric_head {
    pthread_mutex_t lock; /* robust, shared between processes */
    _Atomic uint32_t count;
    _Atomic int64_t dropped; /* lookups that found the table full */
};

struct rb_metric_entry {
    uint32_t family;
    uint32_t hash;
    uint8_t lengths[RB_METRIC_LABELS];
    char values[RB_METRIC_LABELS][RB_METRIC_LABEL_BYTES];
};

/* Cells of a series: one; for a histogram its buckets, the last one, and the sum in µs.
 */
struct rb_metric_row {
    _Alignas(RB_CACHE_LINE) _Atomic int64_t pid; /* 0 = nobody has attached yet */
    _Atomic int64_t started_ms;                  /* Unix time */
    _Alignas(RB_CACHE_LINE) _Atomic int64_t cells[];
};

/* Private to each process; copied by fork. */
struct rb_metrics {
    const struct rb_metric_family *families;
    uint32_t family_count;
    uint32_t max_series;
    int rows;
    int row; /* ours */
    size_t cells_per_series;
    size_t row_bytes;
    size_t map_bytes;
    struct rb_metric_head *head; /* the start of the mapping */
    struct rb_metric_entry *entries;
    char *first_row;
};

static inline struct rb_metric_row *rb_metric_row(const struct rb_metrics *metrics,
                                                  int row) {
    return (struct rb_metric_row *)(void *)(metrics->first_row +
                                            (size_t)row * metrics->row_bytes);
}

static inline size_t rb_metric_bounds(const struct rb_metric_family *family) {
    size_t n = 0;
    while (family->type == RB_METRIC_HISTOGRAM && family->bounds && family->bounds[n] > 0)
        n++;
    return n;
}

/* One cell of a series, summed over all rows. */
static inline int64_t rb_metric_cell(const struct rb_metrics *metrics, rb_series series,
                                     size_t cell) {
    size_t at = (series - 1) * metrics->cells_per_series + cell;
    int64_t sum = 0;
    for (int i = 0; i < metrics->rows; i++)
        sum += atomic_load_explicit(&rb_metric_row(metrics, i)->cells[at],
                                    memory_order_relaxed);
    return sum;
}

#endif
