/* Blocks kept by size. */
#include "worker/blocks.h"

#include <curl/curl.h>
#include <jansson.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* What glibc gives for a request, so that nothing is lost by rounding. */
#define SMALLEST 24u
#define STEP 16u
#define SIZES 256u
#define LARGEST (SMALLEST + (SIZES - 1) * STEP)

struct block {
    struct block *next;
};

/* The hooks of the libraries carry no pointer, so that this has to stand here. */
static _Thread_local struct {
    bool used;
    size_t kept_bytes;
    struct block *kept[SIZES];
} blocks;

/* The size that holds so many bytes. */
static size_t size_over(size_t bytes) {
    return bytes <= SMALLEST ? 0 : (bytes - SMALLEST + STEP - 1) / STEP;
}

static size_t bytes_of(size_t size) { return SMALLEST + size * STEP; }

void *rb_blocks_malloc(size_t bytes) {
    if (bytes > LARGEST || !blocks.used)
        return malloc(bytes);
    size_t size = size_over(bytes);
    struct block *block = blocks.kept[size];
    if (!block)
        return malloc(bytes_of(size));
    blocks.kept[size] = block->next;
    blocks.kept_bytes -= bytes_of(size);
    return block;
}

void rb_blocks_free(void *at) {
    if (!at)
        return;
    size_t usable = blocks.used ? malloc_usable_size(at) : 0;
    if (usable < SMALLEST || usable >= LARGEST + STEP ||
        blocks.kept_bytes >= RB_BLOCKS_KEPT_MAX_BYTES) {
        free(at);
        return;
    }
    size_t size = (usable - SMALLEST) / STEP;
    struct block *block = at;
    block->next = blocks.kept[size];
    blocks.kept[size] = block;
    blocks.kept_bytes += bytes_of(size);
}

void *rb_blocks_calloc(size_t count, size_t bytes) {
    if (bytes > 0 && count > LARGEST / bytes)
        return calloc(count, bytes);
    void *at = rb_blocks_malloc(count * bytes);
    if (at)
        memset(at, 0, count * bytes);
    return at;
}

void *rb_blocks_realloc(void *at, size_t bytes) {
    if (!at)
        return rb_blocks_malloc(bytes);
    size_t usable = malloc_usable_size(at);
    if (bytes > LARGEST || !blocks.used)
        return realloc(at, bytes);
    if (bytes <= usable)
        return at;
    void *grown = rb_blocks_malloc(bytes);
    if (!grown)
        return NULL;
    memcpy(grown, at, usable);
    rb_blocks_free(at);
    return grown;
}

char *rb_blocks_strdup(const char *text) {
    size_t bytes = strlen(text) + 1;
    char *copy = rb_blocks_malloc(bytes);
    return copy ? memcpy(copy, text, bytes) : NULL;
}

void rb_blocks_trim(void) {
    for (size_t size = 0; size < SIZES; size++) {
        struct block *block;
        while ((block = blocks.kept[size])) {
            blocks.kept[size] = block->next;
            free(block);
        }
    }
    blocks.kept_bytes = 0;
}

size_t rb_blocks_kept_bytes(void) { return blocks.kept_bytes; }

void rb_blocks_keep(void) { blocks.used = true; }

enum rb_status rb_blocks_start(void) {
    if (SANITIZED)
        return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? RB_OK : RB_NOMEM;
    rb_blocks_keep();
    json_set_alloc_funcs(rb_blocks_malloc, rb_blocks_free);
    CURLcode code =
        curl_global_init_mem(CURL_GLOBAL_DEFAULT, rb_blocks_malloc, rb_blocks_free,
                             rb_blocks_realloc, rb_blocks_strdup, rb_blocks_calloc);
    return code == CURLE_OK ? RB_OK : RB_NOMEM;
}
