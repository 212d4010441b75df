/* Chunks aligned to their own size, so that an object's chunk is found by masking its
 * address. A bit an object says whether it is in use. */
#include "notifier/slab.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define CHUNK_BYTES ((size_t)64 * 1024)
#define WORD_BITS 64u

struct chunk {
    LIST_ENTRY(chunk) all;
    LIST_ENTRY(chunk) open; /* linked while it has room */
    void *free;             /* a freed object holds the pointer to the next one */
    uint32_t used;
    uint32_t fresh; /* objects from here on were never handed out */
    uint64_t bits[];
};

struct rb_slab {
    LIST_HEAD(, chunk) all;
    LIST_HEAD(, chunk) open;
    struct chunk *spare; /* one empty chunk is kept against flutter */
    size_t size;
    size_t first; /* where the objects begin in a chunk */
    uint32_t capacity;
    size_t count;
};

struct rb_slab *rb_slab_new(size_t size) {
    assert(size <= 1024);
    struct rb_slab *slab = calloc(1, sizeof *slab);
    if (!slab)
        return NULL;
    LIST_INIT(&slab->all);
    LIST_INIT(&slab->open);
    slab->size = size < 16 ? 16 : (size + 7) & ~(size_t)7;
    size_t bits = (CHUNK_BYTES / slab->size + WORD_BITS - 1) / WORD_BITS;
    slab->first = (sizeof(struct chunk) + bits * sizeof(uint64_t) + 15) & ~(size_t)15;
    slab->capacity = (uint32_t)((CHUNK_BYTES - slab->first) / slab->size);
    return slab;
}

void rb_slab_free(struct rb_slab *slab) {
    if (!slab)
        return;
    struct chunk *chunk;
    while ((chunk = LIST_FIRST(&slab->all))) {
        LIST_REMOVE(chunk, all);
        free(chunk);
    }
    free(slab);
}

static char *object_at(const struct rb_slab *slab, struct chunk *chunk, uint32_t i) {
    return (char *)chunk + slab->first + (size_t)i * slab->size;
}

static uint32_t index_of(const struct rb_slab *slab, const struct chunk *chunk,
                         const void *object) {
    size_t offset = (size_t)((const char *)object - (const char *)chunk) - slab->first;
    return (uint32_t)(offset / slab->size);
}

static struct chunk *chunk_with_room(struct rb_slab *slab) {
    struct chunk *chunk = LIST_FIRST(&slab->open);
    if (chunk)
        return chunk;
    chunk = aligned_alloc(CHUNK_BYTES, CHUNK_BYTES);
    if (!chunk)
        return NULL;
    memset(chunk, 0, slab->first);
    LIST_INSERT_HEAD(&slab->all, chunk, all);
    LIST_INSERT_HEAD(&slab->open, chunk, open);
    return chunk;
}

void *rb_slab_take(struct rb_slab *slab) {
    struct chunk *chunk = chunk_with_room(slab);
    if (!chunk)
        return NULL;
    if (chunk == slab->spare)
        slab->spare = NULL;
    char *object = chunk->free;
    if (object)
        memcpy(&chunk->free, object, sizeof chunk->free);
    else
        object = object_at(slab, chunk, chunk->fresh++);
    uint32_t i = index_of(slab, chunk, object);
    chunk->bits[i / WORD_BITS] |= UINT64_C(1) << i % WORD_BITS;
    if (++chunk->used == slab->capacity)
        LIST_REMOVE(chunk, open);
    slab->count++;
    memset(object, 0, slab->size);
    return object;
}

void rb_slab_give(struct rb_slab *slab, void *object) {
    struct chunk *chunk =
        (struct chunk *)((uintptr_t)object & ~(uintptr_t)(CHUNK_BYTES - 1));
    uint32_t i = index_of(slab, chunk, object);
    uint64_t bit = UINT64_C(1) << i % WORD_BITS;
    assert(chunk->bits[i / WORD_BITS] & bit);
    chunk->bits[i / WORD_BITS] &= ~bit;
    memcpy(object, &chunk->free, sizeof chunk->free);
    chunk->free = object;
    if (chunk->used-- == slab->capacity)
        LIST_INSERT_HEAD(&slab->open, chunk, open);
    slab->count--;
    if (chunk->used > 0)
        return;
    if (!slab->spare) {
        slab->spare = chunk;
        return;
    }
    LIST_REMOVE(chunk, open);
    LIST_REMOVE(chunk, all);
    free(chunk);
}

size_t rb_slab_count(const struct rb_slab *slab) { return slab->count; }

void rb_slab_each(struct rb_slab *slab, void (*each)(void *ctx, void *object),
                  void *ctx) {
    struct chunk *chunk;
    LIST_FOREACH (chunk, &slab->all, all)
        for (uint32_t i = 0; i < slab->capacity; i++)
            if (chunk->bits[i / WORD_BITS] >> i % WORD_BITS & 1)
                each(ctx, object_at(slab, chunk, i));
}
