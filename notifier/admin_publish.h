/* Publishing what one request of the admin listener asks for: one message on one or
 * several channels, or a batch of lines. Messages go to Redis in order, a window of them
 * at a time; the answer says of each what became of it, and one that is wrong does not
 * stop the others. */
#ifndef RB_NOTIFIER_ADMIN_PUBLISH_H
#define RB_NOTIFIER_ADMIN_PUBLISH_H

#include "config/buffer.h"
#include "jobs/name.h"
#include "notifier/admin_once.h"
#include "notifier/metrics.h"

#define RB_PUBLISH_CHANNELS 100
#define RB_PUBLISH_LINES 10000

struct rb_publish_slot;

/* Filled by who read the request, then started. */
struct rb_publish_run {
    struct rb_exchange *exchange; /* held */
    size_t count;                 /* messages in all */
    bool single;                  /* answered in short */
    bool is_once;
    struct rb_once once;

    /* One message for all channels; or lines, when there are no channels. */
    struct rb_buffer channels; /* joined by commas */
    struct rb_buffer data;     /* JSON */
    char event[RB_NAME_MAX + 1];
    struct rb_text lines; /* of the request's body */

    /* The run's own. */
    struct rb_text rest;           /* channels or lines that are not sent yet */
    size_t line;                   /* where `rest` begins, less one */
    struct rb_publish_slot *slots; /* a ring: from `told` to `sent` are open */
    size_t window, sent, told;
    size_t published, replayed, unheard;
    bool sending;             /* not again from within */
    struct rb_buffer results; /* JSON of those that were told */
    char why[256];            /* Redis's words for what it refused last */
    enum rb_status status;    /* likewise */
};

/* Counts and tells of what is beyond a bound. */
void rb_publish_refused(struct rb_server *server, enum rb_count count, const char *why);

/* NULL when out of memory. */
struct rb_publish_run *rb_publish_run_new(struct rb_exchange *exchange);
void rb_publish_run_free(struct rb_publish_run *run);
/* Takes it: publishes, answers, frees. */
void rb_publish_run_start(struct rb_publish_run *run);

#endif
