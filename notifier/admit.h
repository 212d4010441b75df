/* Who may hear what: origins, and whether a client may wait on these channels. The answer
 * comes by a callback, since one way of deciding asks the web app. */
#ifndef RB_NOTIFIER_ADMIT_H
#define RB_NOTIFIER_ADMIT_H

#include <stdbool.h>

#include "config/buffer.h"
#include "config/settings.h"
#include "notifier/exchange.h"
#include "notifier/metrics.h"
#include "notifier/wait.h"

struct rb_connection;

/* What was decided. Static texts. */
struct rb_verdict {
    int status;          /* 0: admitted; else the HTTP status to answer */
    const char *problem; /* a sentence for the problem document */
    const char *error;   /* RFC 6750 §3.1: "invalid_token", …; NULL: none was given */
    enum rb_count count; /* which refusals it counts among */
};

/* `wait` is borrowed for the call. The exchange may be gone by then. The connection of
 * one that is admitted has its pass. */
typedef void rb_admitted_fn(struct rb_exchange *exchange, const struct rb_wait *wait,
                            const struct rb_verdict *verdict);

/* fn is called exactly once, perhaps before this returns. */
void rb_admit(struct rb_exchange *exchange, const struct rb_wait *wait,
              rb_admitted_fn *fn);

/* May this live client hear that channel too? fn is called once, perhaps before this
 * returns; not at all when the connection goes before the answer. name and cursor are the
 * client's own, handed on. */
typedef void rb_admitted_more_fn(struct rb_connection *connection, struct rb_text channel,
                                 struct rb_text name, struct rb_cursor cursor,
                                 const struct rb_verdict *verdict);
void rb_admit_more(struct rb_connection *connection, struct rb_text channel,
                   struct rb_text name, struct rb_cursor cursor, rb_admitted_more_fn *fn);

/* A live client shows another token: its pass is renewed, or stays. */
struct rb_verdict rb_admit_renew(struct rb_connection *connection, struct rb_text token);

/* Are the cookies of this request the visitor's own doing? A page of another site makes a
 * browser send them too: then they count only where the list names that site, and "*"
 * names none (as with CORS, where "*" excludes credentials). */
bool rb_admit_cookies(const struct rb_list *origins,
                      const struct rb_http_request *request);
/* The session that @session stands for, "" when there is none. */
struct rb_text rb_admit_session(const struct rb_exchange *exchange);

/* Is the origin on the list? "*" lets everybody in; a request without Origin is no
 * browser's cross-site request and is let in. */
bool rb_admit_origin(const struct rb_list *origins, struct rb_text origin);

/* Adds the CORS fields of an answer to this request: Access-Control-Allow-Origin (the
 * origin itself with credentials, or "*" without), Vary, and what is exposed. */
void rb_admit_cors(const struct rb_list *origins, const struct rb_http_request *request,
                   struct rb_buffer *fields);
/* The answer to a preflight: the same and what is allowed. */
void rb_admit_preflight(const struct rb_list *origins,
                        const struct rb_http_request *request, struct rb_buffer *fields);

#endif
