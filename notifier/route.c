/* The public listener's few paths. */
#include "notifier/route.h"

#include <stdio.h>

#include "notifier/admit.h"
#include "notifier/asset.h"
#include "notifier/result.h"
#include "notifier/server.h"
#include "notifier/transport.h"

void rb_route_not_allowed(struct rb_exchange *x, const char *allow) {
    char fields[128];
    snprintf(fields, sizeof fields, "Allow: %s\r\n", allow);
    rb_exchange_problem(x, 405, "This can't be done here.", rb_text_of(fields));
}

static bool is_read(const struct rb_http_request *request) {
    return request->method == RB_HTTP_GET || request->method == RB_HTTP_HEAD;
}

static const struct rb_list *origins_of(const struct rb_exchange *x) {
    return &rb_exchange_server(x)->settings->notifier.origins;
}

static void answer_preflight(struct rb_exchange *x) {
    struct rb_buffer fields;
    rb_buffer_init(&fields, 4096);
    rb_buffer_string(&fields, "Allow: GET, HEAD, OPTIONS\r\n");
    rb_admit_preflight(origins_of(x), rb_exchange_request(x), &fields);
    rb_exchange_answer(x, 204, NULL, RB_TEXT(""), rb_buffer_view(&fields));
    rb_buffer_fini(&fields);
}

/* A page's script may read why it was refused. */
static void refuse(struct rb_exchange *x, const struct rb_verdict *verdict) {
    struct rb_buffer fields;
    rb_buffer_init(&fields, 4096);
    rb_transport_fields(x, &fields);
    if (verdict->status == 401 || verdict->error)
        rb_buffer_string(&fields, "WWW-Authenticate: Bearer realm=\"ringback\"");
    if (verdict->error)
        rb_buffer_printf(&fields, ", error=\"%s\", error_description=\"%s\"",
                         verdict->error, verdict->problem);
    if (verdict->status == 401 || verdict->error)
        rb_buffer_string(&fields, "\r\n");
    if (verdict->status == 503)
        rb_buffer_string(&fields, "Retry-After: 1\r\n");
    rb_exchange_problem(x, verdict->status, verdict->problem, rb_buffer_view(&fields));
    rb_buffer_fini(&fields);
}

static void refuse_counted(struct rb_exchange *x, const struct rb_verdict *verdict) {
    struct rb_server *server = rb_exchange_server(x);
    unsigned held;
    if (!rb_exchange_gone(x)) {
        rb_count(server, verdict->count, 1);
        if (rb_server_line(server, RB_LINE_REFUSED, &held))
            rb_log(RB_LOG_INFO, "wait.refused", RB_I("status", verdict->status),
                   RB_T("origin", rb_http_header(rb_exchange_request(x), "origin")),
                   RB_S("why", verdict->problem), RB_I("suppressed", held));
        refuse(x, verdict);
    }
}

static void refuse_origin(struct rb_exchange *x) {
    const struct rb_verdict verdict = {403, "Pages of this origin are not served here.",
                                       NULL, RB_COUNT_REFUSED_ORIGIN};
    refuse_counted(x, &verdict);
}

static void answer_head(struct rb_exchange *x, const struct rb_wait *wait) {
    bool script = wait->callback[0] != '\0';
    struct rb_buffer fields;
    rb_buffer_init(&fields, 4096);
    rb_transport_fields(x, &fields);
    if (script)
        rb_buffer_string(&fields, "X-Content-Type-Options: nosniff\r\n");
    rb_exchange_answer(x, 200,
                       script ? "text/javascript; charset=utf-8"
                              : rb_transport_of(wait->transport)->content_type,
                       RB_TEXT(""), rb_buffer_view(&fields));
    rb_buffer_fini(&fields);
}

static void on_admitted(struct rb_exchange *x, const struct rb_wait *wait,
                        const struct rb_verdict *verdict) {
    if (verdict->status != 0)
        refuse_counted(x, verdict);
    else if (rb_exchange_gone(x))
        return;
    else if (rb_exchange_request(x)->method == RB_HTTP_HEAD)
        answer_head(x, wait);
    else if (rb_result_is_asked(x, wait))
        rb_result_answer(x, wait);
    else
        rb_transport_of(wait->transport)->begin(x, wait);
}

/* What a script tag or a WebSocket reads is not guarded by CORS: the browser tells who
 * asks, and the list decides here. */
static bool comes_from_elsewhere(const struct rb_exchange *x,
                                 const struct rb_wait *wait) {
    const struct rb_http_request *request = rb_exchange_request(x);
    if (wait->transport == RB_TRANSPORT_WEBSOCKET)
        return !rb_admit_origin(origins_of(x), rb_http_header(request, "origin"));
    return wait->callback[0] != '\0' &&
           rb_text_is(rb_http_header(request, "sec-fetch-site"), "cross-site") &&
           !rb_admit_origin(origins_of(x), RB_TEXT("null"));
}

/* A proxy that was not told to pass Upgrade on leaves the key behind as its trace. */
static bool is_broken_handshake(const struct rb_http_request *request) {
    return !request->upgrade_websocket &&
           rb_http_header(request, "sec-websocket-key").at != NULL;
}

static void handle_wait(struct rb_exchange *x) {
    const struct rb_http_request *request = rb_exchange_request(x);
    const struct rb_settings *settings = rb_exchange_server(x)->settings;
    bool cookies = rb_admit_cookies(&settings->notifier.origins, request);
    const char *cookie = cookies ? settings->notifier.session_cookie : "";
    struct rb_verdict bad = {0, "", NULL, RB_COUNT_REFUSED_REQUEST};
    struct rb_wait wait;
    if (request->method == RB_HTTP_OPTIONS) {
        answer_preflight(x);
        return;
    }
    if (!is_read(request)) {
        rb_route_not_allowed(x, "GET, HEAD, OPTIONS");
        return;
    }
    if (is_broken_handshake(request)) {
        rb_exchange_problem(x, 426, "Upgrade and Connection are missing.",
                            RB_TEXT("Upgrade: websocket\r\nConnection: Upgrade\r\n"
                                    "Sec-WebSocket-Version: 13\r\n"));
        return;
    }
    bad.status = rb_wait_parse(request, rb_text_of(cookie), &wait, &bad.problem);
    if (bad.status != 0)
        refuse_counted(x, &bad);
    else if (request->method == RB_HTTP_HEAD && request->upgrade_websocket)
        rb_route_not_allowed(x, "GET");
    else if (comes_from_elsewhere(x, &wait))
        refuse_origin(x);
    else
        rb_admit(x, &wait, on_admitted);
}

/* Weak comparison (RFC 9110 §13.1.2): what compresses on the way weakens the tag. */
static bool is_known(struct rb_text if_none_match, const char *tag) {
    char weak[80];
    snprintf(weak, sizeof weak, "W/%s", tag);
    return rb_http_list_has(if_none_match, tag) ||
           rb_http_list_has(if_none_match, weak) || rb_text_is(if_none_match, "*");
}

/* The client library's files by path. */
static const struct rb_asset *find_asset(struct rb_text path) {
    static const struct rb_asset *const assets[] = {
        &rb_asset_ringback_js, &rb_asset_ringback_mjs, &rb_asset_ring_back_js,
        &rb_asset_ringback_enqueue_js, &rb_asset_ringback_tabs_js};
    for (size_t i = 0; path.len > 1 && i < sizeof assets / sizeof *assets; i++)
        if (rb_text_is(rb_text(path.at + 1, path.len - 1), assets[i]->name))
            return assets[i];
    return NULL;
}

void rb_route_file(struct rb_exchange *x, const struct rb_asset *asset,
                   const char *content_type, const char *more) {
    const struct rb_http_request *request = rb_exchange_request(x);
    struct rb_buffer fields;
    char tag[64];
    if (!is_read(request)) {
        rb_route_not_allowed(x, "GET, HEAD");
        return;
    }
    snprintf(tag, sizeof tag, "\"%s\"", asset->sha1);
    rb_buffer_init(&fields, 4096);
    rb_buffer_printf(&fields, "ETag: %s\r\n%s", tag, more);
    if (is_known(rb_http_header(request, "if-none-match"), tag))
        rb_exchange_answer(x, 304, NULL, RB_TEXT(""), rb_buffer_view(&fields));
    else
        rb_exchange_answer(x, 200, content_type, rb_text(asset->bytes, asset->len),
                           rb_buffer_view(&fields));
    rb_buffer_fini(&fields);
}

void rb_route_asset(struct rb_exchange *x, const struct rb_asset *asset,
                    const char *content_type) {
    rb_route_file(x, asset, content_type,
                  "Cache-Control: public, max-age=300\r\n"
                  "Access-Control-Allow-Origin: *\r\n"
                  "X-Content-Type-Options: nosniff\r\n");
}

static void handle_echo(struct rb_exchange *x) {
    const struct rb_http_request *request = rb_exchange_request(x);
    if (request->method != RB_HTTP_GET)
        rb_route_not_allowed(x, "GET");
    else if (!request->upgrade_websocket)
        rb_exchange_problem(x, 426, "Only WebSocket is spoken here.",
                            RB_TEXT("Upgrade: websocket\r\nConnection: Upgrade\r\n"
                                    "Sec-WebSocket-Version: 13\r\n"));
    else if (!rb_admit_origin(origins_of(x), rb_http_header(request, "origin")))
        refuse_origin(x);
    else
        rb_echo_begin(x);
}

void rb_route_public(struct rb_exchange *x) {
    const struct rb_http_request *request = rb_exchange_request(x);
    const struct rb_asset *asset = find_asset(request->path);
    if (rb_text_starts(request->path, RB_TEXT("/wait/")))
        handle_wait(x);
    else if (asset)
        rb_route_asset(x, asset, "text/javascript; charset=utf-8");
    else if (rb_text_is(request->path, "/echo") &&
             rb_exchange_server(x)->settings->notifier.echo)
        handle_echo(x);
    else if (rb_text_is(request->path, "*"))
        answer_preflight(x);
    else
        rb_exchange_problem(x, 404, "Nothing is here.", RB_TEXT(""));
}
