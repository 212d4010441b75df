/* Places that count over all workers, from Redis. */
#include "worker/places.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/process.h"
#include "worker/claim.h"
#include "worker/worker.h"

#define POLL_MS 50 /* no place was free: asked again after that, up to twice as long */
#define REFUSED_MS 1000
#define NAME_MAX_BYTES 40

void rb_places_init(struct rb_places *p, struct rb_worker *w, const char *service,
                    void (*on_answer)(void *ctx), void *ctx) {
    *p = (struct rb_places){
        .worker = w, .service = service, .on_answer = on_answer, .ctx = ctx};
    rb_process_random_hex(p->prefix, 8);
}

void rb_places_fini(struct rb_places *p) {
    free(p->stock);
    free(p->back);
}

int64_t rb_places_wait_ms(const struct rb_places *p) {
    int64_t now_ms = p->worker->now_ms;
    return p->not_before_ms > now_ms ? p->not_before_ms - now_ms : 0;
}

/* Short of memory a number is lost, and its place comes back when it ends. */
static void add(uint64_t **list, size_t *count, size_t *room, uint64_t number) {
    if (*count == *room) {
        size_t wider = *room ? *room * 2 : RB_PLACES_AT_ONCE;
        uint64_t *grown = realloc(*list, wider * sizeof *grown);
        if (!grown)
            return;
        *list = grown;
        *room = wider;
    }
    (*list)[(*count)++] = number;
}

static void give_back(struct rb_places *p, uint64_t number) {
    add(&p->back, &p->backing, &p->back_room, number);
}

/* Those asked for whose fate is unknown go back too. */
static void on_reply(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct rb_places *p = ctx;
    struct rb_worker *w = p->worker;
    p->asking = false;
    if (status == RB_CANCELLED)
        return;
    if (status == RB_OK && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2) {
        int64_t given = reply->element[0]->integer;
        for (int64_t i = 0; i < given && i < (int64_t)p->wanted; i++)
            add(&p->stock, &p->stocked, &p->stock_room, p->wanted_from + (uint64_t)i);
        p->backing -= p->returning;
        if (p->returning > 0)
            memmove(p->back, p->back + p->returning, p->backing * sizeof *p->back);
        if (p->wanted > 0 && given < (int64_t)p->wanted)
            p->not_before_ms =
                w->now_ms + POLL_MS + (int64_t)(rb_process_random() % (POLL_MS + 1));
    } else {
        if (status == RB_REFUSED)
            rb_worker_refused(w, "slots", reply->str);
        for (size_t i = 0; i < p->wanted; i++)
            give_back(p, p->wanted_from + i);
        p->not_before_ms = w->now_ms + REFUSED_MS;
    }
    p->on_answer(p->ctx);
}

static void ask(struct rb_places *p, size_t wanted) {
    struct rb_worker *w = p->worker;
    struct rb_key key;
    struct rb_text args[3 + 2 * RB_PLACES_AT_ONCE];
    char names[2 * RB_PLACES_AT_ONCE][NAME_MAX_BYTES], numbers[3][24];
    p->returning = p->backing < RB_PLACES_AT_ONCE ? p->backing : RB_PLACES_AT_ONCE;
    p->wanted = wanted < RB_PLACES_AT_ONCE ? wanted : RB_PLACES_AT_ONCE;
    p->wanted_from = p->last + 1;
    p->last += p->wanted;
    snprintf(numbers[0], sizeof numbers[0], "%" PRId64, p->limit);
    snprintf(numbers[1], sizeof numbers[1], "%" PRId64, p->keep_ms);
    snprintf(numbers[2], sizeof numbers[2], "%zu", p->returning);
    for (size_t i = 0; i < 3; i++)
        args[i] = rb_text_of(numbers[i]);
    size_t count = p->returning + p->wanted;
    for (size_t i = 0; i < count; i++) {
        uint64_t number =
            i < p->returning ? p->back[i] : p->wanted_from + (i - p->returning);
        int len = snprintf(names[i], sizeof names[i], "%s-%" PRIu64, p->prefix, number);
        args[3 + i] = rb_text(names[i], (size_t)len);
    }
    rb_key_slots(&w->keys, rb_text_of(p->service), &key);
    const struct rb_text keys[] = {rb_key_text(&key)};
    p->asking = true;
    rb_link_script(w->link, &rb_script_slots, 1, keys, 3 + count, args, on_reply, p);
}

/* A place of our own that goes back may be had at once, by us too. */
bool rb_places_ready(struct rb_places *p, int64_t limit, int64_t keep_ms,
                     int64_t wanted) {
    p->limit = limit;
    p->keep_ms = keep_ms;
    if (p->stocked > 0)
        return true;
    if (!p->asking && (rb_places_wait_ms(p) == 0 || p->backing > 0))
        ask(p, (size_t)wanted);
    return false;
}

uint64_t rb_places_use(struct rb_places *p) { return p->stock[--p->stocked]; }

void rb_places_release(struct rb_places *p, uint64_t place) { give_back(p, place); }

void rb_places_forget(struct rb_places *p) {
    while (p->stocked > 0)
        give_back(p, p->stock[--p->stocked]);
}

void rb_places_flush(struct rb_places *p) {
    if (p->backing > 0 && !p->asking && rb_link_up(p->worker->link))
        ask(p, 0);
}
