/* The receipts of a channel, as GET /channels/<channel> shows them: for each job that has
 * ended, when its terminal event was first written to a client. Read from the channel's
 * meta hash (jobs/publish.h). */
#ifndef RB_NOTIFIER_RECEIPT_LIST_H
#define RB_NOTIFIER_RECEIPT_LIST_H

#include <hiredis/hiredis.h>

#include "config/buffer.h"
#include "config/status.h"

#define RB_RECEIPTS_SHOWN 100 /* jobs; the newest */

/* The hash as HGETALL gives it becomes a JSON array, the newest first:
 * [{"job","event":<id of its terminal event>,"delivered_at":<unix ms> or null}, …].
 * Fields of other kinds, and values that are none, are passed over. RB_INVALID: the reply
 * is no hash. RB_NOMEM; else the status of `out`. */
RB_MUST_CHECK enum rb_status rb_receipt_list_write(const struct redisReply *hash,
                                                   struct rb_buffer *out);

#endif
