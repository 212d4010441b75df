/* The PROXY protocol, versions 1 and 2: what a proxy says of its client at the very
 * beginning of a connection (haproxy.org, "The PROXY protocol", §2.1 and §2.2). Bytes in,
 * an address out; no socket in here. */
#ifndef RB_NOTIFIER_PROXY_PROTOCOL_H
#define RB_NOTIFIER_PROXY_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* The longest line of version 1, with its CRLF, and the shortest header of version 2. */
#define RB_PROXY_LINE_MAX 107
#define RB_PROXY_HEAD 16

/* A header in the making; all zero at its beginning. */
struct rb_proxy_header {
    uint32_t skip; /* bytes of version 2 that are not looked at */
    uint8_t need;  /* of version 2, known with its fixed part */
    uint8_t len;
    char bytes[RB_PROXY_LINE_MAX];
};

enum rb_proxy_result {
    RB_PROXY_MORE,  /* all bytes were taken, and more are needed */
    RB_PROXY_KNOWN, /* *client is set */
    RB_PROXY_LOCAL, /* whole, and names nobody: the peer itself is meant (LOCAL, UNKNOWN,
                       UNSPEC, unix sockets) */
    RB_PROXY_BAD    /* no header, or a malformed one */
};

/* *taken: how many of the bytes belong to the header. What follows is the client's. */
enum rb_proxy_result rb_proxy_feed(struct rb_proxy_header *header, const char *bytes,
                                   size_t len, size_t *taken,
                                   struct sockaddr_storage *client);

#endif
