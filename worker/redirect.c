/* Which redirects are followed, and with what. */
#include "worker/redirect.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LINES_MAX (RB_REQUEST_HEADERS_MAX + 8) /* a few are written by ourselves */

/* What of a URL says who is asked. */
struct origin {
    bool secure;
    int port;
    char *host; /* curl's memory */
};

static void origin_fini(struct origin *origin) { curl_free(origin->host); }

static enum rb_status origin_of(CURLU *url, struct origin *origin) {
    char *scheme = NULL, *port = NULL;
    *origin = (struct origin){0};
    CURLUcode code = curl_url_get(url, CURLUPART_SCHEME, &scheme, 0);
    if (code == CURLUE_OK)
        code = curl_url_get(url, CURLUPART_HOST, &origin->host, 0);
    if (code == CURLUE_OK)
        code = curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
    enum rb_status status = code == CURLUE_OK              ? RB_OK
                            : code == CURLUE_OUT_OF_MEMORY ? RB_NOMEM
                                                           : RB_REFUSED;
    if (status == RB_OK) {
        origin->secure = strcasecmp(scheme, "https") == 0;
        origin->port = (int)strtol(port, NULL, 10);
        if (!origin->secure && strcasecmp(scheme, "http") != 0)
            status = RB_REFUSED;
    }
    curl_free(scheme);
    curl_free(port);
    return status;
}

static enum rb_status origin_of_text(const char *text, struct origin *origin) {
    CURLU *url = curl_url();
    *origin = (struct origin){0};
    if (!url)
        return RB_NOMEM;
    CURLUcode code = curl_url_set(url, CURLUPART_URL, text, 0);
    enum rb_status status = code == CURLUE_OK              ? origin_of(url, origin)
                            : code == CURLUE_OUT_OF_MEMORY ? RB_NOMEM
                                                           : RB_REFUSED;
    curl_url_cleanup(url);
    return status;
}

static bool same(const struct origin *a, const struct origin *b) {
    return a->secure == b->secure && a->port == b->port &&
           strcasecmp(a->host, b->host) == 0;
}

static bool named(const struct rb_redirects *rules, const struct origin *to) {
    for (size_t i = 0; i < rules->count; i++) {
        int port = rules->hosts[i].port;
        if (port == 0)
            port = to->secure ? 443 : 80;
        if (port == to->port && strcasecmp(rules->hosts[i].name, to->host) == 0)
            return true;
    }
    return false;
}

/* 303 asks for another thing than what was sent; 301 and 302 are taken so for a POST, as
 * browsers do (Fetch, HTTP-redirect fetch). */
static bool becomes_get(int status, const char *method) {
    if (status == 303)
        return strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0;
    return (status == 301 || status == 302) && strcmp(method, "POST") == 0;
}

static enum rb_status refuse(char why[RB_HOP_WHY_BYTES], const char *format, ...)
    RB_PRINTF(2, 3);

static enum rb_status refuse(char why[RB_HOP_WHY_BYTES], const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(why, RB_HOP_WHY_BYTES, format, args);
    va_end(args);
    return RB_REFUSED;
}

/* By the rules; hop->own and ->as_get are set. */
static enum rb_status judge(const struct rb_call_order *order, const struct origin *own,
                            const struct origin *from, const struct origin *to,
                            int status, struct rb_hop *hop, char *why) {
    hop->own = same(own, to);
    hop->as_get |= becomes_get(status, order->request->method);
    if (from->secure && !to->secure)
        return refuse(why, "the redirect leads from https to http");
    if (hop->own)
        return RB_OK;
    if (!named(order->redirects, to))
        return refuse(why, "redirects.allow does not name %s:%d, where the answer leads",
                      to->host, to->port);
    if (order->request->body && !hop->as_get)
        return refuse(why, "the redirect would take the body to another host");
    return RB_OK;
}

/* Normalized, and the host in lower case, so that one origin is written one way. */
static enum rb_status write_url(CURLU *url, struct origin *to, char **text) {
    rb_text_lower(to->host);
    if (curl_url_set(url, CURLUPART_HOST, to->host, 0) != CURLUE_OK ||
        curl_url_set(url, CURLUPART_FRAGMENT, NULL, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_URL, text, CURLU_NO_DEFAULT_PORT) != CURLUE_OK)
        return RB_NOMEM;
    return RB_OK;
}

static bool has_user(CURLU *url) {
    char *part = NULL;
    bool found = curl_url_get(url, CURLUPART_USER, &part, 0) != CURLUE_NO_USER;
    curl_free(part);
    part = NULL;
    found |= curl_url_get(url, CURLUPART_PASSWORD, &part, 0) != CURLUE_NO_PASSWORD;
    curl_free(part);
    return found;
}

static enum rb_status judge_url(const struct rb_call_order *order, const char *from,
                                int status, CURLU *url, struct rb_hop *hop, char *why) {
    struct origin own, last = {0}, to = {0};
    enum rb_status result = origin_of_text(order->request->url, &own);
    if (result == RB_OK)
        result = origin_of_text(from, &last);
    if (result == RB_OK)
        result = origin_of(url, &to);
    if (result == RB_REFUSED)
        refuse(why, "the redirect leads to something that is not http or https");
    if (result == RB_OK)
        result = judge(order, &own, &last, &to, status, hop, why);
    if (result == RB_OK && has_user(url))
        result = refuse(why, "the redirect brings a user or a password");
    if (result == RB_OK)
        result = write_url(url, &to, &hop->url);
    if (result == RB_OK && strlen(hop->url) > RB_REQUEST_URL_MAX_BYTES) {
        rb_hop_fini(hop);
        result = refuse(why, "the redirect's url is too long");
    }
    origin_fini(&own);
    origin_fini(&last);
    origin_fini(&to);
    return result;
}

enum rb_status rb_redirect_judge(const struct rb_call_order *order, const char *from,
                                 int status, const char *to, struct rb_hop *hop,
                                 char why[RB_HOP_WHY_BYTES]) {
    hop->url = NULL;
    if (hop->made >= order->redirects->max)
        return refuse(why, "more than %lld redirects", (long long)order->redirects->max);
    CURLU *url = curl_url();
    if (!url)
        return RB_NOMEM;
    CURLUcode code = curl_url_set(url, CURLUPART_URL, to, CURLU_NON_SUPPORT_SCHEME);
    enum rb_status result;
    if (code == CURLUE_OK)
        result = judge_url(order, from, status, url, hop, why);
    else if (code == CURLUE_OUT_OF_MEMORY)
        result = RB_NOMEM;
    else
        result = refuse(why, "the redirect leads to something that is no url");
    curl_url_cleanup(url);
    hop->made += result == RB_OK;
    return result;
}

void rb_hop_fini(struct rb_hop *hop) {
    curl_free(hop->url);
    hop->url = NULL;
}

enum rb_status rb_redirect_look(CURL *easy, const struct rb_call_order *order,
                                struct rb_hop *hop, char why[RB_HOP_WHY_BYTES]) {
    const char *from = NULL, *to = NULL;
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    if (status != 301 && status != 302 && status != 303 && status != 307 && status != 308)
        return RB_NOT_FOUND;
    curl_easy_getinfo(easy, CURLINFO_REDIRECT_URL, &to);
    curl_easy_getinfo(easy, CURLINFO_EFFECTIVE_URL, &from);
    if (!from || !to)
        return RB_NOT_FOUND;
    return rb_redirect_judge(order, from, (int)status, to, hop, why);
}

static bool goes_along(const char *line, const struct rb_hop *hop) {
    struct rb_text name = rb_text(line, strcspn(line, ":"));
    if (hop->as_get && strncasecmp(line, "Content-", 8) == 0)
        return false;
    return hop->own || rb_redirects_carry(name);
}

bool rb_redirect_set(CURL *easy, struct rb_header_list *headers,
                     const struct rb_call_order *order, const struct rb_hop *hop,
                     bool trust_folder) {
    char *lines[LINES_MAX + 1];
    static char get[] = "GET";
    struct rb_request request = *order->request;
    struct rb_call_order there = *order;
    size_t count = 0;
    for (char **line = request.headers; line && *line; line++) {
        if (!goes_along(*line, hop))
            continue;
        if (count == LINES_MAX)
            return false;
        lines[count++] = *line;
    }
    lines[count] = NULL;
    request.headers = lines;
    request.url = hop->url;
    if (hop->as_get) {
        request.method = get;
        request.body = NULL;
        request.body_len = 0;
    }
    there.request = &request;
    return rb_easy_set_url(easy, NULL, hop->url) &&
           rb_easy_set_request(easy, headers, &there) &&
           (!order->tls || rb_easy_set_tls(easy, order->tls, hop->own, trust_folder));
}
