/* Recording receipts in Redis: a field of the channel's meta hash, which says when the
 * terminal event of a job was first written to a client (jobs/scripts/receipt.lua). */
#ifndef RB_NOTIFIER_RECEIPT_RECORD_H
#define RB_NOTIFIER_RECEIPT_RECORD_H

#include "notifier/feed.h"
#include "notifier/receipt.h"

/* Recorded over the feed's link for commands, without waiting: what Redis does not take
 * is counted as lost. NULL when out of memory. Borrows the feed, and is freed after it.
 */
struct rb_receipts *rb_receipts_to_redis(struct rb_feed *feed);

#endif
