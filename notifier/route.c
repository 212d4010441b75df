/* The public listener's few paths. */
#include "notifier/route.h"

#include <stdio.h>

#include "notifier/admit.h"
#include "notifier/asset.h"
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
static void refuse(struct rb_exchange *x, int status, const char *problem) {
    struct rb_buffer fields;
    rb_buffer_init(&fields, 4096);
    rb_transport_fields(x, &fields);
    rb_exchange_problem(x, status, problem, rb_buffer_view(&fields));
    rb_buffer_fini(&fields);
}

static void refuse_counted(struct rb_exchange *x, enum rb_count count, int status,
                           const char *problem) {
    struct rb_server *server = rb_exchange_server(x);
    unsigned held;
    rb_count(server, count, 1);
    if (rb_server_line(server, RB_LINE_REFUSED, &held))
        rb_log(RB_LOG_INFO, "wait.refused", RB_I("status", status),
               RB_T("origin", rb_http_header(rb_exchange_request(x), "origin")),
               RB_S("why", problem), RB_I("suppressed", held));
    refuse(x, status, problem);
}

static void on_admitted(struct rb_exchange *x, const struct rb_wait *wait, int status,
                        const char *problem) {
    if (status != 0)
        refuse_counted(x, RB_COUNT_REFUSED_ADMISSION, status, problem);
    else if (!rb_exchange_gone(x))
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

static void answer_head(struct rb_exchange *x, const struct rb_wait *wait) {
    struct rb_buffer fields;
    rb_buffer_init(&fields, 4096);
    rb_transport_fields(x, &fields);
    rb_exchange_answer(x, 200, rb_transport_of(wait->transport)->content_type,
                       RB_TEXT(""), rb_buffer_view(&fields));
    rb_buffer_fini(&fields);
}

/* A proxy that was not told to pass Upgrade on leaves the key behind as its trace. */
static bool is_broken_handshake(const struct rb_http_request *request) {
    return !request->upgrade_websocket &&
           rb_http_header(request, "sec-websocket-key").at != NULL;
}

static void handle_wait(struct rb_exchange *x) {
    const struct rb_http_request *request = rb_exchange_request(x);
    const char *cookie = rb_exchange_server(x)->settings->notifier.session_cookie;
    const char *problem = "";
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
    int status = rb_wait_parse(request, rb_text_of(cookie), &wait, &problem);
    if (status != 0)
        refuse(x, status, problem);
    else if (request->method == RB_HTTP_HEAD && request->upgrade_websocket)
        rb_route_not_allowed(x, "GET");
    else if (request->method == RB_HTTP_HEAD)
        answer_head(x, &wait);
    else if (comes_from_elsewhere(x, &wait))
        refuse_counted(x, RB_COUNT_REFUSED_ORIGIN, 403, "This origin may not wait here.");
    else
        rb_admit(x, &wait, on_admitted);
}

static void handle_asset(struct rb_exchange *x, const struct rb_asset *asset) {
    const struct rb_http_request *request = rb_exchange_request(x);
    char fields[256], tag[64];
    if (!is_read(request)) {
        rb_route_not_allowed(x, "GET, HEAD");
        return;
    }
    snprintf(tag, sizeof tag, "\"%s\"", asset->sha1);
    snprintf(fields, sizeof fields,
             "ETag: %s\r\nCache-Control: public, max-age=300\r\n"
             "Access-Control-Allow-Origin: *\r\nX-Content-Type-Options: nosniff\r\n",
             tag);
    if (rb_http_list_has(rb_http_header(request, "if-none-match"), tag))
        rb_exchange_answer(x, 304, NULL, RB_TEXT(""), rb_text_of(fields));
    else
        rb_exchange_answer(x, 200, "text/javascript; charset=utf-8",
                           rb_text(asset->bytes, asset->len), rb_text_of(fields));
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
        refuse_counted(x, RB_COUNT_REFUSED_ORIGIN, 403, "This origin may not ask here.");
    else
        rb_echo_begin(x);
}

void rb_route_public(struct rb_exchange *x) {
    const struct rb_http_request *request = rb_exchange_request(x);
    if (rb_text_starts(request->path, RB_TEXT("/wait/")))
        handle_wait(x);
    else if (rb_text_is(request->path, "/ringback.js"))
        handle_asset(x, &rb_asset_ringback_js);
    else if (rb_text_is(request->path, "/echo") &&
             rb_exchange_server(x)->settings->notifier.echo)
        handle_echo(x);
    else if (rb_text_is(request->path, "*"))
        answer_preflight(x);
    else
        rb_exchange_problem(x, 404, "Nothing is here.", RB_TEXT(""));
}
