/* When a failed call is made again, and how long that waits: the `retry:` of a
 * definition. Pure: the time and the randomness come in as parameters.
 *
 * The wait is "full jitter" (AWS Architecture Blog, "Exponential Backoff and Jitter",
 * 2015): anything from 0 to base doubled with every attempt, at most max. What the
 * service asks for in Retry-After (RFC 9110 §10.2.3) is kept, with up to base on top, so
 * that all who were told the same moment do not come in the same moment; when it asks for
 * more than max_retry_after, there is no further attempt. */
#ifndef RB_JOBS_RETRY_POLICY_H
#define RB_JOBS_RETRY_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "config/yaml.h"

/* How a call ended, as far as a retry cares. */
enum rb_retry_cause {
    RB_RETRY_CONNECT, /* no address, refused, or not connected in time: nothing was sent
                       */
    RB_RETRY_TIMEOUT, /* no whole answer in time */
    RB_RETRY_RESET,   /* the connection broke before the whole answer was here */
    RB_RETRY_TLS,     /* handshake or certificate */
    RB_RETRY_CIRCUIT_OPEN, /* not called, the circuit breaker is open */
    RB_RETRY_STATUS,       /* an answer with an HTTP status that is no success */
    RB_RETRY_NEVER,        /* an outcome that another attempt cannot mend */
    RB_RETRY_CAUSES
};

#define RB_RETRY_STATUS_MIN 200
#define RB_RETRY_STATUS_MAX 599

/* A plain value. Durations in ms. */
struct rb_retry_policy {
    int64_t max_attempts; /* calls in all, the first one too: 1 = no retry */
    bool causes[RB_RETRY_CAUSES];
    bool statuses[RB_RETRY_STATUS_MAX - RB_RETRY_STATUS_MIN + 1];
    int64_t base_ms, max_ms;
    int64_t max_retry_after_ms;
    struct {
        int64_t percent;    /* of the calls, that may be retried on top of … */
        int64_t per_second; /* … so many retries a second */
    } budget;
};

#define RB_RETRY_NO_WISH (-1) /* no Retry-After in the answer */

struct rb_retry_outcome {
    enum rb_retry_cause cause;
    int status;             /* RB_RETRY_STATUS only */
    int64_t retry_after_ms; /* or RB_RETRY_NO_WISH */
};

enum rb_retry_verdict {
    RB_RETRY_AGAIN,
    RB_RETRY_NOT_NAMED, /* `on` does not name this outcome */
    RB_RETRY_SPENT,     /* max_attempts calls were made */
    RB_RETRY_TOO_LONG,  /* the service asks for more than max_retry_after */
    RB_RETRY_TOO_LATE,  /* the wait would end past the deadline */
};

/* One attempt, no retry: the policy of a definition without `retry`. */
void rb_retry_policy_init(struct rb_retry_policy *policy);

/* Reads `retry:`. An empty mapping means all defaults: 3 attempts; on connect, timeout,
 * reset, 429, 502, 503 and 504; backoff 200ms … 5s; max_retry_after 10s; budget 20 % and
 * 10 a second. Mistakes are added to `errors`. */
void rb_retry_policy_read(const struct rb_yaml *node, struct rb_retry_policy *policy,
                          struct rb_errors *errors);

/* After `attempts` calls (from 1) the last one ended so: is there another? With
 * RB_RETRY_AGAIN *delay_ms says when; the attempt starts before deadline_ms, which is on
 * the clock of now_ms. `random` is uniform over all its values. */
enum rb_retry_verdict rb_retry_decide(const struct rb_retry_policy *policy, int attempts,
                                      const struct rb_retry_outcome *outcome,
                                      int64_t now_ms, int64_t deadline_ms,
                                      uint32_t random, int64_t *delay_ms);

/* Reads a Retry-After field: seconds or an HTTP-date. now_s (unix) should be the answer's
 * own Date where it has one, since the service counts by its clock. A date that has
 * passed is 0; what is neither is RB_RETRY_NO_WISH. */
int64_t rb_retry_after_ms(struct rb_text field, int64_t now_s);

#endif
