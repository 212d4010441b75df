/* Objects of one size that exist a hundred thousand times: no header a piece, memory
 * given back when a chunk is empty. */
#ifndef RB_NOTIFIER_SLAB_H
#define RB_NOTIFIER_SLAB_H

#include <stdbool.h>
#include <stddef.h>

struct rb_slab;

/* size: of one object, at most a kilobyte. NULL when out of memory. */
struct rb_slab *rb_slab_new(size_t size);
/* Frees all chunks, whatever is in them. NULL is legal. */
void rb_slab_free(struct rb_slab *slab);

/* Zeroed; NULL when out of memory. */
void *rb_slab_take(struct rb_slab *slab);
void rb_slab_give(struct rb_slab *slab, void *object);
size_t rb_slab_count(const struct rb_slab *slab);

/* Calls `each` for every object in use. It must not give any; what it takes may or may
 * not be visited. */
void rb_slab_each(struct rb_slab *slab, void (*each)(void *ctx, void *object), void *ctx);

#endif
