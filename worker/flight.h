/* One job's life in this worker. Its state is the list it is on; rb_flight_move is the
 * only way from one to another, and knows which ways there are.
 *
 *     BOARDING ──▶ CALLING ──▶ PUBLISHING ──▶ LANDED      done, or failed and told
 *        │  ▲         │            │
 *        │  └─▶ WAITING ◀▶ CALLING │      for the gate of the service, or a retry
 *        │        │   │            │
 *        ├────────┼───┼────────────┴──▶ BURYING ──▶ LANDED      given up
 *        ├────────┼───┼──▶ PARKING ───────────────▶ LANDED      waits for its time
 *        └────────┴───┴──▶ RETURNING ─────────────▶ LANDED      given back
 *
 * A job whose answer may come without a call of its own is ASKING on the way from
 * BOARDING. Whatever Redis did not take is KEPT, and said again when Redis is back. */
#ifndef RB_WORKER_FLIGHT_H
#define RB_WORKER_FLIGHT_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "config/buffer.h"
#include "jobs/definition.h"
#include "jobs/event.h"
#include "jobs/job.h"
#include "jobs/services.h"
#include "jobs/stream_id.h"
#include "worker/alone.h"
#include "worker/limiter.h"

struct rb_backend;
struct rb_call;
struct rb_fanout;
struct rb_hedge;
struct rb_question;
struct rb_worker;

enum rb_flight_state {
    RB_FLIGHT_BOARDING,   /* claimed, being read */
    RB_FLIGHT_ASKING,     /* its answer may be known, or is asked for by another: it holds
                             no slot */
    RB_FLIGHT_WAITING,    /* for its turn, or for the next try: it holds no slot */
    RB_FLIGHT_CALLING,    /* the service works */
    RB_FLIGHT_PUBLISHING, /* its terminal event is on its way to Redis */
    RB_FLIGHT_PARKING,    /* on its way to `due` */
    RB_FLIGHT_BURYING,    /* on its way to `dead` */
    RB_FLIGHT_RETURNING,  /* on its way back to its queue */
    RB_FLIGHT_KEPT,       /* Redis did not take it: `resume` says what to say again */
    RB_FLIGHT_LANDED,     /* over; freed at the end of the turn */
    RB_FLIGHT_STATES
};
const char *rb_flight_state_name(enum rb_flight_state state);
bool rb_flight_may_move(enum rb_flight_state from, enum rb_flight_state to);

struct rb_flight {
    TAILQ_ENTRY(rb_flight) link;
    struct rb_worker *worker;
    enum rb_flight_state state;
    enum rb_flight_state resume; /* when kept */
    bool asked;                  /* a command about it is not answered yet */
    bool cancelled;              /* it ends as soon as that is answered */
    bool bury;                   /* when its event is out */
    bool until_expiry;           /* its call may take until the job expires, not longer */
    uint64_t claim;              /* its number among this worker's claims */
    int64_t claimed_ms;
    int64_t start_by_ms; /* its first call, 0 = whenever */
    int64_t deadline_ms; /* of all its calls together, 0 = none was made */
    int64_t called_ms;   /* the call in hand began */
    int64_t park_until;  /* unix ms */
    int64_t deliveries, attempts;
    int refusals; /* of its event, that will not pass by themselves */

    char *envelope; /* claim: blpop, where Redis has none; else NULL */
    size_t envelope_len;
    char *id; /* of the job: its own, or the envelope's */
    struct rb_job job;
    char *channel;           /* NULL: nobody to tell */
    struct rb_stream_id end; /* its terminal event there; 0-0: not out */
    struct rb_services *services;
    const struct rb_definition *definition;
    struct rb_backend *backend;
    json_t *params;           /* checked */
    struct rb_call *call;     /* its call; or … */
    struct rb_hedge *hedge;   /* … one that may be made twice; or … */
    struct rb_fanout *fanout; /* … several */
    struct rb_question
        *question;               /* that it leads or follows; NULL: its call is its own */
    TAILQ_ENTRY(rb_flight) same; /* followers of that question */
    bool unique;                 /* it has the key of job.unique */
    bool through;                /* it is let through the gate, and has to leave it */
    bool hurried;                /* its call has less time than timeout.per_try */
    uint32_t ticket;             /* of the breaker */
    uint64_t place;              /* among all workers; 0 = none */
    struct rb_in_line line;      /* before the gate */
    struct rb_alone alone;       /* whether anybody waits for it */
    ev_timer timer;              /* of ASKING and WAITING */
    char *headers[2]; /* that each call carries: Idempotency-Key, traceparent */

    enum rb_failure last_failure; /* of the last try; RB_FAILURES: none failed here */
    const char *last_sentence;    /* a constant; NULL: it was a status */
    int last_status;
    enum rb_failure outcome; /* RB_FAILURES: done */
    char *reason;            /* why it failed, a sentence; NULL */
    struct rb_buffer event;  /* terminal, while it is not out */
    char *data;              /* the result, when it is too large for the event; or NULL */
    size_t data_len;
    size_t kept_bytes; /* of these two, when kept */
};

TAILQ_HEAD(rb_flight_list, rb_flight);
struct rb_flights {
    struct rb_flight_list in[RB_FLIGHT_STATES];
    int64_t count;      /* all but the landed */
    int64_t waiting;    /* of these */
    int64_t publishing; /* likewise */
    size_t kept_bytes;  /* of results that Redis did not take */
};

void rb_flights_init(struct rb_flights *flights);
/* Frees what has landed and is not asked about any more: once a turn. */
void rb_flights_reap(struct rb_flights *flights);
/* Frees all, when nothing can call back any more. */
void rb_flights_fini(struct rb_flights *flights);

/* In state BOARDING. NULL when out of memory. */
struct rb_flight *rb_flight_new(struct rb_worker *w, uint64_t claim);

void rb_flight_move(struct rb_flight *f, enum rb_flight_state to);

/* In state WAITING until wake_ms (0: until somebody moves it), but no longer than it may:
 * then rb_retry_woken. */
void rb_flight_wait(struct rb_flight *f, int64_t wake_ms);
/* In state ASKING for as long as all its calls may take: then rb_coalesce_overdue. */
void rb_flight_ask(struct rb_flight *f);
/* How many slots are taken: by all but those who wait, and but those whose call is over
 * and whose event is on its way to Redis, as long as these are fewer than half of the
 * limit (a Redis that is slow is to be felt). */
int64_t rb_flights_slots(const struct rb_flights *flights, int64_t limit);
/* How long a flight that is WAITING will wait yet. */
int64_t rb_flight_wait_left_ms(struct rb_flight *f);
/* May one more wait in this process? */
bool rb_flights_may_wait(const struct rb_worker *w);

/* The time of all its calls begins now, unless it has begun. Jobs may ask for less time
 * than their definition gives, never for more. */
void rb_flight_set_deadline(struct rb_flight *f);
/* The end of that time as an envelope tells it, in unix ms; 0 = it has not begun. */
int64_t rb_flight_until_ms(const struct rb_flight *f);
/* Is that time cut by job.expires? What is known of Redis's clock shifts a little. */
bool rb_flight_expires_by(const struct rb_flight *f, int64_t at_ms);
/* When its next call must have begun; 0 = whenever. */
int64_t rb_flight_last_ms(const struct rb_flight *f);

/* Breaks off its call, in whatever way it is made. */
void rb_flight_hang_up(struct rb_flight *f);

/* Lets go of it without a word to Redis: breaks its call off, and it has landed. For what
 * belongs to others now, or was given away. */
void rb_flight_drop(struct rb_flight *f);

#endif
