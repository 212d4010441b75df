/* One call of a flight: its request is rendered and sent; what comes of it goes to the
 * gate, to a retry, or to the end. */
#ifndef RB_WORKER_ATTEMPT_H
#define RB_WORKER_ATTEMPT_H

struct rb_flight;

/* The gate has let it through. */
void rb_attempt_start(struct rb_flight *f);

#endif
