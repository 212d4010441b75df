/* How it all stands, as JSON. */
#include <math.h>

#include "jobs/overview.h"

static void write_number(struct rb_buffer *out, const char *name, double value) {
    if (value < 0)
        rb_buffer_printf(out, ",\"%s\":null", name);
    else
        rb_buffer_printf(out, ",\"%s\":%.3f", name, value);
}

/* Names of queues, services and workers hold no character that JSON escapes. */
static void write_queues(struct rb_buffer *out, const struct rb_overview *o) {
    rb_buffer_string(out, "\"queues\":{");
    for (size_t i = 0; i < o->queue_count; i++) {
        const struct rb_overview_queue *q = &o->queues[i];
        rb_buffer_printf(out, "%s\"%s\":{\"waiting\":%lld,\"retry\":%lld",
                         i > 0 ? "," : "", q->name, q->waiting, q->retry);
        write_number(out, "oldest_s", rb_overview_age_s(o, q));
        rb_buffer_printf(out, ",\"paused\":%s}", q->paused ? "true" : "false");
    }
    rb_buffer_printf(out, "},\"due\":%lld,\"dead\":%lld,\"paused_services\":[", o->due,
                     o->dead);
    for (size_t i = 0; i < o->paused_service_count; i++)
        rb_buffer_printf(out, "%s\"%s\"", i > 0 ? "," : "", o->paused_services[i]);
    rb_buffer_char(out, ']');
}

static void write_workers(struct rb_buffer *out, const struct rb_overview *o) {
    rb_buffer_string(out, ",\"workers\":[");
    for (size_t i = 0; i < o->worker_count; i++)
        rb_buffer_printf(out, "%s{\"id\":\"%s\",\"lease_ms\":%.0f,\"held\":%lld}",
                         i > 0 ? "," : "", o->workers[i].id,
                         o->workers[i].lease_end_ms - o->now_ms, o->workers[i].held);
    rb_buffer_char(out, ']');
}

/* How many calls took longer than the bound before, up to this one. */
static void write_latency(struct rb_buffer *out, const struct rb_figure *f) {
    double below = 0;
    rb_buffer_string(out, ",\"latency\":[");
    for (size_t i = 0; i < f->bucket_count; i++) {
        double count = f->buckets[i].count - below;
        rb_buffer_string(out, i > 0 ? ",{\"le_s\":" : "{\"le_s\":");
        if (isfinite(f->buckets[i].le_s))
            rb_buffer_printf(out, "%.9g", f->buckets[i].le_s);
        else
            rb_buffer_string(out, "null");
        rb_buffer_printf(out, ",\"calls\":%.0f}", count > 0 ? count : 0);
        below = f->buckets[i].count;
    }
    rb_buffer_char(out, ']');
}

void rb_overview_write(struct rb_buffer *out, const struct rb_overview *o,
                       const struct rb_overview *before, bool latency) {
    write_queues(out, o);
    write_workers(out, o);
    rb_buffer_string(out, ",\"services\":{");
    for (size_t i = 0; i < o->figures.count; i++) {
        const struct rb_figure *f = &o->figures.at[i];
        rb_buffer_printf(
            out,
            "%s\"%s\":{\"in_flight\":%.0f,\"done\":%.0f,\"failed\":%.0f,\"calls\":%.0f,"
            "\"cache_hits\":%.0f,\"cache_lookups\":%.0f,\"breaker\":\"%s\"",
            i > 0 ? "," : "", f->service, f->in_flight, f->done, f->failed, f->calls,
            f->cache_hits, f->cache_lookups, rb_figure_breaker(f));
        write_number(out, "calls_per_s",
                     rb_figure_rate(f, &o->figures, before ? &before->figures : NULL));
        write_number(out, "p50_s", f->p50_s);
        write_number(out, "p95_s", f->p95_s);
        if (latency)
            write_latency(out, f);
        rb_buffer_char(out, '}');
    }
    rb_buffer_char(out, '}');
}
