/* Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): a request that is repeated
 * under its key does again nothing that was done. The key is remembered with a
 * fingerprint of the whole request, so that another request under it is noticed. */
#ifndef RB_NOTIFIER_ADMIN_ONCE_H
#define RB_NOTIFIER_ADMIN_ONCE_H

#include <stdbool.h>

#include "config/status.h"
#include "jobs/link.h"
#include "jobs/name.h"
#include "notifier/exchange.h"
#include "notifier/fingerprint.h"

#define RB_ONCE_KEY_MAX 255

struct rb_once {
    char key[RB_FINGERPRINT + 1];     /* digest of the key and of what it is for */
    char request[RB_FINGERPRINT + 1]; /* digest of the request under that key */
};

/* The key's text, without the quotes that the draft asks for and many leave out. false
 * when it is empty, too long, or not visible ASCII. */
bool rb_once_key(struct rb_text field, struct rb_text *key);

/* Reads the field. true: *given tells whether there is one. false: the exchange was
 * answered with what is wrong. purpose: keys of different ones don't meet. */
RB_MUST_CHECK bool rb_once_read(struct rb_exchange *exchange, const char *purpose,
                                struct rb_once *once, bool *given);

/* Answers 422: the key was used for another request. */
void rb_once_differs(struct rb_exchange *exchange);

/* A job that was asked for under a key. */
struct rb_once_job {
    char id[RB_JOB_ID_MAX + 1];
    char channel[RB_CHANNEL_MAX + 1];
};

/* Asks what is remembered, a string or nothing; and queues the job unless something is,
 * which gives what is remembered then. fn as rb_link_call calls it. */
void rb_once_recall(struct rb_server *server, const struct rb_once *once,
                    rb_link_reply_fn *fn, void *ctx);
void rb_once_enqueue(struct rb_server *server, const struct rb_once *once,
                     const struct rb_once_job *job, struct rb_text queue,
                     struct rb_text json, rb_link_reply_fn *fn, void *ctx);

/* Reads what is remembered. RB_REFUSED: it is of another request. RB_INVALID. */
RB_MUST_CHECK enum rb_status rb_once_job_parse(const struct rb_once *once,
                                               struct rb_text remembered,
                                               struct rb_once_job *job);

#define RB_ONCE_REPLAYED "Idempotency-Replayed: true\r\n"

#endif
