/* A job on its way into a queue, whoever asked for it: written, read as the worker will
 * read it, and pushed. */
#ifndef RB_NOTIFIER_ENQUEUE_H
#define RB_NOTIFIER_ENQUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "config/buffer.h"
#include "config/status.h"
#include "config/text.h"
#include "jobs/link.h"

struct rb_server;

/* Made for a job that was asked for without an id: hex digits and a NUL. */
#define RB_ENQUEUE_ID_BYTES 16
#define RB_ENQUEUE_ID_LEN (2 * RB_ENQUEUE_ID_BYTES)
#define RB_ENQUEUE_QUEUE "default" /* where a job goes that names no queue */

/* What is asked. channel and id are names already. */
struct rb_enqueue {
    struct rb_text service; /* anything: a wrong one is found */
    struct rb_text
        params; /* JSON as it came, so that numbers keep their digits; "" = {} */
    struct rb_text channel;
    struct rb_text id;
    struct rb_text trace; /* "" = none; one that is broken is left out */
    int64_t expires;      /* unix ms; 0 = never */
};

/* The job as JSON, in place of what is in `json`, which should hold RB_JOB_MAX_BYTES.
 * RB_OK, RB_INVALID, RB_TOO_LARGE or RB_NOMEM with a sentence in *error. */
RB_MUST_CHECK enum rb_status rb_enqueue_write(const struct rb_enqueue *asked,
                                              struct rb_buffer *json,
                                              struct rb_error *error);
/* RPUSH, over the server's command link; fn as rb_link_call calls it. */
void rb_enqueue_push(const struct rb_server *server, struct rb_text queue,
                     struct rb_text json, rb_link_reply_fn *fn, void *ctx);

/* Is this event one of that job's? Others may use its channel too. */
bool rb_enqueue_is_event_of(struct rb_text event, struct rb_text id);

#endif
