/* What the workers tell of their services in Redis (worker/tallies.h says how). */
#include <jansson.h>
#include <math.h>

#include "jobs/cli/figures.h"
#include "jobs/name.h"

static double number(const json_t *object, const char *name) {
    double value = json_number_value(json_object_get(object, name));
    return value > 0 ? value : 0;
}

/* Counts by bound are added up, as quantiles want them. Workers of different versions may
 * have other bounds: then those of the first are shown. */
static void add_calls(struct rb_figure *f, const json_t *counts, const json_t *bounds) {
    size_t count = json_array_size(counts);
    double sum = 0;
    if (count == 0 || count > RB_FIGURE_BUCKETS || json_array_size(bounds) != count - 1)
        return;
    if (f->bucket_count == 0)
        f->bucket_count = count;
    if (f->bucket_count != count)
        return;
    for (size_t i = 0; i < count; i++) {
        double in = json_number_value(json_array_get(counts, i));
        sum += in > 0 ? in : 0;
        f->buckets[i].le_s =
            i + 1 < count ? json_number_value(json_array_get(bounds, i)) : INFINITY;
        f->buckets[i].count += sum;
    }
    f->calls += sum;
}

static void add_service(struct rb_figures *figures, const char *name,
                        const json_t *service, const json_t *bounds) {
    const char *breaker = json_string_value(json_object_get(service, "breaker"));
    struct rb_figure *f = rb_name_is_service(rb_text_of(name))
                              ? rb_figures_find(figures, rb_text_of(name))
                              : NULL;
    if (!f)
        return;
    f->in_flight += number(service, "in_flight");
    f->done += number(service, "done");
    f->failed += number(service, "failed");
    f->cache_hits += number(service, "cache_hits");
    f->cache_lookups += number(service, "cache_lookups");
    f->open += breaker && strcmp(breaker, "open") == 0;
    f->half_open += breaker && strcmp(breaker, "half_open") == 0;
    add_calls(f, json_object_get(service, "calls"), bounds);
}

void rb_figures_add(struct rb_text text, struct rb_figures *figures) {
    json_t *told = json_loadb(text.at, text.len, 0, NULL);
    const json_t *bounds = json_object_get(told, "bounds_s");
    json_t *services = json_object_get(told, "services"), *service;
    const char *name;
    double at_ms = number(told, "at");
    if (json_is_object(services)) {
        figures->told = true;
        if (at_ms > figures->at_ms)
            figures->at_ms = at_ms;
        json_object_foreach(services, name, service)
            add_service(figures, name, service, bounds);
    }
    json_decref(told);
}
