/* What a channel has kept of one job: its events, without their data, and whether its
 * end was written to a client. Read from the newest on, in small pages, no more than a
 * bounded number of events. */
#ifndef RB_NOTIFIER_ADMIN_JOB_EVENTS_H
#define RB_NOTIFIER_ADMIN_JOB_EVENTS_H

#include "config/buffer.h"
#include "jobs/name.h"
#include "notifier/exchange.h"

struct rb_job_events {
    enum rb_status status;
    char error[192];
    bool complete;         /* the channel was read to its beginning */
    struct rb_buffer json; /* [{"id","event","at",…,"bytes"}, …], the oldest first */
    size_t count;
    char ended[RB_NAME_MAX + 1]; /* id of its terminal event; "": none is known */
    int64_t delivered_at;        /* unix ms; 0: not known */
};

/* Borrowed for the call. */
typedef void rb_job_events_fn(void *ctx, const struct rb_job_events *events);

/* Calls fn once; from inside when there is no memory, or no channel (""). The exchange
 * must be held. */
void rb_job_events_read(struct rb_exchange *exchange, struct rb_text channel,
                        struct rb_text job, rb_job_events_fn *fn, void *ctx);

#endif
