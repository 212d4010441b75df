/* Places of a service whose concurrency counts over all workers (`scope: global`). They
 * are kept in Redis (slots.lua), each with an end, so that those of a worker that died
 * come back by themselves. They are asked for and given back in batches. */
#ifndef RB_WORKER_PLACES_H
#define RB_WORKER_PLACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rb_worker;

#define RB_PLACES_AT_ONCE 64

/* In the owner's storage; its members are places.c's. */
struct rb_places {
    struct rb_worker *worker;
    const char *service;
    void (*on_answer)(void *ctx);
    void *ctx;
    char prefix[17];         /* of names: this process's own */
    uint64_t last;           /* number given to a place */
    uint64_t *stock, *back;  /* given and not used; used and to be given back */
    size_t stocked, backing; /* how many */
    size_t stock_room, back_room;
    uint64_t wanted_from; /* those asked for: so many numbers from this one */
    size_t wanted, returning;
    int64_t limit, keep_ms; /* as they were asked for last */
    int64_t not_before_ms;
    bool asking;
};

/* on_answer as in permits.h. Must outlive the worker's link. */
void rb_places_init(struct rb_places *places, struct rb_worker *w, const char *service,
                    void (*on_answer)(void *ctx), void *ctx);
void rb_places_fini(struct rb_places *places);

/* Is there a place? If not, `wanted` of `limit` are asked for, when it is time, each for
 * keep_ms at most. */
bool rb_places_ready(struct rb_places *places, int64_t limit, int64_t keep_ms,
                     int64_t wanted);
int64_t rb_places_wait_ms(const struct rb_places *places);
/* Takes the one that is there; gives its number, never 0. */
uint64_t rb_places_use(struct rb_places *places);
/* Gives it back. */
void rb_places_release(struct rb_places *places, uint64_t place);
/* Nobody wants those that are left: they go back. */
void rb_places_forget(struct rb_places *places);
/* Sends what is to go back, unless an answer is awaited that will. */
void rb_places_flush(struct rb_places *places);

#endif
