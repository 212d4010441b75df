/* Reading the PROXY protocol, strictly: what is not exactly one of its headers is none.
 * Of version 2 the addresses are kept and what follows them is counted off. */
#include "notifier/proxy_protocol.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "config/text.h"

#define V1 "PROXY "
#define V1_LEN (sizeof V1 - 1)
static const char v2_signature[12] = "\r\n\r\n\0\r\nQUIT\n";
#define V2_LEN sizeof v2_signature

enum { V2_LOCAL = 0x20, V2_PROXY = 0x21 };
/* Family and transport; how many bytes their two addresses and ports take. */
enum { INET = 0x1, INET6 = 0x2, UNIX = 0x3, INET_BYTES = 12, INET6_BYTES = 36 };

/* --- version 1 --- */

static bool read_ip(struct rb_text text, int family, void *address) {
    char copy[INET6_ADDRSTRLEN];
    if (text.len == 0 || text.len >= sizeof copy || memchr(text.at, '\0', text.len))
        return false;
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    return inet_pton(family, copy, address) == 1;
}

/* Decimal digits without leading zeros. */
static bool read_port(struct rb_text text, in_port_t *port) {
    uint64_t value;
    if (text.len == 0 || text.len > 5 || (text.len > 1 && text.at[0] == '0') ||
        rb_text_uint64(text, &value) != RB_OK || value > 65535)
        return false;
    *port = htons((uint16_t)value);
    return true;
}

/* "192.0.2.1 192.0.2.2 1024 80": the client's address and ours. */
static enum rb_proxy_result read_pair(struct rb_text rest, int family,
                                      struct sockaddr_storage *client) {
    struct rb_text item[4];
    struct in6_addr from, to;
    in_port_t port, own_port;
    for (size_t i = 0; i < 4; i++) {
        const char *space = rest.len > 0 ? memchr(rest.at, ' ', rest.len) : NULL;
        if ((space == NULL) != (i == 3))
            return RB_PROXY_BAD;
        size_t len = space ? (size_t)(space - rest.at) : rest.len;
        item[i] = rb_text(rest.at, len);
        if (space)
            rest = rb_text(space + 1, rest.len - len - 1);
    }
    if (!read_ip(item[0], family, &from) || !read_ip(item[1], family, &to) ||
        !read_port(item[2], &port) || !read_port(item[3], &own_port))
        return RB_PROXY_BAD;
    memset(client, 0, sizeof *client);
    if (family == AF_INET) {
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = port};
        memcpy(&v4.sin_addr, &from, sizeof v4.sin_addr);
        memcpy(client, &v4, sizeof v4);
    } else {
        const struct sockaddr_in6 v6 = {
            .sin6_family = AF_INET6, .sin6_port = port, .sin6_addr = from};
        memcpy(client, &v6, sizeof v6);
    }
    return RB_PROXY_KNOWN;
}

/* Behind "PROXY ", without CRLF. What follows UNKNOWN is not looked at (§2.1). */
static enum rb_proxy_result read_line(struct rb_text line,
                                      struct sockaddr_storage *client) {
    if (rb_text_starts(line, RB_TEXT("TCP4 ")))
        return read_pair(rb_text(line.at + 5, line.len - 5), AF_INET, client);
    if (rb_text_starts(line, RB_TEXT("TCP6 ")))
        return read_pair(rb_text(line.at + 5, line.len - 5), AF_INET6, client);
    if (rb_text_is(line, "UNKNOWN") || rb_text_starts(line, RB_TEXT("UNKNOWN ")))
        return RB_PROXY_LOCAL;
    return RB_PROXY_BAD;
}

/* One byte more of a line. */
static enum rb_proxy_result step_line(struct rb_proxy_header *h,
                                      struct sockaddr_storage *client) {
    char last = h->bytes[h->len - 1];
    bool after_cr = h->len > V1_LEN && h->bytes[h->len - 2] == '\r';
    if (after_cr != (last == '\n'))
        return RB_PROXY_BAD; /* CR and LF come together, once */
    if (after_cr)
        return read_line(rb_text(h->bytes + V1_LEN, h->len - V1_LEN - 2), client);
    return h->len == RB_PROXY_LINE_MAX ? RB_PROXY_BAD : RB_PROXY_MORE;
}

/* --- version 2 --- */

/* The fixed part is whole: how much is to be kept, how much counted off. */
static enum rb_proxy_result read_fixed(struct rb_proxy_header *h) {
    unsigned command = (unsigned char)h->bytes[12], family = (unsigned char)h->bytes[13];
    uint32_t len =
        (uint32_t)(unsigned char)h->bytes[14] << 8 | (unsigned char)h->bytes[15];
    bool unspec = family >> 4 == 0, no_transport = (family & 15) == 0;
    uint32_t kept = family >> 4 == INET    ? INET_BYTES
                    : family >> 4 == INET6 ? INET6_BYTES
                                           : 0;
    if (command == V2_LOCAL)
        kept = 0; /* its family is to be ignored */
    else if (command != V2_PROXY || family >> 4 > UNIX || (family & 15) > 2 ||
             unspec != no_transport)
        return RB_PROXY_BAD;
    if (len < kept)
        return RB_PROXY_BAD;
    h->need = (uint8_t)(RB_PROXY_HEAD + kept);
    h->skip = len - kept;
    return RB_PROXY_MORE;
}

/* Datagrams are no connection of ours: as UNSPEC. */
static enum rb_proxy_result read_binary(const struct rb_proxy_header *h,
                                        struct sockaddr_storage *client) {
    const char *at = h->bytes + RB_PROXY_HEAD;
    bool stream = (h->bytes[13] & 15) == 1;
    if (h->need == RB_PROXY_HEAD || !stream)
        return RB_PROXY_LOCAL;
    memset(client, 0, sizeof *client);
    if (h->need == RB_PROXY_HEAD + INET_BYTES) {
        struct sockaddr_in v4 = {.sin_family = AF_INET};
        memcpy(&v4.sin_addr, at, 4);
        memcpy(&v4.sin_port, at + 8, 2);
        memcpy(client, &v4, sizeof v4);
    } else {
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
        memcpy(&v6.sin6_addr, at, 16);
        memcpy(&v6.sin6_port, at + 32, 2);
        memcpy(client, &v6, sizeof v6);
    }
    return RB_PROXY_KNOWN;
}

/* --- both --- */

/* One byte more; *skips: what is left is to be counted off. */
static enum rb_proxy_result step(struct rb_proxy_header *h, char byte, bool *skips,
                                 struct sockaddr_storage *client) {
    h->bytes[h->len++] = byte;
    if (h->bytes[0] == V1[0]) {
        if (h->len <= V1_LEN)
            return memcmp(h->bytes, V1, h->len) == 0 ? RB_PROXY_MORE : RB_PROXY_BAD;
        return step_line(h, client);
    }
    if (h->len <= V2_LEN)
        return memcmp(h->bytes, v2_signature, h->len) == 0 ? RB_PROXY_MORE : RB_PROXY_BAD;
    if (h->len == RB_PROXY_HEAD && read_fixed(h) == RB_PROXY_BAD)
        return RB_PROXY_BAD;
    *skips = h->len == h->need;
    return *skips && h->skip == 0 ? read_binary(h, client) : RB_PROXY_MORE;
}

enum rb_proxy_result rb_proxy_feed(struct rb_proxy_header *h, const char *bytes,
                                   size_t len, size_t *taken,
                                   struct sockaddr_storage *client) {
    bool skips = h->need > 0 && h->len == h->need;
    *taken = 0;
    while (*taken < len) {
        enum rb_proxy_result result = RB_PROXY_MORE;
        if (skips) {
            size_t left = len - *taken, n = h->skip < left ? h->skip : left;
            h->skip -= (uint32_t)n;
            *taken += n;
            if (h->skip == 0)
                result = read_binary(h, client);
        } else {
            result = step(h, bytes[(*taken)++], &skips, client);
        }
        if (result != RB_PROXY_MORE)
            return result;
    }
    return RB_PROXY_MORE;
}
