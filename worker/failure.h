/* What a transfer that gave no answer means: the word for it and a sentence for people.
 * The sentence reaches browsers, so it names neither hosts nor addresses; the log does.
 */
#ifndef RB_WORKER_FAILURE_H
#define RB_WORKER_FAILURE_H

#include <curl/curl.h>
#include <stdbool.h>

#include "jobs/event.h"
#include "jobs/retry_policy.h"

/* What is known of a call when it ends. */
struct rb_call_end {
    CURLcode code;
    bool unresolved;      /* its host has no address */
    bool denied;          /* the address is not allowed by the network rules */
    bool timed_out;       /* its deadline passed */
    bool connect_overdue; /* the time to connect passed … */
    bool handshaking;     /* … while TLS was being negotiated */
    bool connected;       /* a connection was there */
    bool answered;        /* a byte of the answer came */
    bool alerted;         /* TLS ended with an alert in place of an answer */
    bool unidentified;    /* the service asked for a client certificate and got none */
    bool headed;          /* the head of the answer came, to its end */
    bool body_too_large;
    bool head_too_large;
    bool no_memory; /* for its body */
};

/* RB_FAILURES when the call has a whole answer. *sentence is a constant. */
enum rb_failure rb_failure_of_call(const struct rb_call_end *end, const char **sentence);

/* The same end in the words of a retry policy; RB_RETRY_STATUS with a whole answer. */
enum rb_retry_cause rb_failure_cause(const struct rb_call_end *end);

/* Did the peer end TLS with an alert? `detail` is what curl wrote of it. */
bool rb_failure_is_alert(CURLcode code, const char *detail);

#endif
