/* Redirects (RFC 9110 §15.4): may an answer that leads elsewhere be followed, and what is
 * asked there. curl follows none by itself, so that each step is dialled like a first
 * call, through our own lookup and the network rules. */
#ifndef RB_WORKER_REDIRECT_H
#define RB_WORKER_REDIRECT_H

#include <curl/curl.h>
#include <stdbool.h>

#include "config/status.h"
#include "worker/call.h"
#include "worker/easy.h"

/* How far a call has been led; all zero before its first step. */
struct rb_hop {
    int made;    /* steps */
    bool as_get; /* what was a POST, say, has become a GET, and stays one */
    bool own;    /* scheme, host and port are those of the request */
    char *url;   /* of the next step: normalized, no fragment; curl's memory */
};

#define RB_HOP_WHY_BYTES CURL_ERROR_SIZE

/* May a request for order->request that was last sent to `from` go on to `to`, which the
 * answer with this status names? RB_OK: *hop is the next step, its url to be freed.
 * RB_REFUSED with a sentence for operators in `why`; RB_NOMEM. */
RB_MUST_CHECK enum rb_status rb_redirect_judge(const struct rb_call_order *order,
                                               const char *from, int status,
                                               const char *to, struct rb_hop *hop,
                                               char why[RB_HOP_WHY_BYTES]);
/* Frees its url. */
void rb_hop_fini(struct rb_hop *hop);

/* The same of a transfer that has ended well. RB_NOT_FOUND: the answer leads nowhere. */
RB_MUST_CHECK enum rb_status rb_redirect_look(CURL *easy,
                                              const struct rb_call_order *order,
                                              struct rb_hop *hop,
                                              char why[RB_HOP_WHY_BYTES]);

/* Sets what is asked there: to another host goes no body, no client certificate, and of
 * the definition's headers only what rb_redirects_carry names. False when out of memory.
 */
bool rb_redirect_set(CURL *easy, struct rb_header_list *headers,
                     const struct rb_call_order *order, const struct rb_hop *hop,
                     bool trust_folder);

#endif
