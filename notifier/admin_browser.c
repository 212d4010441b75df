/* Pages in a browser: which of them the admin listener serves. */
#include "notifier/admin_browser.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static bool has(const struct rb_http_request *request, const char *name) {
    return rb_http_header(request, name).at != NULL;
}

/* The name in "name", "name:port", "[v6]" or "[v6]:port"; its brackets are taken off. */
static struct rb_text name_of(struct rb_text host, bool *bracketed) {
    const char *end;
    *bracketed = host.len > 0 && host.at[0] == '[';
    if (*bracketed) {
        host = rb_text(host.at + 1, host.len - 1);
        end = host.len > 0 ? memchr(host.at, ']', host.len) : NULL;
    } else {
        end = host.len > 0 ? memchr(host.at, ':', host.len) : NULL;
    }
    if (end)
        return rb_text(host.at, (size_t)(end - host.at));
    return *bracketed ? RB_TEXT("") : host;
}

static bool is_ip(struct rb_text name, int family) {
    char text[INET6_ADDRSTRLEN] = "";
    struct in6_addr address;
    if (name.len >= sizeof text)
        return false;
    memcpy(text, name.at, name.len);
    return inet_pton(family, text, &address) == 1;
}

static bool is_ours(struct rb_text host, const struct rb_list *hosts) {
    bool bracketed;
    struct rb_text name = name_of(host, &bracketed);
    if (name.len == 0)
        return false;
    if (bracketed)
        return is_ip(name, AF_INET6);
    if (!memchr(name.at, '.', name.len) || is_ip(name, AF_INET))
        return true;
    for (size_t i = 0; i < hosts->count; i++)
        if (rb_text_equal_nocase(name, rb_text_of(hosts->items[i])))
            return true;
    return false;
}

static bool is_same(struct rb_text origin, struct rb_text host, bool tls) {
    struct rb_text plain = RB_TEXT("http://"), secure = RB_TEXT("https://"), scheme;
    if (rb_text_starts(origin, secure))
        scheme = secure;
    else if (rb_text_starts(origin, plain) && !tls)
        scheme = plain;
    else
        return false;
    return rb_text_equal_nocase(rb_text(origin.at + scheme.len, origin.len - scheme.len),
                                host);
}

static bool is_link_to_page(const struct rb_http_request *request) {
    return request->method == RB_HTTP_GET && rb_text_is(request->path, "/") &&
           rb_text_is(rb_http_header(request, "sec-fetch-mode"), "navigate") &&
           rb_text_is(rb_http_header(request, "sec-fetch-dest"), "document");
}

static bool changes(const struct rb_http_request *request) {
    return request->method != RB_HTTP_GET && request->method != RB_HTTP_HEAD;
}

const char *rb_admin_browser(const struct rb_http_request *request,
                             const struct rb_list *hosts, bool tls) {
    struct rb_text host = rb_http_header(request, "host");
    struct rb_text origin = rb_http_header(request, "origin");
    struct rb_text site = rb_http_header(request, "sec-fetch-site");
    bool browser = origin.at || site.at;
    if (!browser && !has(request, "accept-language"))
        return NULL;
    if (!is_ours(host, hosts))
        return "The name of this host is not among notifier.admin_hosts.";
    if (!browser)
        return NULL;
    if (origin.at && !is_same(origin, host, tls))
        return "Pages of other origins are not served here.";
    if (site.at && !rb_text_is(site, "same-origin") && !rb_text_is(site, "none") &&
        !is_link_to_page(request))
        return "Pages of other sites are not served here.";
    if (changes(request) && !origin.at)
        return "A browser that changes something says its Origin.";
    return NULL;
}
