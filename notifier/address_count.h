/* How many connections each address has, over all processes: shared memory, one row a
 * process, written by that process alone. IPv6 counts by /64, the smallest network that
 * one customer gets. */
#ifndef RB_NOTIFIER_ADDRESS_COUNT_H
#define RB_NOTIFIER_ADDRESS_COUNT_H

#include <stdint.h>
#include <sys/socket.h>

struct rb_address_count;

/* Before the fork. capacity: connections of one process at most. NULL when out of memory.
 */
struct rb_address_count *rb_address_count_new(int rows, uint32_t capacity);
void rb_address_count_free(struct rb_address_count *count);
/* Says which row this process writes, and empties it: a dead child's connections are
 * gone.
 */
void rb_address_count_attach(struct rb_address_count *count, int row);

/* The key of an address, never 0; 0 for what has none (a unix socket), which is not
 * counted. */
uint64_t rb_address_count_key(const struct rb_address_count *count,
                              const struct sockaddr *address);
uint64_t rb_address_key(const uint64_t seed[2], const struct sockaddr *address);
/* Connections from there now, in all processes. */
uint32_t rb_address_count_sum(const struct rb_address_count *count, uint64_t key);
/* One more, or one less. More than there is room for is not counted. */
void rb_address_count_add(struct rb_address_count *count, uint64_t key);
void rb_address_count_remove(struct rb_address_count *count, uint64_t key);

#endif
