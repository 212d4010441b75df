/* What a service asks for with Retry-After (RFC 9110 §10.2.3). */
#ifndef RB_WORKER_RETRY_AFTER_H
#define RB_WORKER_RETRY_AFTER_H

#include <curl/curl.h>
#include <stdint.h>

/* How long to wait by the answer of this transfer, in ms, or RB_RETRY_NO_WISH. */
int64_t rb_retry_after(CURL *easy);

#endif
