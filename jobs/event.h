/* An event: what a browser gets, the same object on every transport. Written here only,
 * so that `channel` and `event` always come first and a reader that needs just them
 * (notifier) finds them without parsing the rest. */
#ifndef RB_JOBS_EVENT_H
#define RB_JOBS_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "config/buffer.h"
#include "config/status.h"
#include "jobs/stream_id.h"

/* Where a result is from, when it is not simply the answer to a call of this job: members
 * before `data`, each of which is there only when it says something. */
struct rb_event_origin {
    bool shared;            /* another job asked the same, and the call was made once */
    bool cached;            /* it is from the cache … */
    bool stale;             /* … and older than its ttl, since the call failed */
    int64_t age_ms;         /* since it was answered; with cached */
    struct rb_text missing; /* of several calls, those that gave no answer: a JSON array
                               of their names; len 0: none */
};

/* What every event says. job, service and trace are left out when empty. */
struct rb_event_head {
    struct rb_text channel;
    struct rb_text job;
    struct rb_text service;
    struct rb_text trace;
    int64_t at;                           /* unix ms */
    const struct rb_event_origin *origin; /* may be NULL */
};

/* error.code of a `failed` or `retrying` event: the words of the contract. */
enum rb_failure {
    RB_FAIL_INVALID_JOB,
    RB_FAIL_UNKNOWN_SERVICE,
    RB_FAIL_INVALID_PARAMS,
    RB_FAIL_EXPIRED,
    RB_FAIL_TIMEOUT,
    RB_FAIL_CONNECT,
    RB_FAIL_TLS,
    RB_FAIL_HTTP_STATUS,
    RB_FAIL_TOO_LARGE,
    RB_FAIL_BAD_RESPONSE,
    RB_FAIL_CIRCUIT_OPEN,
    RB_FAIL_RATE_LIMITED,
    RB_FAIL_POISONED,
    RB_FAIL_CANCELLED,
    RB_FAIL_INTERNAL,
    RB_FAILURES
};
const char *rb_failure_code(enum rb_failure failure); /* "http_status" */

struct rb_event_error {
    enum rb_failure code;
    const char *message; /* a sentence for people; holds no secret */
    int status;          /* the service's HTTP status, 0 = none */
};

/* Each appends one JSON object on one line. data_json is valid JSON, passed through byte
 * for byte, but that line ends between its tokens become spaces. */
void rb_event_started(struct rb_buffer *out, const struct rb_event_head *head);
void rb_event_retrying(struct rb_buffer *out, const struct rb_event_head *head,
                       int attempt, int64_t delay_ms, const struct rb_event_error *error);
/* The same, of one of several calls. */
void rb_event_part_retrying(struct rb_buffer *out, const struct rb_event_head *head,
                            struct rb_text part, int attempt, int64_t delay_ms,
                            const struct rb_event_error *error);
void rb_event_partial(struct rb_buffer *out, const struct rb_event_head *head,
                      struct rb_text part, int parts, struct rb_text data_json);
void rb_event_done(struct rb_buffer *out, const struct rb_event_head *head,
                   struct rb_text data_json);
/* The result lies elsewhere: link is where the notifier serves it. */
void rb_event_done_linked(struct rb_buffer *out, const struct rb_event_head *head,
                          struct rb_text link, int64_t bytes);
void rb_event_failed(struct rb_buffer *out, const struct rb_event_head *head,
                     const struct rb_event_error *error);
/* The error as it stands in an event: {"code","message"[,"status"]}. */
void rb_event_error_json(struct rb_buffer *out, const struct rb_event_error *error);
/* An app's own event: {"channel","event":<name>,"at","data"}. */
void rb_event_custom(struct rb_buffer *out, const struct rb_event_head *head,
                     struct rb_text name, struct rb_text data_json);
/* What a client missed: {"id":<resume from
 * here>,"channel","event":"gap","at","since","first"}; since = the client's cursor; first
 * = the oldest id still kept, null when none is. */
void rb_event_gap(struct rb_buffer *out, struct rb_text channel, int64_t at,
                  struct rb_stream_id since, struct rb_stream_id resume,
                  const struct rb_stream_id *first);

/* What a reader needs without parsing all: of an event as written here nothing behind its
 * name is looked at, of other JSON all. Texts are borrowed from the JSON. When the bytes
 * are not an event (an object with a channel's and an event's name), `event` is
 * "message", `channel` empty and terminal false. */
struct rb_event_view {
    struct rb_text channel;
    struct rb_text event;
    bool terminal; /* done or failed */
};
void rb_event_peek(struct rb_text json, struct rb_event_view *view);

/* The same object with "id" as its first member. `json` must be an object as written
 * here; what does not begin with '{' is appended as it is. */
void rb_event_with_id(struct rb_buffer *out, struct rb_stream_id id, struct rb_text json);

/* An entry of a channel's stream as clients get it: the object with this id and no other;
 * what is no JSON object becomes the data of a "message" on `channel`. trusted: whoever
 * wrote it writes JSON, so that of an event as written here not all is looked at. The
 * view is of what was told, its texts borrowed from `json`. */
void rb_event_tell(struct rb_buffer *out, struct rb_text channel, struct rb_stream_id id,
                   struct rb_text json, bool trusted, struct rb_event_view *view);

#endif
