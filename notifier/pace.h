/* How fast something may come: so many a second, and twice as many in a burst. What was
 * spent is a time: how long it takes until all of it is earned again. */
#ifndef RB_NOTIFIER_PACE_H
#define RB_NOTIFIER_PACE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* Ticks are so many a millisecond: what is spent fits into four bytes when it is looked
 * at at least every nine hours. */
#define RB_PACE_TICKS 64
#define RB_PACE_BURST_MS 2000
#define RB_PACE_MOST 10000 /* a second */

/* Spends one of `a_second` (1 to RB_PACE_MOST) at now_ms. *spent belongs to one peer and
 * begins as 0. Returns how many ms are spent now: beyond RB_PACE_BURST_MS it was one too
 * many. It grows to `most_ms` and no further. */
uint32_t rb_pace_spend(uint32_t *spent, int64_t a_second, int64_t now_ms,
                       uint32_t most_ms);

/* The same without spending. */
uint32_t rb_pace_spent(uint32_t spent, int64_t now_ms, uint32_t most_ms);
/* Spends too, but one too many spends nothing: false. */
bool rb_pace_take(uint32_t *spent, int64_t a_second, int64_t now_ms);

/* rb_pace_take for a crowd of addresses (of IPv6 the /64): a table of a fixed size, in
 * which those give way who have spent the least. */
struct rb_pace;
struct rb_pace *rb_pace_new(void); /* NULL when out of memory */
void rb_pace_free(struct rb_pace *pace);
/* True for what has no address, a unix socket. */
bool rb_pace_allows(struct rb_pace *pace, const struct sockaddr *peer, int64_t a_second,
                    int64_t now_ms);

#endif
