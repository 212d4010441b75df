/* Who we are to a service: whether it asked, and we had nothing to show. */
#ifndef RB_WORKER_IDENTITY_H
#define RB_WORKER_IDENTITY_H

#include <curl/curl.h>
#include <stdbool.h>

/* Did the service ask for a client certificate and get none? To be asked of a transfer
 * whose handshake is over. False where libcurl has another TLS library than we. */
bool rb_identity_missed(CURL *easy);

#endif
