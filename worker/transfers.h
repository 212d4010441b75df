/* Curl transfers on the loop, spread over several multi handles ("lanes"), because one
 * multi walks all its connections for each request.
 *
 * Costs that libcurl's own example pays for each request are avoided here: descriptors
 * stay registered with the loop between requests, and work that is due at once is done at
 * the end of the turn instead of by a timer. */
#ifndef RB_WORKER_TRANSFERS_H
#define RB_WORKER_TRANSFERS_H

#include <curl/curl.h>
#include <ev.h>

#include "config/status.h"

struct rb_transfers;

/* Called from rb_transfers_turn, outside of libcurl, for each transfer that ended; it is
 * out of its lane by then. `transfer` is the easy handle's CURLOPT_PRIVATE. */
typedef void rb_transfer_ended_fn(void *transfer, CURLcode result);

/* NULL when out of memory. connections: how many a lane keeps open, in use or not. */
struct rb_transfers *rb_transfers_new(struct ev_loop *loop, unsigned lanes,
                                      long connections, rb_transfer_ended_fn *ended);
/* Every transfer must have ended or been removed; closes what is open. */
void rb_transfers_free(struct rb_transfers *transfers);

/* Sets on a new easy handle what all have in common: shared DNS cache and TLS sessions,
 * and how its sockets are closed. */
void rb_transfers_adopt(struct rb_transfers *transfers, CURL *easy);

/* For CURLOPT_OPENSOCKETFUNCTION: a socket that stays registered until it is closed. */
curl_socket_t rb_transfers_open(struct rb_transfers *transfers,
                                const struct curl_sockaddr *address);

/* Starts a transfer in a lane at the end of this turn. RB_NOMEM else. */
RB_MUST_CHECK enum rb_status rb_transfers_add(struct rb_transfers *transfers, CURL *easy,
                                              unsigned lane);
/* Breaks a transfer off; `ended` is not called for it. Not from inside libcurl. */
void rb_transfers_remove(struct rb_transfers *transfers, CURL *easy, unsigned lane);

/* To be called last in every turn of the loop: does what is due, reports what ended. */
void rb_transfers_turn(struct rb_transfers *transfers);

#endif
