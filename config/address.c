/* The syntax of listen addresses and origins. */
#include "config/address.h"

#include <arpa/inet.h>
#include <sys/un.h>

static bool among(char c, const char *extra) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr(extra, c) != NULL);
}

static bool all_among(struct rb_text text, const char *extra) {
    for (size_t i = 0; i < text.len; i++)
        if (!among(text.at[i], extra))
            return false;
    return text.len > 0;
}

static bool is_number(struct rb_text text, uint64_t max) {
    uint64_t n;
    return text.len <= 5 && rb_text_uint64(text, &n) == RB_OK && n <= max;
}

static bool is_ip(int family, struct rb_text text) {
    char string[INET6_ADDRSTRLEN];
    unsigned char address[16];
    if (text.len == 0 || text.len >= sizeof string || memchr(text.at, '\0', text.len))
        return false;
    memcpy(string, text.at, text.len);
    string[text.len] = '\0';
    return inet_pton(family, string, address) == 1;
}

/* Splits at the last colon; false when there is none. */
static bool split_port(struct rb_text text, struct rb_text *host, struct rb_text *port) {
    const char *colon = text.len > 0 ? memrchr(text.at, ':', text.len) : NULL;
    if (!colon)
        return false;
    *host = rb_text(text.at, (size_t)(colon - text.at));
    *port = rb_text(colon + 1, text.len - host->len - 1);
    return true;
}

static bool is_bracketed_v6(struct rb_text host) {
    return host.len > 2 && host.at[0] == '[' && host.at[host.len - 1] == ']' &&
           is_ip(AF_INET6, rb_text(host.at + 1, host.len - 2));
}

/* RFC 1123 §2.1: what looks like a dotted quad must be one. */
static bool is_host(struct rb_text host) {
    bool digits_and_dots = true;
    for (size_t i = 0; i < host.len && digits_and_dots; i++)
        digits_and_dots = host.at[i] == '.' || (host.at[i] >= '0' && host.at[i] <= '9');
    if (digits_and_dots)
        return is_ip(AF_INET, host);
    return host.len <= 253 && all_among(host, ".-_") && host.at[0] != '-' &&
           host.at[0] != '.';
}

bool rb_address_is_listen(struct rb_text text) {
    struct rb_text prefix = RB_TEXT("unix:"), host, port;
    if (rb_text_starts(text, prefix)) {
        struct rb_text path = rb_text(text.at + prefix.len, text.len - prefix.len);
        return path.len > 1 && path.at[0] == '/' &&
               path.len < sizeof(((struct sockaddr_un *)NULL)->sun_path) &&
               !memchr(path.at, '\0', path.len);
    }
    return split_port(text, &host, &port) && is_number(port, 65535) &&
           (rb_text_is(host, "*") || is_bracketed_v6(host) || is_host(host));
}

/* Takes the prefix off; false when it is not there. */
static bool take_prefix(struct rb_text *text, struct rb_text prefix) {
    if (!rb_text_starts(*text, prefix))
        return false;
    *text = rb_text(text->at + prefix.len, text->len - prefix.len);
    return true;
}

bool rb_address_take_proxy(struct rb_text *text) {
    static const char key[] = "?proxy=on";
    const size_t len = sizeof key - 1;
    if (text->len < len)
        return false;
    const char *at = text->at + text->len - len;
    if (memcmp(at + 1, key + 1, len - 1) != 0 || (*at != '?' && *at != '&'))
        return false;
    /* "&" stands behind another option. */
    if ((*at == '&') != (memchr(text->at, '?', text->len - len) != NULL))
        return false;
    text->len -= len;
    return true;
}

bool rb_address_is_notifier_listen(struct rb_text text) {
    (void)rb_address_take_proxy(&text);
    if (take_prefix(&text, RB_TEXT("tls://")) && rb_text_starts(text, RB_TEXT("unix:")))
        return false;
    /* systemd.socket(5), FileDescriptorName=: what of it one would type. */
    if (take_prefix(&text, RB_TEXT("systemd:")))
        return text.len <= 255 && all_among(text, "-_.@");
    return rb_address_is_listen(text);
}

bool rb_address_is_origin(struct rb_text text) {
    if (rb_text_is(text, "*"))
        return true;
    struct rb_text rest = text, scheme, host, port;
    if (!rb_text_next(&rest, ':', &scheme) || !rb_text_starts(rest, RB_TEXT("//")) ||
        !all_among(scheme, "+-."))
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] >= 'A' && text.at[i] <= 'Z')
            return false;
    host = rb_text(rest.at + 2, rest.len - 2);
    if (host.len > 0 && host.at[host.len - 1] != ']' && split_port(host, &rest, &port)) {
        if (!is_number(port, 65535))
            return false;
        host = rest;
    }
    return is_bracketed_v6(host) || (host.len > 0 && is_host(host));
}
