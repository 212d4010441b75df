/* Sets of IP addresses, as words and prefixes. */
#include "config/network.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>

#define RULES_MAX 1024

/* The first `bits` of an address of 4 or 16 bytes. */
struct prefix {
    unsigned char at[16];
    unsigned char bytes;
    unsigned char bits;
};

enum word { LOOPBACK, PRIVATE, LINK_LOCAL, METADATA, PUBLIC, WORDS };

static const char *const words[] = {"loopback", "private", "link-local",
                                    "metadata", "public",  NULL};

#define V4(word, a, b, c, d, bits)                                                       \
    {                                                                                    \
        word, { {a, b, c, d}, 4, bits }                                                  \
    }
#define V6(word, bits, ...)                                                              \
    {                                                                                    \
        word, { {__VA_ARGS__}, 16, bits }                                                \
    }

static const struct known {
    enum word word;
    struct prefix prefix;
} known[] = {
    V4(LOOPBACK, 127, 0, 0, 0, 8),
    /* "This host" (RFC 1122 §3.2.1.3): Linux dials it as loopback. */
    V4(LOOPBACK, 0, 0, 0, 0, 8),
    V6(LOOPBACK, 128, [15] = 1),
    V6(LOOPBACK, 128, 0),
    V4(PRIVATE, 10, 0, 0, 0, 8),
    V4(PRIVATE, 172, 16, 0, 0, 12),
    V4(PRIVATE, 192, 168, 0, 0, 16),
    V4(PRIVATE, 100, 64, 0, 0, 10),
    V6(PRIVATE, 7, 0xfc),
    /* Site-local: deprecated by RFC 3879, and still what it says. */
    V6(PRIVATE, 10, 0xfe, 0xc0),
    V4(LINK_LOCAL, 169, 254, 0, 0, 16),
    V6(LINK_LOCAL, 10, 0xfe, 0x80),
    /* AWS, Azure, Google and most others; ECS; EKS; Alibaba; Oracle; Azure's wire server
     */
    V4(METADATA, 169, 254, 169, 254, 32),
    V4(METADATA, 169, 254, 170, 2, 32),
    V4(METADATA, 169, 254, 170, 23, 32),
    V4(METADATA, 100, 100, 100, 200, 32),
    V4(METADATA, 192, 0, 0, 192, 32),
    V4(METADATA, 168, 63, 129, 16, 32),
    /* AWS: fd00:ec2::254 and EKS fd00:ec2::23; Google: fd20:ce::254 */
    V6(METADATA, 128, 0xfd, 0, 0x0e, 0xc2, [14] = 0x02, 0x54),
    V6(METADATA, 128, 0xfd, 0, 0x0e, 0xc2, [15] = 0x23),
    V6(METADATA, 128, 0xfd, 0x20, 0, 0xce, [14] = 0x02, 0x54),
};

struct rb_network {
    bool words[WORDS];
    struct prefix *prefixes;
    size_t count;
};

/* IPv6 addresses with an IPv4 address in their last 32 bits. */
static const struct prefix embedding[] = {
    {{[10] = 0xff, 0xff}, 16, 96},   /* IPv4-mapped, RFC 4291 §2.5.5.2 */
    {{0, 0x64, 0xff, 0x9b}, 16, 96}, /* NAT64, RFC 6052 §2.1 */
};

static bool within(const struct prefix *prefix, const unsigned char *address,
                   size_t bytes) {
    size_t whole = prefix->bits / 8, rest = prefix->bits % 8;
    if (prefix->bytes != bytes || memcmp(prefix->at, address, whole) != 0)
        return false;
    return rest == 0 || (prefix->at[whole] ^ address[whole]) >> (8 - rest) == 0;
}

static bool embeds_v4(const unsigned char *address) {
    for (size_t i = 0; i < sizeof embedding / sizeof embedding[0]; i++)
        if (within(&embedding[i], address, 16))
            return true;
    return false;
}

static bool word_contains(enum word word, const unsigned char *address, size_t bytes) {
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if ((word == PUBLIC || known[i].word == word) &&
            within(&known[i].prefix, address, bytes))
            return word != PUBLIC;
    return word == PUBLIC;
}

struct rb_network *rb_network_new(void) {
    return calloc(1, sizeof(struct rb_network));
}

void rb_network_free(struct rb_network *network) {
    if (network)
        free(network->prefixes);
    free(network);
}

static enum rb_status parse_address(struct rb_text text, struct prefix *prefix) {
    char name[INET6_ADDRSTRLEN];
    if (text.len == 0 || text.len >= sizeof name || memchr(text.at, '\0', text.len))
        return RB_INVALID;
    memcpy(name, text.at, text.len);
    name[text.len] = '\0';
    *prefix = (struct prefix){{0}, 4, 32};
    if (inet_pton(AF_INET, name, prefix->at) == 1)
        return RB_OK;
    *prefix = (struct prefix){{0}, 16, 128};
    return inet_pton(AF_INET6, name, prefix->at) == 1 ? RB_OK : RB_INVALID;
}

static bool host_bits(const struct prefix *prefix) {
    for (unsigned bit = prefix->bits; bit < prefix->bytes * 8u; bit++)
        if (prefix->at[bit / 8] & (0x80 >> bit % 8))
            return true;
    return false;
}

/* Addresses are judged as the IPv4 inside, so rules must be too. */
static void unwrap(struct prefix *prefix) {
    if (prefix->bytes == 16 && prefix->bits >= 96 && embeds_v4(prefix->at)) {
        memmove(prefix->at, prefix->at + 12, 4);
        prefix->bytes = 4;
        prefix->bits = (unsigned char)(prefix->bits - 96);
    }
}

static enum rb_status parse_prefix(struct rb_text rule, struct prefix *prefix,
                                   struct rb_error *error) {
    const char *slash = rule.len > 0 ? memchr(rule.at, '/', rule.len) : NULL;
    struct rb_text address = {rule.at, slash ? (size_t)(slash - rule.at) : rule.len};
    if (parse_address(address, prefix) != RB_OK) {
        const char *near = rb_text_nearest(rule, words);
        return rb_error_set(error, NULL, 0, 0,
                            "\"" RB_TEXT_FMT
                            "\" is no address, prefix or word (loopback, "
                            "private, link-local, metadata, public)%s%s%s",
                            RB_TEXT_ARG(rule), near ? "; did you mean \"" : "",
                            near ? near : "", near ? "\"?" : "");
    }
    if (slash) {
        struct rb_text bits = {slash + 1, rule.len - address.len - 1};
        uint64_t n;
        if (rb_text_uint64(bits, &n) != RB_OK || n > prefix->bytes * 8u)
            return rb_error_set(error, NULL, 0, 0,
                                "the prefix length of \"" RB_TEXT_FMT
                                "\" must be 0 to %u",
                                RB_TEXT_ARG(rule), prefix->bytes * 8u);
        prefix->bits = (unsigned char)n;
    }
    if (host_bits(prefix))
        return rb_error_set(error, NULL, 0, 0,
                            "\"" RB_TEXT_FMT "\" has bits set behind its prefix",
                            RB_TEXT_ARG(rule));
    unwrap(prefix);
    return RB_OK;
}

enum rb_status rb_network_add(struct rb_network *network, struct rb_text rule,
                              struct rb_error *error) {
    struct prefix prefix;
    for (size_t i = 0; words[i]; i++) {
        if (rb_text_is(rule, words[i])) {
            network->words[i] = true;
            return RB_OK;
        }
    }
    enum rb_status status = parse_prefix(rule, &prefix, error);
    if (status != RB_OK)
        return status;
    if (network->count == RULES_MAX)
        return rb_error_set(error, NULL, 0, 0, "more than %d addresses and prefixes",
                            RULES_MAX);
    struct prefix *grown =
        realloc(network->prefixes, (network->count + 1) * sizeof *grown);
    if (!grown) {
        rb_error_set(error, NULL, 0, 0, "out of memory");
        return RB_NOMEM;
    }
    grown[network->count++] = prefix;
    network->prefixes = grown;
    return RB_OK;
}

static bool in_words(const struct rb_network *network, const unsigned char *address,
                     size_t bytes) {
    for (size_t i = 0; i < WORDS; i++)
        if (network->words[i] && word_contains((enum word)i, address, bytes))
            return true;
    return false;
}

static bool in_prefixes(const struct rb_network *network, const unsigned char *address,
                        size_t bytes) {
    for (size_t i = 0; i < network->count; i++)
        if (within(&network->prefixes[i], address, bytes))
            return true;
    return false;
}

/* The address's bytes, 4 or 16 of them, into `out`; 0 for other families. */
static size_t address_bytes(const struct sockaddr *address, unsigned char out[16]) {
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4);
        memcpy(out, &v4.sin_addr, 4);
        return 4;
    }
    if (address->sa_family != AF_INET6)
        return 0;
    struct sockaddr_in6 v6;
    memcpy(&v6, address, sizeof v6);
    memcpy(out, &v6.sin6_addr, 16);
    if (!embeds_v4(out))
        return 16;
    memmove(out, out + 12, 4);
    return 4;
}

bool rb_network_contains(const struct rb_network *network,
                         const struct sockaddr *address) {
    unsigned char at[16];
    size_t bytes = address_bytes(address, at);
    return bytes > 0 && (in_words(network, at, bytes) || in_prefixes(network, at, bytes));
}

/* Some metadata addresses are private or link-local too. Whoever allows those words does
 * not mean to hand out the machine's credentials. */
static bool opens(const struct rb_network *allow, const unsigned char *address,
                  size_t bytes) {
    if (in_prefixes(allow, address, bytes))
        return true;
    if (word_contains(METADATA, address, bytes))
        return allow->words[METADATA];
    return in_words(allow, address, bytes);
}

bool rb_network_allows(const struct rb_network *allow, const struct rb_network *deny,
                       const struct sockaddr *address) {
    unsigned char at[16];
    size_t bytes = address_bytes(address, at);
    if (bytes == 0 || (allow && opens(allow, at, bytes)))
        return true;
    return !deny || !(in_words(deny, at, bytes) || in_prefixes(deny, at, bytes));
}
