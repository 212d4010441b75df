/* Counters, gauges and histograms in shared memory: one row a process, so that a process
 * adds to its own without locks and any of them can answer a scrape with the sum.
 *
 * Families are declared and the memory is mapped before the processes fork; series with
 * labels can be added at any time, by any process, up to the capacity given at birth.
 * Values are 64-bit relaxed atomics. A row is handed on when a dead child is replaced:
 * counters go on, gauges start at 0 again. */
#ifndef RB_CONFIG_METRICS_H
#define RB_CONFIG_METRICS_H

#include <stdint.h>

#include "config/buffer.h"

enum rb_metric_type { RB_METRIC_COUNTER, RB_METRIC_GAUGE, RB_METRIC_HISTOGRAM };

/* A const table of these, ended by .name == NULL; an enum of the caller's indexes it. */
struct rb_metric_family {
    const char *name; /* "ringback_worker_jobs_total" */
    const char *help; /* one sentence */
    enum rb_metric_type type;
    const char *labels; /* names joined by commas: "service,outcome"; NULL = one series */
    const double *bounds; /* histograms: upper bounds in seconds, ended by a 0 */
};

struct rb_metrics;

/* 0 is a series that counts nothing: what _series gives when the table is full, and then
 * ringback_series_dropped_total grows. */
typedef uint32_t rb_series;

/* processes = rows. The series of families without labels are made here, so that they
 * show from the start. Dies on lack of memory: this is start-up. */
struct rb_metrics *rb_metrics_new(const struct rb_metric_family *families, int processes,
                                  uint32_t max_series);
void rb_metrics_free(struct rb_metrics *metrics); /* unmaps; legal in any process */

/* Says which row this process writes; sets that row's gauges to 0. Row 0 before that. */
void rb_metrics_attach(struct rb_metrics *metrics, int row);

/* The series for these label values, in the order of `labels`; finds or makes it. At most
 * 4 labels; values are cut at 128 bytes. For a family without labels pass NULL. Look it
 * up once, keep it. */
rb_series rb_metrics_series(struct rb_metrics *metrics, int family,
                            const struct rb_text *label_values);

void rb_metrics_add(struct rb_metrics *metrics, rb_series series, int64_t delta);
void rb_metrics_set(struct rb_metrics *metrics, rb_series series, int64_t value);
void rb_metrics_observe(struct rb_metrics *metrics, rb_series series,
                        int64_t microseconds);

/* Of all rows; of a histogram, how many were observed. */
int64_t rb_metrics_sum(const struct rb_metrics *metrics, rb_series series);

/* Text exposition format 0.0.4 (Prometheus). Also process_start_time_seconds (of the
 * oldest row), process_open_fds and process_resident_memory_bytes of all rows together.
 */
void rb_metrics_write(const struct rb_metrics *metrics, struct rb_buffer *out);

#endif
