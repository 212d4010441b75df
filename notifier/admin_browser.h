/* May a page that a browser shows ask the admin listener this? A browser reaches loopback
 * addresses too, for pages of anybody. */
#ifndef RB_NOTIFIER_ADMIN_BROWSER_H
#define RB_NOTIFIER_ADMIN_BROWSER_H

#include <stdbool.h>

#include "config/settings.h"
#include "notifier/http_request.h"

/* NULL, or a sentence about why not. hosts: notifier.admin_hosts. tls: it came over TLS
 * to us; else a proxy in front may have ended it.
 *
 * The name that was asked for (Host) must be nobody else's: an IP literal, a name without
 * a dot, which no stranger can have registered, or one of `hosts`. Otherwise a page of
 * theirs whose name leads to our address (DNS rebinding) would count as ours. A browser
 * tells such a page's reading neither by Origin nor, over plain HTTP, by Sec-Fetch-Site;
 * but Accept-Language is always there, and no script can take it away (Fetch standard,
 * HTTP-network-or-cache fetch).
 *
 * Origin, where there is one, must be what was asked, and Sec-Fetch-Site must say that
 * the page is ours, or that there is none. A link to "/" may stand anywhere. What changes
 * something must bring Origin, once it is known that a browser asks. Sec-Fetch-Mode alone
 * does not say that: Node's fetch sends it. */
const char *rb_admin_browser(const struct rb_http_request *request,
                             const struct rb_list *hosts, bool tls);

#endif
