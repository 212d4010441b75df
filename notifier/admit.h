/* Who may hear what: origins, and whether a client may wait on these channels. The answer
 * comes by a callback, since one way of deciding asks the web app. */
#ifndef RB_NOTIFIER_ADMIT_H
#define RB_NOTIFIER_ADMIT_H

#include <stdbool.h>

#include "config/buffer.h"
#include "config/settings.h"
#include "notifier/exchange.h"
#include "notifier/wait.h"

/* status 0: admitted; else the HTTP status to answer, with a sentence. `wait` is borrowed
 * for the call. The exchange may be gone by then; the caller of rb_admit holds it. */
typedef void rb_admitted_fn(struct rb_exchange *exchange, const struct rb_wait *wait,
                            int status, const char *problem);

/* fn is called exactly once, perhaps before this returns. */
void rb_admit(struct rb_exchange *exchange, const struct rb_wait *wait,
              rb_admitted_fn *fn);

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
