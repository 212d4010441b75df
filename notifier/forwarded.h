/* Whose request it is when a proxy brings it: X-Forwarded-For, as far as each hop is
 * trusted. */
#ifndef RB_NOTIFIER_FORWARDED_H
#define RB_NOTIFIER_FORWARDED_H

#include <sys/socket.h>

#include "notifier/access.h"
#include "notifier/http_request.h"

/* *address is the peer's; becomes the client's: read from the right, the first that is no
 * trusted proxy. What can't be read ends the reading, and the last hop known stands. */
void rb_forwarded_client(const struct rb_access *access,
                         const struct rb_http_request *request,
                         struct sockaddr_storage *address);

#endif
