/* Memory for what comes and goes with each call: libcurl asks for fifty small blocks a
 * call, and malloc keeps no more than seven of a size at hand. Here what is given back is
 * kept by size and used again, last come first served, so that it is still in the cache.
 *
 * The blocks are malloc's own, so that either may free what the other got. */
#ifndef RB_WORKER_BLOCKS_H
#define RB_WORKER_BLOCKS_H

#include <stddef.h>

#include "config/status.h"

#define RB_BLOCKS_KEPT_MAX_BYTES (8 * 1024 * 1024) /* more goes back to malloc */

/* Starts libcurl, and lets it and jansson have this memory: before any other call of
 * them. RB_NOMEM when libcurl does not start. Under a sanitizer they stay with malloc,
 * where mistakes are seen. */
RB_MUST_CHECK enum rb_status rb_blocks_start(void);
/* What this thread gives back is kept from now on; other threads go to malloc itself. */
void rb_blocks_keep(void);

/* Gives malloc all that is kept. */
void rb_blocks_trim(void);
size_t rb_blocks_kept_bytes(void);

/* As those of the C library. */
void *rb_blocks_malloc(size_t bytes);
void *rb_blocks_calloc(size_t count, size_t bytes);
void *rb_blocks_realloc(void *at, size_t bytes);
char *rb_blocks_strdup(const char *text);
void rb_blocks_free(void *at);

#endif
