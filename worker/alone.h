/* Jobs that nobody waits for any more (cancel_when_alone). A notifier is subscribed to a
 * channel exactly while somebody waits there, and for some seconds longer; so Redis is
 * asked how many subscribers the channels have, all in a few commands, again and again. A
 * job whose channel had none at each look for its whole grace is cancelled. What could
 * not be asked counts for nothing: then the time begins anew. */
#ifndef RB_WORKER_ALONE_H
#define RB_WORKER_ALONE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct rb_alones;
struct rb_flight;
struct rb_worker;

/* A flight's own part. */
struct rb_alone {
    TAILQ_ENTRY(rb_flight) link;
    struct rb_flight **seat; /* in the question that is out about it; or NULL */
    int64_t look_ms;         /* the next look */
    int64_t since_ms;        /* no subscriber was seen since; or RB_ALONE_NOT */
    bool watched;
    bool over; /* it is cancelled for this */
};
#define RB_ALONE_NOT (-1)

/* NULL when out of memory. Freed when all flights are gone. */
struct rb_alones *rb_alones_new(struct rb_worker *w);
void rb_alones_free(struct rb_alones *alones); /* NULL is legal */
/* Redis is away, and with it what the notifiers have subscribed. */
void rb_alones_forget(struct rb_worker *w);

/* The flight is claimed, and its channel known. Watches it where its service wants that.
 */
void rb_alone_join(struct rb_flight *f);
/* It ends, or goes back to Redis. */
void rb_alone_leave(struct rb_flight *f);

/* How long to wait between two looks: never so long that a visit stays unseen. */
int64_t rb_alone_pause_ms(int64_t grace_ms);
/* What a look at asked_ms has shown. True: the whole grace is over. */
bool rb_alone_judge(int64_t *since_ms, int64_t grace_ms, int64_t asked_ms,
                    int64_t subscribers);

#endif
