/* Receipts: was the terminal event of a job written to a client? One object goes along
 * with the event's bytes through the queues of all clients that are to get them; the
 * first queue that has handed the last of these bytes to the kernel says so, and that is
 * recorded once. Nothing is kept for clients that wait.
 *
 * No socket and no Redis in here: receipt_record.c does the recording. */
#ifndef RB_NOTIFIER_RECEIPT_H
#define RB_NOTIFIER_RECEIPT_H

#include <stdbool.h>
#include <stdint.h>

#include "config/status.h"
#include "config/text.h"

struct rb_delivery;
struct rb_receipt;  /* of one event; shared */
struct rb_receipts; /* all of the process */

/* What was recorded is remembered, so that those who come late and get the same event
 * again cost no recording: so many events, then the older ones give way. */
#define RB_RECEIPTS_KNOWN 4096
/* Recordings under way; what comes beyond is counted as lost. */
#define RB_RECEIPTS_OUT 4096

/* A recording is to be made: answered by exactly one rb_receipt_recorded, also from
 * inside. Texts are borrowed until then. */
typedef void rb_receipt_record_fn(void *ctx, struct rb_receipt *receipt,
                                  struct rb_text channel, struct rb_text job);

/* NULL when out of memory. Until they are set on they are counted, but not recorded. */
struct rb_receipts *rb_receipts_new(rb_receipt_record_fn *record, void *ctx,
                                    const uint64_t seed[2]);
void rb_receipts_free(struct rb_receipts *receipts); /* all receipts are gone */
void rb_receipts_set(struct rb_receipts *receipts, bool on);

/* The receipt of a terminal event of a job; the delivery's own, made when it is first
 * asked for. NULL: it needs none, or has one that is recorded, or there is no memory. */
struct rb_receipt *rb_receipt_of(struct rb_receipts *receipts,
                                 struct rb_delivery *delivery);
struct rb_receipt *rb_receipt_ref(struct rb_receipt *receipt); /* NULL is legal */
/* The last one lets go of it; not written then means that all who were to get the event
 * went before. NULL is legal. */
void rb_receipt_unref(struct rb_receipt *receipt);
/* One that stands for both, where either may be NULL. Takes `one`, refs `more`. Without
 * memory the latter is left out. */
struct rb_receipt *rb_receipt_join(struct rb_receipt *one, struct rb_receipt *more);

/* The last byte is with the kernel, for one of the clients. NULL is legal. */
void rb_receipt_written(struct rb_receipt *receipt);

/* good: Redis has it. Else it is lost, and the next client that gets the event makes for
 * another recording. */
void rb_receipt_recorded(struct rb_receipt *receipt, bool good);
/* No recording is under way. */
bool rb_receipts_idle(const struct rb_receipts *receipts);

/* What happened so far, for the metrics. */
struct rb_receipts_stats {
    uint64_t written;   /* terminal events; each once, as far as is remembered */
    uint64_t unwritten; /* there were clients for it, who all went before */
    uint64_t lost;      /* written, but not recorded */
};
const struct rb_receipts_stats *rb_receipts_stats(const struct rb_receipts *receipts);

#endif
