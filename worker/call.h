/* One HTTP call to an external service: a request goes in, one answer or one failure
 * comes out. Thousands run at once on one loop (transfers.c), each bounded in time, in
 * size and in where it may connect. */
#ifndef RB_WORKER_CALL_H
#define RB_WORKER_CALL_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/network.h"
#include "config/status.h"
#include "jobs/definition.h"
#include "jobs/event.h"
#include "jobs/retry_policy.h"

#define RB_CALL_HEAD_MAX_BYTES (64 * 1024) /* all headers of an answer */
#define RB_CALL_EXTRA_HEADERS 2

struct rb_call;
struct rb_caller;
struct rb_stats;

struct rb_caller_options {
    int64_t max_in_flight; /* calls; connections and lanes are sized by it */
    int64_t descriptors;   /* that connections may use up */
    struct rb_stats *stats;
};

/* NULL when out of memory. */
struct rb_caller *rb_caller_new(struct ev_loop *loop,
                                const struct rb_caller_options *options);
/* Every call must have ended or been cancelled. */
void rb_caller_free(struct rb_caller *caller);

/* Rules for all services, behind those of a definition; borrowed until the next call of
 * this. Either may be NULL. */
void rb_caller_set_network(struct rb_caller *caller, const struct rb_network *allow,
                           const struct rb_network *deny);

/* To be called last in every turn of the loop: starts, ends and reports calls. */
void rb_caller_turn(struct rb_caller *caller, int64_t now_ms);

/* What to call. The request is taken; what else is pointed to is borrowed until the call
 * ends. Extra headers are added where the request has none of that name. The first of the
 * network rules that knows the address decides: the order's allow, its deny, the caller's
 * allow, its deny. */
struct rb_call_order {
    struct rb_request *request;
    const char *extra[RB_CALL_EXTRA_HEADERS]; /* "Name: value", or NULL */
    int64_t connect_ms;                       /* how long connecting may take */
    int64_t deadline_ms;                      /* on rb_clock_ms: when all must be over */
    int64_t max_bytes;                        /* of the decoded body */
    const struct rb_network *allow, *deny;    /* of the definition; may be NULL */
    const struct rb_call_tls *tls;            /* NULL: as the system does it */
    const struct rb_redirects *redirects;     /* NULL: none is followed */
};

/* Borrowed for the callback. failure RB_FAILURES: the answer is whole, whatever its
 * status; else sentence says it to people and detail to operators. */
struct rb_answer {
    enum rb_failure failure;
    const char *sentence;
    const char *detail;
    int status;                /* 0: none came */
    enum rb_retry_cause cause; /* what it is to a retry policy, success or not */
    int64_t retry_after_ms;    /* that the service asks for, or RB_RETRY_NO_WISH */
    struct rb_text content_type;
    struct rb_text body;
    int64_t took_us;
    bool opened; /* a connection of its own was opened */
};

/* Called once, from rb_caller_turn or a timer, unless the call is cancelled. The call is
 * gone then. */
typedef void rb_call_fn(void *ctx, const struct rb_answer *answer);

/* NULL when out of memory; the request is taken all the same. Never calls back from
 * inside. */
struct rb_call *rb_call_start(struct rb_caller *caller, const struct rb_call_order *order,
                              int64_t now_ms, rb_call_fn *fn, void *ctx);

/* Breaks the call off, silently. */
void rb_call_cancel(struct rb_call *call);

#endif
