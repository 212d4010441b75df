/* Origins, and who may wait on what. */
#include "notifier/admit.h"

#include "config/clock.h"
#include "notifier/access.h"
#include "notifier/admit_core.h"
#include "notifier/connection.h"
#include "notifier/exchange_core.h"
#include "notifier/me.h"
#include "notifier/pass.h"

static bool is_open(const struct rb_list *origins) {
    for (size_t i = 0; i < origins->count; i++)
        if (rb_text_is(RB_TEXT("*"), origins->items[i]))
            return true;
    return false;
}

static bool is_listed(const struct rb_list *origins, struct rb_text origin) {
    for (size_t i = 0; i < origins->count; i++)
        if (rb_text_equal_nocase(origin, rb_text_of(origins->items[i])))
            return true;
    return false;
}

bool rb_admit_origin(const struct rb_list *origins, struct rb_text origin) {
    return origin.at == NULL || is_open(origins) || is_listed(origins, origin);
}

/* With a list the answer depends on who asks, and caches must know. */
static bool allow_origin(const struct rb_list *origins,
                         const struct rb_http_request *request,
                         struct rb_buffer *fields) {
    struct rb_text origin = rb_http_header(request, "origin");
    if (is_open(origins)) {
        rb_buffer_string(fields, "Access-Control-Allow-Origin: *\r\n");
        return true;
    }
    rb_buffer_string(fields, "Vary: Origin\r\n");
    if (origin.len == 0 || !is_listed(origins, origin))
        return false;
    rb_buffer_string(fields, "Access-Control-Allow-Origin: ");
    rb_buffer_text(fields, origin);
    rb_buffer_string(fields, "\r\nAccess-Control-Allow-Credentials: true\r\n");
    return true;
}

void rb_admit_cors(const struct rb_list *origins, const struct rb_http_request *request,
                   struct rb_buffer *fields) {
    if (allow_origin(origins, request, fields))
        rb_buffer_string(fields, "Access-Control-Expose-Headers: ETag, Retry-After\r\n");
}

void rb_admit_preflight(const struct rb_list *origins,
                        const struct rb_http_request *request, struct rb_buffer *fields) {
    if (allow_origin(origins, request, fields))
        rb_buffer_string(fields, "Access-Control-Allow-Methods: GET, HEAD, OPTIONS\r\n"
                                 "Access-Control-Allow-Headers: Authorization, "
                                 "Cache-Control, If-None-Match, Last-Event-ID\r\n"
                                 "Access-Control-Max-Age: 86400\r\n");
}

/* "shop.example.com:8443" and "[::1]:80" without the port. */
static struct rb_text without_port(struct rb_text host) {
    const char *colon = host.len > 0 ? memrchr(host.at, ':', host.len) : NULL;
    const char *bracket = host.len > 0 ? memrchr(host.at, ']', host.len) : NULL;
    return colon && colon > bracket ? rb_text(host.at, (size_t)(colon - host.at)) : host;
}

/* "https://shop.example.com" and "shop.example.com" name one host. A proxy may hand the
 * host on without its port; cookies know no ports either. */
static bool is_own_host(struct rb_text origin, struct rb_text host) {
    const char *slashes = memmem(origin.at, origin.len, "://", 3);
    if (!slashes || host.len == 0)
        return false;
    size_t skipped = (size_t)(slashes - origin.at) + 3;
    struct rb_text own = rb_text(origin.at + skipped, origin.len - skipped);
    if (without_port(host).len == host.len)
        own = without_port(own);
    return rb_text_equal_nocase(own, host);
}

bool rb_admit_cookies(const struct rb_list *origins,
                      const struct rb_http_request *request) {
    struct rb_text origin = rb_http_header(request, "origin");
    if (!origin.at)
        return !rb_text_is(rb_http_header(request, "sec-fetch-site"), "cross-site");
    return is_listed(origins, origin) ||
           is_own_host(origin, rb_http_header(request, "host"));
}

struct rb_text rb_admit_session(const struct rb_exchange *x) {
    const struct rb_settings *settings = rb_exchange_server(x)->settings;
    const struct rb_http_request *request = rb_exchange_request(x);
    if (settings->notifier.session_cookie[0] == '\0' ||
        !rb_admit_cookies(&settings->notifier.origins, request))
        return RB_TEXT("");
    return rb_http_cookie(request, settings->notifier.session_cookie);
}

/* --- verdicts --- */

const struct rb_verdict rb_verdict_admitted = {0, NULL, NULL, RB_COUNTS};
const struct rb_verdict rb_verdict_not_named = {
    403, "This channel is not among those that are allowed.", "insufficient_scope",
    RB_COUNT_REFUSED_CHANNEL};
const struct rb_verdict rb_verdict_no_memory = {503, "Out of memory.", NULL,
                                                RB_COUNT_CLOSED_MEMORY};

/* The client's connection gets its pass; takes the grant, NULL for anything. */
struct rb_verdict rb_admit_let_in(struct rb_exchange *x, struct rb_grant *grant) {
    struct rb_connection *c = x->connection;
    if (!c)
        rb_grant_unref(grant);
    else if (rb_pass_give(c, grant, rb_admit_session(x)) != RB_OK)
        return rb_verdict_no_memory;
    return rb_verdict_admitted;
}

/* --- tokens --- */

static bool starts_nocase(struct rb_text text, struct rb_text prefix) {
    return text.len >= prefix.len &&
           rb_text_equal_nocase(rb_text(text.at, prefix.len), prefix);
}

/* From the query, `Authorization: Bearer` or the cookie, in this order; "" when there is
 * none. `room` is for one that must be decoded. */
static struct rb_text find_token(const struct rb_exchange *x, char *room, size_t size) {
    const struct rb_settings *settings = rb_exchange_server(x)->settings;
    const struct rb_http_request *request = rb_exchange_request(x);
    struct rb_text token = rb_http_header(request, "authorization"), raw;
    if (rb_http_query_raw(request->query, "token", &raw))
        return rb_http_query(request->query, "token", room, size) ? rb_text_of(room)
                                                                  : RB_TEXT("?");
    if (starts_nocase(token, RB_TEXT("Bearer ")))
        return rb_text_trim(rb_text(token.at + 7, token.len - 7));
    if (settings->notifier.auth_cookie[0] == '\0' ||
        !rb_admit_cookies(&settings->notifier.origins, request))
        return RB_TEXT("");
    return rb_http_cookie(request, settings->notifier.auth_cookie);
}

/* Gives a grant, or the verdict. */
static struct rb_verdict read_token(const struct rb_server *server, struct rb_text token,
                                    struct rb_text session, struct rb_grant **grant) {
    const struct rb_access *access = server->access;
    const char *problem = NULL;
    json_t *claims;
    *grant = NULL;
    enum rb_status status = rb_jwt_verify(access->keys, token, &access->expected,
                                          rb_clock_unix_ms(), &claims, &problem);
    if (status == RB_OK)
        status = rb_grant_read(claims, session, grant, &problem);
    json_decref(claims);
    if (status == RB_NOMEM)
        return rb_verdict_no_memory;
    if (status != RB_OK)
        return (struct rb_verdict){401, problem, "invalid_token", RB_COUNT_REFUSED_TOKEN};
    return rb_verdict_admitted;
}

/* All of them, or the verdict. */
struct rb_verdict rb_admit_judge(const struct rb_grant *grant,
                                 const struct rb_wait *wait) {
    for (size_t i = 0; i < wait->count; i++) {
        struct rb_text channel = rb_text_of(wait->channels[i]);
        if (!rb_me_is(channel) && !rb_grant_hears(grant, channel))
            return rb_verdict_not_named;
    }
    return rb_verdict_admitted;
}

static struct rb_verdict judge_token(struct rb_exchange *x, const struct rb_wait *wait) {
    char room[RB_JWT_MAX_BYTES + 2];
    struct rb_grant *grant;
    struct rb_text token = find_token(x, room, sizeof room);
    if (token.len == 0)
        return (struct rb_verdict){401, "A token is needed.", NULL,
                                   RB_COUNT_REFUSED_TOKEN};
    struct rb_verdict verdict =
        read_token(rb_exchange_server(x), token, rb_admit_session(x), &grant);
    if (verdict.status == 0)
        verdict = rb_admit_judge(grant, wait);
    if (verdict.status == 0)
        return rb_admit_let_in(x, grant);
    rb_grant_unref(grant);
    return verdict;
}

struct rb_verdict rb_admit_renew(struct rb_connection *c, struct rb_text token) {
    struct rb_grant *grant;
    if (!c->server->access->keys || !c->pass)
        return (struct rb_verdict){400, "Tokens are not looked at here.", NULL,
                                   RB_COUNTS};
    struct rb_verdict verdict = read_token(c->server, token, rb_pass_session(c), &grant);
    if (verdict.status == 0)
        rb_pass_renew(c, grant);
    return verdict;
}

void rb_admit(struct rb_exchange *x, const struct rb_wait *wait, rb_admitted_fn *fn) {
    struct rb_verdict verdict = rb_verdict_admitted;
    switch (rb_exchange_server(x)->access->mode) {
    case RB_AUTH_OPEN:
        verdict = rb_admit_let_in(x, NULL);
        break;
    case RB_AUTH_TOKEN:
        verdict = judge_token(x, wait);
        break;
    case RB_AUTH_HOOK:
        rb_admit_by_hook(x, wait, fn);
        return;
    }
    fn(x, wait, &verdict);
}

void rb_admit_more(struct rb_connection *c, struct rb_text channel, struct rb_text name,
                   struct rb_cursor cursor, rb_admitted_more_fn *fn) {
    if (rb_pass_hears(c, channel))
        fn(c, channel, name, cursor, &rb_verdict_admitted);
    else if (rb_pass_visitor(c))
        rb_admit_more_by_hook(c, channel, name, cursor, fn);
    else
        fn(c, channel, name, cursor, &rb_verdict_not_named);
}
