/* A job that asks several services: its calls, side by side, each with its own time and
 * its own tries, and what is told of them. */
#ifndef RB_WORKER_FANOUT_H
#define RB_WORKER_FANOUT_H

struct rb_fanout;
struct rb_flight;

/* The gate has let the flight through; its definition has calls. */
void rb_fanout_start(struct rb_flight *f);

/* Breaks off what still runs. NULL is legal. */
void rb_fanout_free(struct rb_fanout *fanout);

#endif
