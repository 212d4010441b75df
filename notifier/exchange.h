/* One HTTP request and its answer, for handlers of both listeners. A handler answers
 * before it returns, or holds the exchange and answers later; the client may have gone by
 * then, which makes the answer a no-op.
 *
 *     static void on_reply(void *ctx, …) {
 *         struct rb_exchange *x = ctx;
 *         rb_exchange_answer(x, 200, "application/json", body, (struct rb_text){0});
 *         rb_exchange_release(x);
 *     }
 *     void handler(struct rb_exchange *x) {
 *         rb_link_call(link, 0, on_reply, rb_exchange_hold(x), …);
 *     }
 *
 * The request, its head and its body, stays readable as long as the exchange is held. */
#ifndef RB_NOTIFIER_EXCHANGE_H
#define RB_NOTIFIER_EXCHANGE_H

#include <stdbool.h>
#include <sys/socket.h>

#include "config/buffer.h"
#include "config/text.h"
#include "notifier/http_request.h"

struct rb_server;
struct rb_exchange;

typedef void rb_handler_fn(struct rb_exchange *exchange);

const struct rb_http_request *rb_exchange_request(const struct rb_exchange *exchange);
struct rb_server *rb_exchange_server(const struct rb_exchange *exchange);
/* The client's address, for logs and address lists: false when the client is gone. For a
 * unix socket the family is AF_UNIX. */
bool rb_exchange_address(const struct rb_exchange *exchange,
                         struct sockaddr_storage *address);
/* It came over TLS to us. */
bool rb_exchange_tls(const struct rb_exchange *exchange);

/* Answers. `fields` are whole header lines, each with CRLF, or empty. HEAD gets no body
 * by itself. The second answer to one exchange is dropped. Out of memory dooms the
 * connection. */
void rb_exchange_answer(struct rb_exchange *exchange, int status,
                        const char *content_type, struct rb_text body,
                        struct rb_text fields);
void rb_exchange_problem(struct rb_exchange *exchange, int status, const char *detail,
                         struct rb_text fields);

/* For what writes its own head (a stream): the connection keeps to it from now on. */
bool rb_exchange_keep_alive(const struct rb_exchange *exchange);

/* Keeps the exchange and its request beyond the handler; returns its argument. */
struct rb_exchange *rb_exchange_hold(struct rb_exchange *exchange);
/* The last release of an exchange that nobody answered answers 500. */
void rb_exchange_release(struct rb_exchange *exchange);

bool rb_exchange_answered(const struct rb_exchange *exchange);
/* The client has closed its connection, or was closed: nobody reads an answer. */
bool rb_exchange_gone(const struct rb_exchange *exchange);
/* Calls fn once, from the loop, when the client goes before the answer; so that whoever
 * waits for something on its behalf can stop. NULL takes it back. */
void rb_exchange_on_gone(struct rb_exchange *exchange,
                         void (*fn)(void *ctx, struct rb_exchange *exchange), void *ctx);
/* The same when the process is to end: it goes on until the exchange is answered, so that
 * whoever waits answers with what there is. */
void rb_exchange_on_stop(struct rb_exchange *exchange,
                         void (*fn)(void *ctx, struct rb_exchange *exchange), void *ctx);

#endif
