/* A text a worker, written at a heartbeat when it has changed. */
#include "worker/tallies.h"

#include <stdio.h>
#include <stdlib.h>

#include "worker/backend.h"
#include "worker/lease.h"
#include "worker/worker.h"

#define TEXT_MAX_BYTES ((size_t)1024 * 1024)
#define LIVES_LEASES 3 /* how long a text stays */

struct rb_tallies {
    struct rb_buffer told; /* what Redis has, but for its time */
    unsigned generation;   /* of the lease it was told under */
    int64_t told_ms;
};

struct rb_tallies *rb_tallies_new(void) {
    struct rb_tallies *tallies = calloc(1, sizeof *tallies);
    if (tallies)
        rb_buffer_init(&tallies->told, TEXT_MAX_BYTES);
    return tallies;
}

void rb_tallies_free(struct rb_tallies *tallies) {
    if (!tallies)
        return;
    rb_buffer_fini(&tallies->told);
    free(tallies);
}

static void add_list(struct rb_buffer *out, const int64_t *counts, size_t count) {
    for (size_t i = 0; i < count; i++) {
        rb_buffer_char(out, i > 0 ? ',' : '[');
        rb_buffer_int(out, counts[i]);
    }
    rb_buffer_char(out, ']');
}

/* Names of services hold no character that JSON escapes. */
static void add_service(void *ctx, const char *name, const struct rb_tally *tally) {
    struct rb_buffer *out = ctx;
    if (out->at[out->len - 1] != '{')
        rb_buffer_char(out, ',');
    rb_buffer_printf(
        out, "\"%s\":{\"in_flight\":%lld,\"done\":%lld,\"failed\":%lld,\"calls\":", name,
        (long long)tally->in_flight, (long long)tally->done, (long long)tally->failed);
    add_list(out, tally->calls, RB_STATS_BOUNDS + 1);
    rb_buffer_printf(out,
                     ",\"cache_hits\":%lld,\"cache_lookups\":%lld,\"breaker\":\"%s\"}",
                     (long long)tally->cache_hits, (long long)tally->cache_lookups,
                     rb_breaker_state_name(tally->breaker));
}

static void write_text(const struct rb_worker *w, struct rb_buffer *out) {
    rb_buffer_string(out, ",\"bounds_s\":");
    for (size_t i = 0; i < RB_STATS_BOUNDS; i++)
        rb_buffer_printf(out, "%s%g", i > 0 ? "," : "[", rb_stats_bounds[i]);
    rb_buffer_string(out, "],\"services\":{");
    if (out->status == RB_OK)
        rb_backends_each(w->backends, add_service, out);
    rb_buffer_string(out, "}}");
}

static void on_told(void *ctx, enum rb_status status, const struct redisReply *reply) {
    if (status == RB_REFUSED)
        rb_worker_refused(ctx, "figures", reply->str);
}

static void tell(struct rb_worker *w) {
    struct rb_buffer text;
    struct rb_key key;
    char lives[24];
    rb_buffer_init(&text, TEXT_MAX_BYTES + 64);
    rb_buffer_printf(&text, "{\"at\":%lld", (long long)rb_worker_unix_ms(w));
    rb_buffer_text(&text, rb_buffer_view(&w->tallies->told));
    rb_key_stats(&w->keys, rb_lease_id(w->lease), &key);
    snprintf(lives, sizeof lives, "%lld",
             (long long)w->settings->worker.lease * LIVES_LEASES);
    const struct rb_text argv[] = {RB_TEXT("SET"), rb_key_text(&key),
                                   rb_buffer_view(&text), RB_TEXT("PX"),
                                   rb_text_of(lives)};
    if (text.status == RB_OK)
        rb_link_call(w->link, 0, on_told, w, 5, argv);
    rb_buffer_fini(&text);
}

void rb_tallies_beat(struct rb_worker *w) {
    struct rb_tallies *tallies = w->tallies;
    unsigned generation = rb_lease_generation(w->lease);
    struct rb_buffer now;
    rb_buffer_init(&now, TEXT_MAX_BYTES);
    write_text(w, &now);
    bool fresh = tallies->generation == generation &&
                 w->now_ms - tallies->told_ms < w->settings->worker.lease &&
                 rb_text_equal(rb_buffer_view(&now), rb_buffer_view(&tallies->told));
    if (fresh || now.status != RB_OK) {
        rb_buffer_fini(&now);
        return;
    }
    rb_buffer_fini(&tallies->told);
    tallies->told = now;
    tallies->generation = generation;
    tallies->told_ms = w->now_ms;
    tell(w);
}
