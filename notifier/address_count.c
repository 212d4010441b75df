/* Open addressing with linear probing; a key whose count is 0 gives its place up, and an
 * unused run at the end of a cluster is cleared, so that searches stay short. Others read
 * while the owner writes: at worst they see a count of a moment ago. */
#include "notifier/address_count.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "config/process.h"
#include "notifier/hash.h"

struct slot {
    _Atomic uint64_t key; /* 0 = never used */
    _Atomic uint32_t count;
};

struct rb_address_count {
    uint64_t seed[2];
    int rows, row;
    uint32_t slots; /* of a row; a power of two */
    struct slot *at;
    size_t map_bytes;
};

struct rb_address_count *rb_address_count_new(int rows, uint32_t capacity) {
    struct rb_address_count *count = calloc(1, sizeof *count);
    if (!count)
        return NULL;
    count->seed[0] = rb_process_random();
    count->seed[1] = rb_process_random();
    count->rows = rows;
    count->slots = 1024;
    while (count->slots < capacity * 2 && count->slots < UINT32_C(1) << 30)
        count->slots *= 2;
    count->map_bytes = (size_t)rows * count->slots * sizeof(struct slot);
    void *at = mmap(NULL, count->map_bytes, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) {
        free(count);
        return NULL;
    }
    count->at = at;
    return count;
}

void rb_address_count_free(struct rb_address_count *count) {
    if (!count)
        return;
    munmap(count->at, count->map_bytes);
    free(count);
}

static struct slot *row_of(const struct rb_address_count *count, int row) {
    return count->at + (size_t)row * count->slots;
}

void rb_address_count_attach(struct rb_address_count *count, int row) {
    count->row = row;
    size_t bytes = count->slots * sizeof(struct slot);
    void *at = row_of(count, row);
    /* Pages that were never written need not be written now. */
    if (madvise(at, bytes, MADV_REMOVE) != 0)
        memset(at, 0, bytes);
}

uint64_t rb_address_key(const uint64_t seed[2], const struct sockaddr *address) {
    struct rb_text bytes = {NULL, 0};
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
        bytes = rb_text((const char *)&v4->sin_addr, 4);
    } else if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 =
            (const struct sockaddr_in6 *)(const void *)address;
        const char *at = (const char *)&v6->sin6_addr;
        bytes =
            IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) ? rb_text(at + 12, 4) : rb_text(at, 8);
    }
    return bytes.len > 0 ? rb_hash(seed, bytes) | 1 : 0;
}

uint64_t rb_address_count_key(const struct rb_address_count *count,
                              const struct sockaddr *address) {
    return rb_address_key(count->seed, address);
}

/* The key's slot, or where it would go; NULL when the row is full. */
static struct slot *find(const struct rb_address_count *count, int row, uint64_t key) {
    struct slot *slots = row_of(count, row), *room = NULL;
    for (uint32_t i = 0; i < count->slots; i++) {
        struct slot *slot = &slots[(key + i) & (count->slots - 1)];
        uint64_t there = atomic_load_explicit(&slot->key, memory_order_relaxed);
        if (there == key)
            return slot;
        bool unused = atomic_load_explicit(&slot->count, memory_order_relaxed) == 0;
        if (unused && !room)
            room = slot;
        if (there == 0)
            return room;
    }
    return room;
}

uint32_t rb_address_count_sum(const struct rb_address_count *count, uint64_t key) {
    uint32_t sum = 0;
    for (int row = 0; row < count->rows; row++) {
        struct slot *slot = find(count, row, key);
        if (slot && atomic_load_explicit(&slot->key, memory_order_relaxed) == key)
            sum += atomic_load_explicit(&slot->count, memory_order_relaxed);
    }
    return sum;
}

void rb_address_count_add(struct rb_address_count *count, uint64_t key) {
    struct slot *slot = key ? find(count, count->row, key) : NULL;
    if (!slot)
        return;
    atomic_store_explicit(&slot->key, key, memory_order_relaxed);
    atomic_fetch_add_explicit(&slot->count, 1, memory_order_relaxed);
}

static bool is_unused(struct slot *slot) {
    return atomic_load_explicit(&slot->count, memory_order_relaxed) == 0;
}

static bool ends_cluster(struct slot *slot) {
    return atomic_load_explicit(&slot->key, memory_order_relaxed) == 0;
}

void rb_address_count_remove(struct rb_address_count *count, uint64_t key) {
    struct slot *slots = row_of(count, count->row);
    struct slot *slot = key ? find(count, count->row, key) : NULL;
    if (!slot || atomic_load_explicit(&slot->key, memory_order_relaxed) != key ||
        is_unused(slot))
        return;
    atomic_fetch_sub_explicit(&slot->count, 1, memory_order_relaxed);
    uint32_t mask = count->slots - 1;
    uint32_t i = (uint32_t)(slot - slots);
    while (is_unused(&slots[i]) && !ends_cluster(&slots[i]) &&
           ends_cluster(&slots[(i + 1) & mask])) {
        atomic_store_explicit(&slots[i].key, 0, memory_order_relaxed);
        i = (i - 1) & mask;
    }
}
