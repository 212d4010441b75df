/* Figures of services: what the workers tell of them in Redis, and what is worked out. */
#include "jobs/figures.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "jobs/name.h"

#define MAX_SERVICES 10000

struct rb_figure *rb_figures_find(struct rb_figures *figures, struct rb_text service) {
    for (size_t i = 0; i < figures->count; i++)
        if (rb_text_is(service, figures->at[i].service))
            return &figures->at[i];
    if (figures->count >= MAX_SERVICES || service.len >= sizeof figures->at[0].service)
        return NULL;
    if (figures->count == figures->room) {
        size_t room = figures->room ? figures->room * 2 : 16;
        struct rb_figure *grown = realloc(figures->at, room * sizeof *grown);
        if (!grown)
            return NULL;
        figures->at = grown;
        figures->room = room;
    }
    struct rb_figure *f = &figures->at[figures->count++];
    *f = (struct rb_figure){.p50_s = -1, .p95_s = -1};
    memcpy(f->service, service.at, service.len);
    return f;
}

const struct rb_figure *rb_figures_of(const struct rb_figures *figures,
                                      const char *service) {
    for (size_t i = 0; i < figures->count; i++)
        if (strcmp(figures->at[i].service, service) == 0)
            return &figures->at[i];
    return NULL;
}

/* ---- adding ---- */

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

/* ---- working out ---- */

/* Within a bucket the calls are taken to be spread evenly. */
static double quantile(const struct rb_figure *f, double share) {
    double wanted = f->calls * share, below = 0, from_s = 0;
    for (size_t i = 0; i < f->bucket_count && f->calls > 0; i++) {
        double in = f->buckets[i].count - below;
        if (f->buckets[i].count >= wanted && in > 0) {
            if (isinf(f->buckets[i].le_s))
                return from_s;
            return from_s + (f->buckets[i].le_s - from_s) * (wanted - below) / in;
        }
        below = f->buckets[i].count;
        from_s = f->buckets[i].le_s;
    }
    return -1;
}

const char *rb_figure_breaker(const struct rb_figure *figure) {
    return figure->open > 0 ? "open" : figure->half_open > 0 ? "half-open" : "closed";
}

double rb_figure_rate(const struct rb_figure *figure, const struct rb_figures *now,
                      const struct rb_figures *before) {
    if (!before || !before->told || now->at_ms <= before->at_ms)
        return -1;
    const struct rb_figure *then = rb_figures_of(before, figure->service);
    double calls = figure->calls - (then ? then->calls : 0);
    return calls < 0 ? -1 : calls * 1000 / (now->at_ms - before->at_ms);
}

void rb_figures_finish(struct rb_figures *figures) {
    for (size_t i = 0; i < figures->count; i++) {
        figures->at[i].p50_s = quantile(&figures->at[i], 0.5);
        figures->at[i].p95_s = quantile(&figures->at[i], 0.95);
    }
}

void rb_figures_fini(struct rb_figures *figures) {
    free(figures->at);
    *figures = (struct rb_figures){0};
}
