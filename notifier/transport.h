/* The four ways of waiting, behind one function: how an admitted wait begins. From then
 * on the connection's role and its subscriptions' sink do the rest. */
#ifndef RB_NOTIFIER_TRANSPORT_H
#define RB_NOTIFIER_TRANSPORT_H

#include "notifier/connection.h"
#include "notifier/exchange.h"
#include "notifier/wait.h"

struct rb_transport {
    const char *name;         /* "websocket" */
    const char *content_type; /* of its 200, for HEAD; NULL for WebSocket */
    /* Answers the exchange, or takes its connection over and subscribes. */
    void (*begin)(struct rb_exchange *exchange, const struct rb_wait *wait);
};

extern const struct rb_transport rb_transport_websocket;
extern const struct rb_transport rb_transport_sse;
extern const struct rb_transport rb_transport_poll;
extern const struct rb_transport rb_transport_stream;

const struct rb_transport *rb_transport_of(enum rb_transport_kind kind);

/* /echo: a WebSocket that returns each message. */
void rb_echo_begin(struct rb_exchange *exchange);

/* --- for the transports --- */

/* The connection under an exchange for which something will come later. NULL when the
 * client is gone, also one that has closed its side: it was there for an answer at once.
 */
struct rb_connection *rb_exchange_waiter(struct rb_exchange *exchange);
/* The same for good: nothing is answered through the exchange
 * any more. NULL when the client is gone. */
struct rb_connection *rb_exchange_take(struct rb_exchange *exchange);

/* Sends 101 and takes the connection over; or answers what is wrong and gives NULL. */
struct rb_connection *rb_websocket_accept(struct rb_exchange *exchange,
                                          const struct rb_role *role);

/* Subscribes to all channels of the wait; dooms the connection when there is no memory.
 * False when the connection is over already. */
bool rb_transport_subscribe(struct rb_connection *c, const struct rb_wait *wait,
                            const struct rb_sink *sink);
/* rb_sink.failed and .full of connections. */
void rb_transport_failed(struct rb_subscription *subscription);
bool rb_transport_full(const struct rb_subscription *subscription);

/* Marks of a subscription. */
#define RB_MARK_VERIFIED 1u
#define RB_MARK_DONE 2u /* its terminal event is out */
bool rb_transport_all_marked(const struct rb_connection *c, unsigned mark);
/* For until=done: the channel has ended for this client. Nothing more is heard of it, its
 * cursor stays where it is, and role->turn is due. */
void rb_transport_done(struct rb_subscription *subscription);
/* The joined cursor of all its channels. */
void rb_transport_cursor(const struct rb_connection *c, struct rb_buffer *out);
/* Cache-Control and CORS. */
void rb_transport_fields(const struct rb_exchange *exchange, struct rb_buffer *fields);

/* The event in that encoding, made once for all that share it: borrowed from the
 * delivery. NULL when out of memory. */
struct rb_bytes *rb_transport_encoded(struct rb_connection *c,
                                      struct rb_delivery *delivery,
                                      enum rb_encoding encoding);
/* Queues the event in that encoding, which is made once for all that share it.
 * RB_TOO_LARGE: the client reads too slowly, and is to be closed. When out of memory it
 * is doomed already (RB_NOMEM). */
RB_MUST_CHECK enum rb_status rb_transport_push(struct rb_connection *c,
                                               struct rb_delivery *delivery,
                                               enum rb_encoding encoding);

#endif
