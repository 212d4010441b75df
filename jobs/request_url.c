/* The url of a request: its scheme and host are fixed by the definition, so that no
 * parameter can lead a call elsewhere; path and query may hold ${…}. */
#include <arpa/inet.h>
#include <stdlib.h>

#include "jobs/request_template.h"
#include "jobs/yaml_value.h"

static void mistake(struct rb_reading *r, const struct rb_yaml *node, const char *text) {
    rb_yaml_error(node, r->errors, "%s", text);
}

static bool is_ipv6(struct rb_text host) {
    unsigned char address[16];
    char text[INET6_ADDRSTRLEN];
    if (host.len < 2 || host.len - 2 >= sizeof text || host.at[host.len - 1] != ']')
        return false;
    memcpy(text, host.at + 1, host.len - 2);
    text[host.len - 2] = '\0';
    return inet_pton(AF_INET6, text, address) == 1;
}

static bool is_host(struct rb_text host) {
    if (host.len == 0 || host.len > 253 || host.at[0] == '.' || host.at[0] == '-')
        return false;
    if (host.at[0] == '[')
        return is_ipv6(host);
    for (size_t i = 0; i < host.len; i++) {
        char c = host.at[i];
        bool legal = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
        if (!legal || (c == '.' && host.at[i - 1] == '.'))
            return false;
    }
    return true;
}

const char *rb_request_check_authority(struct rb_text authority) {
    if (authority.len > 0 && memchr(authority.at, '@', authority.len))
        return "a user and password don't belong into a url: send them in a header";
    size_t host = 0; /* the colons of an IPv6 address stand in brackets */
    bool bracketed = authority.len > 0 && authority.at[0] == '[';
    while (host < authority.len && authority.at[host] != (bracketed ? ']' : ':'))
        host++;
    if (bracketed && host < authority.len)
        host++;
    if (!is_host(rb_text(authority.at, host)))
        return "expected a host: a name in ASCII, an IPv4 address, or an IPv6 address in "
               "brackets";
    if (host == authority.len)
        return NULL;
    struct rb_text port = rb_text(authority.at + host + 1, authority.len - host - 1);
    uint64_t number;
    if (authority.at[host] != ':' || rb_text_uint64(port, &number) != RB_OK ||
        number < 1 || number > 65535)
        return "expected a port from 1 to 65535 behind the host";
    return NULL;
}

/* The first of the bytes outside of ${…}, or the text's length. */
static size_t find(struct rb_text text, size_t from, const char *bytes) {
    for (size_t i = from; i < text.len; i++) {
        const char *close;
        if (text.at[i] != '\0' && strchr(bytes, text.at[i]))
            return i;
        if (text.at[i] == '$' && i + 1 < text.len && text.at[i + 1] == '{' &&
            (close = memchr(text.at + i, '}', text.len - i)))
            i = (size_t)(close - text.at);
    }
    return text.len;
}

/* A part of the node's text as a node of its own, so that mistakes keep their place. */
static struct rb_yaml part_of(const struct rb_yaml *node, size_t from, size_t to) {
    struct rb_yaml part = *node;
    part.text = rb_text(node->text.at + from, to - from);
    part.column += (int)from;
    return part;
}

/* Dots made of parameters are seen when they are rendered. */
static bool constant_dots(struct rb_text path) {
    while (path.len > 0) {
        size_t end = find(path, 0, "/");
        struct rb_text segment = rb_text(path.at, end);
        if (rb_template_has_dots(segment))
            return true;
        end += end < path.len;
        path = rb_text(path.at + end, path.len - end);
    }
    return false;
}

static void read_path(struct rb_reading *r, const struct rb_yaml *node, size_t from,
                      size_t to, struct rb_request_template *t) {
    struct rb_yaml part = part_of(node, from, to);
    if (part.text.len == 0)
        part.text = RB_TEXT("/");
    if (constant_dots(part.text))
        mistake(r, &part, "the path must not hold the segments \".\" and \"..\"");
    else
        t->path = rb_template_compile(&part, RB_PLACE_PATH, &r->names, r->errors);
}

void rb_request_url_read(struct rb_reading *r, const struct rb_yaml *node,
                         struct rb_request_template *t) {
    struct rb_text url;
    if (!rb_value_text(node, &url, r->errors))
        return;
    size_t scheme = rb_text_starts(url, RB_TEXT("https://"))  ? 8
                    : rb_text_starts(url, RB_TEXT("http://")) ? 7
                                                              : 0;
    if (scheme == 0) {
        mistake(r, node, "expected a url that begins with https:// or http://");
        return;
    }
    size_t host_end = scheme;
    while (host_end < url.len && !strchr("/?#$", url.at[host_end]))
        host_end++;
    if (host_end < url.len && url.at[host_end] == '$') {
        mistake(r, node, "the host is fixed: ${…} may stand in the path and the query");
        return;
    }
    const char *wrong =
        rb_request_check_authority(rb_text(url.at + scheme, host_end - scheme));
    size_t path_end = find(url, host_end, "?#");
    size_t query_end = find(url, path_end, "#");
    if (!wrong && query_end < url.len)
        wrong = "a fragment (#) never leaves a browser: drop it";
    if (wrong) {
        mistake(r, node, wrong);
        return;
    }
    t->origin = rb_text_copy(rb_text(url.at, host_end));
    if (!t->origin)
        mistake(r, node, "out of memory");
    read_path(r, node, host_end, path_end, t);
    if (path_end < url.len) {
        struct rb_yaml query = part_of(node, path_end + 1, query_end);
        if (query.text.len > 0)
            t->query = rb_template_compile(&query, RB_PLACE_QUERY, &r->names, r->errors);
    }
}
