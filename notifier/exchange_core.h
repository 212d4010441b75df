/* What the speaker of HTTP and the transports know of an exchange; nobody else includes
 * this. */
#ifndef RB_NOTIFIER_EXCHANGE_CORE_H
#define RB_NOTIFIER_EXCHANGE_CORE_H

#include <stdint.h>

#include "notifier/connection.h"
#include "notifier/exchange.h"

struct rb_exchange {
    struct rb_server *server;
    struct rb_connection *connection; /* NULL: answered, or the client is gone */
    struct rb_http_parser *parser;    /* NULL: the request was dropped */
    void (*on_gone)(void *ctx, struct rb_exchange *exchange);
    void *ctx;
    void (*on_stop)(void *ctx, struct rb_exchange *exchange);
    void *stop_ctx;
    char *ahead; /* bytes behind the request */
    size_t ahead_len;
    uint32_t refs; /* holders; the connection is not counted */
    uint8_t side;
    bool looked; /* its head was, before the body came */
    bool timed;  /* its rest is waited for, so long and no longer */
    bool whole;  /* it is being handled */
    bool answered;
    bool close;     /* the connection closes behind the answer */
    bool ended;     /* the client sends no more */
    bool head_only; /* HEAD */
};

/* The request will not be looked at any more: a hundred thousand waiters don't keep it.
 */
void rb_exchange_drop_request(struct rb_exchange *exchange);
/* The connection is going: tells the holder. */
void rb_exchange_detach(struct rb_exchange *exchange);
/* Bytes that came while it is not answered. */
void rb_exchange_ahead(struct rb_exchange *exchange, const char *bytes, size_t len);

#endif
