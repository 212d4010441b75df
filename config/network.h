/* Sets of IP addresses, written as words or CIDR, and the question whether one is in a
 * set. Words: loopback, private (RFC 1918, RFC 4193 and RFC 6598), link-local, metadata
 * (the addresses at which clouds hand out credentials), public (everything not in another
 * word). IPv4-mapped and NAT64 (64:ff9b::/96) IPv6 addresses are judged as the IPv4
 * inside. */
#ifndef RB_CONFIG_NETWORK_H
#define RB_CONFIG_NETWORK_H

#include <stdbool.h>
#include <sys/socket.h>

#include "config/status.h"
#include "config/text.h"

struct rb_network;

struct rb_network *rb_network_new(void); /* empty; NULL when out of memory */
void rb_network_free(struct rb_network *network);

/* "private", "10.2.0.0/16", "2001:db8::/32", "192.0.2.7". RB_INVALID with a sentence in
 * *error (its text alone), RB_NOMEM. Host bits behind the prefix are refused. */
RB_MUST_CHECK enum rb_status rb_network_add(struct rb_network *network,
                                            struct rb_text rule, struct rb_error *error);

/* False for families other than AF_INET and AF_INET6. */
bool rb_network_contains(const struct rb_network *network,
                         const struct sockaddr *address);

/* allow wins over deny; what is in neither is allowed. Either may be NULL. A metadata
 * address is opened by the word metadata or by a prefix alone, though some are private or
 * link-local too. */
bool rb_network_allows(const struct rb_network *allow, const struct rb_network *deny,
                       const struct sockaddr *address);

#endif
