/* What the public listener answers: /wait/…, /ringback.js, /echo. */
#ifndef RB_NOTIFIER_ROUTE_H
#define RB_NOTIFIER_ROUTE_H

#include "notifier/exchange.h"

/* rb_handler_fn of the public listener. */
void rb_route_public(struct rb_exchange *exchange);

/* Allow: field and 405 for a path that exists. */
void rb_route_not_allowed(struct rb_exchange *exchange, const char *allow);

#endif
