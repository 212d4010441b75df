/* Taking back what live clients were let in with, on all processes of all notifiers: the
 * admin listener puts the word out by pub/sub, and each looks through its own clients. */
#ifndef RB_NOTIFIER_REVOKE_H
#define RB_NOTIFIER_REVOKE_H

#include "config/status.h"
#include "notifier/exchange.h"

struct rb_server;

/* Hears the word from now on. RB_NOMEM, RB_TOO_LARGE. */
RB_MUST_CHECK enum rb_status rb_revoke_listen(struct rb_server *server);

/* DELETE /subscriptions?channel=…&session=…&subject=…: at least one of them; clients that
 * all of them fit. A channel may end with "*". */
void rb_admin_revoke(struct rb_exchange *exchange, struct rb_text name);

#endif
