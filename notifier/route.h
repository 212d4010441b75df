/* What the public listener answers: /wait/…, /ringback.js, /echo. */
#ifndef RB_NOTIFIER_ROUTE_H
#define RB_NOTIFIER_ROUTE_H

#include "notifier/exchange.h"

/* rb_handler_fn of the public listener. */
void rb_route_public(struct rb_exchange *exchange);

struct rb_asset;

/* GET and HEAD of a file that the program carries, with its ETag; fields: whole lines. */
void rb_route_file(struct rb_exchange *exchange, const struct rb_asset *asset,
                   const char *content_type, const char *fields);
/* The same for pages of anybody. */
void rb_route_asset(struct rb_exchange *exchange, const struct rb_asset *asset,
                    const char *content_type);

/* Allow: field and 405 for a path that exists. */
void rb_route_not_allowed(struct rb_exchange *exchange, const char *allow);

#endif
