/* The four ways of waiting, behind one set of functions: how an admitted wait begins, and
 * from then on the connection's role and its subscriptions' sink. */
#ifndef RB_NOTIFIER_TRANSPORT_H
#define RB_NOTIFIER_TRANSPORT_H

#include "notifier/connection.h"
#include "notifier/exchange.h"
#include "notifier/wait.h"

struct rb_transport {
    const char *name; /* "websocket" */
    /* Answers the exchange, or takes its connection over and subscribes. */
    void (*begin)(struct rb_exchange *exchange, const struct rb_wait *wait);
};

extern const struct rb_transport rb_transport_websocket;
extern const struct rb_transport rb_transport_sse;
extern const struct rb_transport rb_transport_poll;
extern const struct rb_transport rb_transport_stream;

const struct rb_transport *rb_transport_of(enum rb_transport_kind kind);

/* The connection under an exchange, taken over for as long as it lives: nothing is
 * answered through the exchange any more. NULL when the client is gone. */
struct rb_connection *rb_exchange_take(struct rb_exchange *exchange);

/* /echo: a WebSocket that returns each message. */
void rb_echo_begin(struct rb_exchange *exchange);

#endif
