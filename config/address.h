/* How addresses are written in settings. Syntax alone: nothing is looked
 * up, nothing is opened. */
#ifndef RB_CONFIG_ADDRESS_H
#define RB_CONFIG_ADDRESS_H

#include <stdbool.h>

#include "config/text.h"

/* What a listener binds: host:port, v4:port, [v6]:port, *:port, or unix:/path. Port 0
 * asks the kernel for one. */
bool rb_address_is_listen(struct rb_text text);

/* What the notifier's may be: also systemd:NAME, sockets that a service manager passes
 * under that name; tls:// before anything but unix:; and ?proxy=on behind all (&proxy=on
 * behind another option). */
bool rb_address_is_notifier_listen(struct rb_text text);
/* Takes ?proxy=on off the end of such an address; false when it is not there. */
bool rb_address_take_proxy(struct rb_text *text);

/* An origin as browsers send it (RFC 6454 §6.2): scheme://host[:port] in lower case,
 * nothing behind; or "*". */
bool rb_address_is_origin(struct rb_text text);

#endif
