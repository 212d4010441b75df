/* Showing what was counted, in the text format of Prometheus. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/metrics_table.h"

static const char *const type_names[] = {
    [RB_METRIC_COUNTER] = "counter",
    [RB_METRIC_GAUGE] = "gauge",
    [RB_METRIC_HISTOGRAM] = "histogram",
};

/* Backslash, quote and line feed are escaped; what is no text becomes U+FFFD. */
static void add_label_value(struct rb_buffer *out, struct rb_text value) {
    while (value.len > 0) {
        size_t step = rb_text_utf8_step(value);
        if (value.at[0] == '\n')
            rb_buffer_string(out, "\\n");
        else if (step == 0 || (unsigned char)value.at[0] < 0x20)
            rb_buffer_string(out, "\xef\xbf\xbd");
        else {
            if (value.at[0] == '"' || value.at[0] == '\\')
                rb_buffer_char(out, '\\');
            rb_buffer_add(out, value.at, step);
        }
        step = step > 0 ? step : 1;
        value = rb_text(value.at + step, value.len - step);
    }
}

/* {service="x",le="0.5"}; `le` may be NULL. Nothing without labels. */
static void add_labels(struct rb_buffer *out, const struct rb_metric_family *family,
                       const struct rb_metric_entry *entry, const char *le) {
    struct rb_text names = rb_text_of(family->labels), name;
    char before = '{';
    for (size_t i = 0; i < RB_METRIC_LABELS && rb_text_next(&names, ',', &name); i++) {
        rb_buffer_char(out, before);
        rb_buffer_text(out, name);
        rb_buffer_string(out, "=\"");
        add_label_value(out, rb_text(entry->values[i], entry->lengths[i]));
        rb_buffer_char(out, '"');
        before = ',';
    }
    if (le) {
        rb_buffer_printf(out, "%cle=\"%s\"", before, le);
        before = ',';
    }
    if (before == ',')
        rb_buffer_char(out, '}');
}

static void add_sample(struct rb_buffer *out, const struct rb_metric_family *family,
                       const struct rb_metric_entry *entry, const char *suffix,
                       const char *le, int64_t value) {
    rb_buffer_string(out, family->name);
    rb_buffer_string(out, suffix);
    add_labels(out, family, entry, le);
    rb_buffer_char(out, ' ');
    rb_buffer_int(out, value);
    rb_buffer_char(out, '\n');
}

static void add_histogram(struct rb_buffer *out, const struct rb_metrics *m,
                          rb_series series) {
    const struct rb_metric_entry *entry = &m->entries[series - 1];
    const struct rb_metric_family *family = &m->families[entry->family];
    size_t bounds = rb_metric_bounds(family);
    int64_t count = 0;
    for (size_t i = 0; i <= bounds; i++) {
        char le[32] = "+Inf";
        if (i < bounds)
            snprintf(le, sizeof le, "%.9g", family->bounds[i]);
        count += rb_metric_cell(m, series, i);
        add_sample(out, family, entry, "_bucket", le, count);
    }
    int64_t sum_us = rb_metric_cell(m, series, bounds + 1);
    rb_buffer_string(out, family->name);
    rb_buffer_string(out, "_sum");
    add_labels(out, family, entry, NULL);
    rb_buffer_printf(out, " %lld.%06lld\n", (long long)(sum_us / 1000000),
                     (long long)(sum_us % 1000000));
    add_sample(out, family, entry, "_count", NULL, count);
}

static void add_head(struct rb_buffer *out, const char *name, const char *help,
                     const char *type) {
    rb_buffer_printf(out, "# HELP %s ", name);
    for (; *help; help++) {
        if (*help == '\n' || *help == '\\')
            rb_buffer_char(out, '\\');
        rb_buffer_char(out, *help == '\n' ? 'n' : *help);
    }
    rb_buffer_printf(out, "\n# TYPE %s %s\n", name, type);
}

static void add_family(struct rb_buffer *out, const struct rb_metrics *m, uint32_t family,
                       uint32_t count) {
    const struct rb_metric_family *f = &m->families[family];
    bool headed = false;
    for (uint32_t i = 0; i < count; i++) {
        if (m->entries[i].family != family)
            continue;
        if (!headed)
            add_head(out, f->name, f->help, type_names[f->type]);
        headed = true;
        if (f->type == RB_METRIC_HISTOGRAM)
            add_histogram(out, m, i + 1);
        else
            add_sample(out, f, &m->entries[i], "", NULL, rb_metric_cell(m, i + 1, 0));
    }
}

/* Linux ≥ 6.2 tells the number as the folder's size, proc(5); before, they are counted.
 */
static int64_t open_fds(int64_t pid) {
    char path[64];
    struct stat about;
    snprintf(path, sizeof path, "/proc/%lld/fd", (long long)pid);
    if (stat(path, &about) == 0 && about.st_size > 0)
        return about.st_size;
    DIR *folder = opendir(path);
    if (!folder)
        return 0;
    int64_t count = 0;
    const struct dirent *entry;
    while ((entry = readdir(folder)))
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

static int64_t resident_bytes(int64_t pid) {
    char path[64], text[128];
    snprintf(path, sizeof path, "/proc/%lld/statm", (long long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t len = read(fd, text, sizeof text);
    close(fd);
    struct rb_text rest = rb_text(text, len > 0 ? (size_t)len : 0), size, resident;
    uint64_t pages;
    if (!rb_text_next(&rest, ' ', &size) || !rb_text_next(&rest, ' ', &resident) ||
        rb_text_uint64(resident, &pages) != RB_OK)
        return 0;
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

static void add_process(struct rb_buffer *out, const struct rb_metrics *m) {
    int64_t started_ms = INT64_MAX, fds = 0, resident = 0;
    for (int i = 0; i < m->rows; i++) {
        const struct rb_metric_row *row = rb_metric_row(m, i);
        int64_t pid = atomic_load_explicit(&row->pid, memory_order_relaxed);
        int64_t since = atomic_load_explicit(&row->started_ms, memory_order_relaxed);
        if (pid == 0)
            continue;
        fds += open_fds(pid);
        resident += resident_bytes(pid);
        if (since < started_ms)
            started_ms = since;
    }
    if (started_ms == INT64_MAX)
        return; /* nobody has attached */
    add_head(out, "process_start_time_seconds",
             "When the oldest of the processes started, Unix time.", "gauge");
    rb_buffer_printf(out, "process_start_time_seconds %lld.%03lld\n",
                     (long long)(started_ms / 1000), (long long)(started_ms % 1000));
    add_head(out, "process_open_fds", "Open file descriptors of all processes.", "gauge");
    rb_buffer_printf(out, "process_open_fds %lld\n", (long long)fds);
    add_head(out, "process_resident_memory_bytes",
             "Resident memory of all processes; what they share counts in each.",
             "gauge");
    rb_buffer_printf(out, "process_resident_memory_bytes %lld\n", (long long)resident);
}

void rb_metrics_write(const struct rb_metrics *metrics, struct rb_buffer *out) {
    uint32_t count = atomic_load_explicit(&metrics->head->count, memory_order_acquire);
    for (uint32_t i = 0; i < metrics->family_count; i++)
        add_family(out, metrics, i, count);
    add_head(out, "ringback_series_dropped_total",
             "Series that were not counted because the table was full.", "counter");
    rb_buffer_printf(
        out, "ringback_series_dropped_total %lld\n",
        (long long)atomic_load_explicit(&metrics->head->dropped, memory_order_relaxed));
    add_process(out, metrics);
}
