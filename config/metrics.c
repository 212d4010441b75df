/* Counting: families, series, rows. */
#include "config/metrics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config/clock.h"
#include "config/metrics_table.h"

static size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

static _Noreturn void die(const char *what, int error) {
    fprintf(stderr, "metrics: %s: %s\n", what, strerror(error));
    exit(EXIT_FAILURE);
}

static void init_lock(pthread_mutex_t *lock) {
    pthread_mutexattr_t attributes;
    int error = pthread_mutexattr_init(&attributes);
    if (error == 0)
        error = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    if (error == 0)
        error = pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    if (error == 0)
        error = pthread_mutex_init(lock, &attributes);
    if (error != 0)
        die("the lock of the table", error);
    pthread_mutexattr_destroy(&attributes);
}

static void map(struct rb_metrics *m) {
    size_t head = round_up(sizeof *m->head, RB_CACHE_LINE);
    size_t entries = round_up(m->max_series * sizeof *m->entries, RB_CACHE_LINE);
    size_t cells = m->max_series * m->cells_per_series * sizeof(int64_t);
    m->row_bytes = round_up(sizeof(struct rb_metric_row) + cells, RB_CACHE_LINE);
    m->map_bytes = head + entries + (size_t)m->rows * m->row_bytes;
    /* Pages that are never counted in are never made. */
    void *at = mmap(NULL, m->map_bytes, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        die("shared memory", errno);
    m->head = at;
    m->entries = (struct rb_metric_entry *)(void *)((char *)at + head);
    m->first_row = (char *)at + head + entries;
}

struct rb_metrics *rb_metrics_new(const struct rb_metric_family *families, int processes,
                                  uint32_t max_series) {
    struct rb_metrics *m = calloc(1, sizeof *m);
    if (!m)
        die("table", ENOMEM);
    m->families = families;
    m->rows = processes < 1 ? 1 : processes;
    m->cells_per_series = 1;
    m->max_series = max_series;
    uint32_t plain = 0;
    for (const struct rb_metric_family *f = families; f->name; f++) {
        size_t cells = f->type == RB_METRIC_HISTOGRAM ? rb_metric_bounds(f) + 2 : 1;
        if (cells > m->cells_per_series)
            m->cells_per_series = cells;
        plain += f->labels == NULL;
        m->family_count++;
    }
    if (m->max_series < plain)
        m->max_series = plain;
    map(m);
    init_lock(&m->head->lock);
    for (uint32_t i = 0; i < m->family_count; i++)
        if (!families[i].labels)
            (void)rb_metrics_series(m, (int)i, NULL);
    return m;
}

void rb_metrics_free(struct rb_metrics *metrics) {
    if (!metrics)
        return;
    munmap(metrics->head, metrics->map_bytes);
    free(metrics);
}

void rb_metrics_attach(struct rb_metrics *metrics, int row) {
    if (row < 0 || row >= metrics->rows)
        return;
    metrics->row = row;
    struct rb_metric_row *r = rb_metric_row(metrics, row);
    uint32_t count = atomic_load_explicit(&metrics->head->count, memory_order_acquire);
    for (uint32_t i = 0; i < count; i++)
        if (metrics->families[metrics->entries[i].family].type == RB_METRIC_GAUGE)
            atomic_store_explicit(&r->cells[i * metrics->cells_per_series], 0,
                                  memory_order_relaxed);
    atomic_store_explicit(&r->started_ms, rb_clock_unix_ms(), memory_order_relaxed);
    atomic_store_explicit(&r->pid, getpid(), memory_order_relaxed);
}

/* No longer than the ceiling, and without half a UTF-8 sequence at the cut. */
static uint8_t cut(struct rb_text value) {
    size_t len = value.len;
    if (len > RB_METRIC_LABEL_BYTES) {
        len = RB_METRIC_LABEL_BYTES;
        while (len > 0 && ((unsigned char)value.at[len] & 0xc0) == 0x80)
            len--;
    }
    return (uint8_t)len;
}

static void fill(struct rb_metric_entry *entry, uint32_t family, const char *labels,
                 const struct rb_text *values) {
    struct rb_text names = rb_text_of(labels), name;
    uint32_t hash = 2166136261u ^ family; /* FNV-1a */
    memset(entry, 0, sizeof *entry);
    entry->family = family;
    for (size_t i = 0; i < RB_METRIC_LABELS && rb_text_next(&names, ',', &name); i++) {
        struct rb_text value = values ? values[i] : RB_TEXT("");
        entry->lengths[i] = cut(value);
        if (entry->lengths[i] > 0)
            memcpy(entry->values[i], value.at, entry->lengths[i]);
        for (size_t k = 0; k < entry->lengths[i]; k++)
            hash = (hash ^ (unsigned char)entry->values[i][k]) * 16777619u;
        hash = (hash ^ 0xff) * 16777619u;
    }
    entry->hash = hash;
}

static bool same(const struct rb_metric_entry *a, const struct rb_metric_entry *b) {
    return a->hash == b->hash && a->family == b->family &&
           memcmp(a->lengths, b->lengths, sizeof a->lengths) == 0 &&
           memcmp(a->values, b->values, sizeof a->values) == 0;
}

static rb_series find(const struct rb_metrics *m, const struct rb_metric_entry *wanted,
                      uint32_t from, uint32_t count) {
    for (uint32_t i = from; i < count; i++)
        if (same(&m->entries[i], wanted))
            return i + 1;
    return 0;
}

static rb_series append(struct rb_metrics *m, const struct rb_metric_entry *entry,
                        uint32_t searched) {
    rb_series series = 0;
    int error = pthread_mutex_lock(&m->head->lock);
    if (error == EOWNERDEAD)
        error = pthread_mutex_consistent(&m->head->lock);
    if (error != 0)
        return 0;
    uint32_t count = atomic_load_explicit(&m->head->count, memory_order_acquire);
    series = find(m, entry, searched, count);
    if (series == 0 && count < m->max_series) {
        m->entries[count] = *entry;
        atomic_store_explicit(&m->head->count, count + 1, memory_order_release);
        series = count + 1;
    }
    pthread_mutex_unlock(&m->head->lock);
    return series;
}

rb_series rb_metrics_series(struct rb_metrics *metrics, int family,
                            const struct rb_text *label_values) {
    struct rb_metric_entry wanted;
    if (family < 0 || (uint32_t)family >= metrics->family_count)
        return 0;
    fill(&wanted, (uint32_t)family, metrics->families[family].labels, label_values);
    uint32_t count = atomic_load_explicit(&metrics->head->count, memory_order_acquire);
    rb_series series = find(metrics, &wanted, 0, count);
    if (series == 0)
        series = append(metrics, &wanted, count);
    if (series == 0)
        atomic_fetch_add_explicit(&metrics->head->dropped, 1, memory_order_relaxed);
    return series;
}

static _Atomic int64_t *own_cells(struct rb_metrics *m, rb_series series) {
    return &rb_metric_row(m, m->row)->cells[(series - 1) * m->cells_per_series];
}

/* One thread of one process writes a row: others must see whole values, but nobody comes
 * between, so that the bus need not be locked. */
static void bump(_Atomic int64_t *cell, int64_t delta) {
    int64_t value = atomic_load_explicit(cell, memory_order_relaxed);
    atomic_store_explicit(cell, value + delta, memory_order_relaxed);
}

void rb_metrics_add(struct rb_metrics *metrics, rb_series series, int64_t delta) {
    if (series != 0)
        bump(own_cells(metrics, series), delta);
}

void rb_metrics_set(struct rb_metrics *metrics, rb_series series, int64_t value) {
    if (series != 0)
        atomic_store_explicit(own_cells(metrics, series), value, memory_order_relaxed);
}

void rb_metrics_observe(struct rb_metrics *metrics, rb_series series,
                        int64_t microseconds) {
    if (series == 0)
        return;
    const struct rb_metric_family *family =
        &metrics->families[metrics->entries[series - 1].family];
    if (family->type != RB_METRIC_HISTOGRAM)
        return;
    _Atomic int64_t *cells = own_cells(metrics, series);
    int64_t value = microseconds > 0 ? microseconds : 0;
    size_t bucket = 0, bounds = rb_metric_bounds(family);
    while (bucket < bounds && value > (int64_t)(family->bounds[bucket] * 1e6 + 0.5))
        bucket++;
    bump(&cells[bucket], 1);
    bump(&cells[bounds + 1], value);
}

int64_t rb_metrics_sum(const struct rb_metrics *metrics, rb_series series) {
    if (series == 0)
        return 0;
    const struct rb_metric_family *family =
        &metrics->families[metrics->entries[series - 1].family];
    size_t cells = family->type == RB_METRIC_HISTOGRAM ? rb_metric_bounds(family) + 1 : 1;
    int64_t sum = 0;
    for (size_t i = 0; i < cells; i++)
        sum += rb_metric_cell(metrics, series, i);
    return sum;
}
