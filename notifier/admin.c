/* The paths of the admin listener, and how the process is. */
#include "notifier/admin.h"

#include <stdio.h>

#include "jobs/name.h"
#include "notifier/access.h"
#include "notifier/admin_browser.h"
#include "notifier/asset.h"
#include "notifier/revoke.h"
#include "notifier/route.h"
#include "notifier/server.h"

#define METRICS_BYTES ((size_t)16 * 1024 * 1024)
#define JOB_ID "a job's id: 1 to 128 of A-Z a-z 0-9 _ . : @ = ~ and -"
#define NO_STORE "Cache-Control: no-store\r\n"

void rb_admin_redis_failed(struct rb_exchange *x, enum rb_status status,
                           const char *words) {
    char detail[320];
    if (words[0] != '\0')
        snprintf(detail, sizeof detail, "Redis refused: %s", words);
    else
        snprintf(detail, sizeof detail, "Redis: %s.", rb_status_text(status));
    rb_exchange_problem(x, 503, detail, RB_TEXT("Retry-After: 1\r\n"));
}

void rb_admin_answer_json(struct rb_exchange *x, int status, const struct rb_buffer *json,
                          struct rb_text fields) {
    struct rb_buffer all;
    rb_buffer_init(&all, fields.len + sizeof NO_STORE);
    rb_buffer_string(&all, NO_STORE);
    rb_buffer_text(&all, fields);
    if (json->status == RB_OK && all.status == RB_OK)
        rb_exchange_answer(x, status, "application/json", rb_buffer_view(json),
                           rb_buffer_view(&all));
    else
        rb_exchange_problem(x, 503, "Out of memory.", RB_TEXT("Retry-After: 1\r\n"));
    rb_buffer_fini(&all);
}

static void show_health(struct rb_exchange *x, struct rb_text name) {
    (void)name;
    rb_exchange_answer(x, 200, "application/json", RB_TEXT("{\"status\":\"ok\"}"),
                       RB_TEXT(NO_STORE));
}

static void show_readiness(struct rb_exchange *x, struct rb_text name) {
    const struct rb_server *server = rb_exchange_server(x);
    (void)name;
    if (server->draining)
        rb_exchange_problem(x, 503, "The process is ending.", RB_TEXT(NO_STORE));
    else if (!rb_feed_ready(server->feed))
        rb_admin_redis_failed(x, RB_UNAVAILABLE, rb_feed_last_error(server->feed));
    else
        rb_exchange_answer(x, 200, "application/json", RB_TEXT("{\"status\":\"ready\"}"),
                           RB_TEXT(NO_STORE));
}

static void show_metrics(struct rb_exchange *x, struct rb_text name) {
    struct rb_buffer out;
    (void)name;
    rb_buffer_init(&out, METRICS_BYTES);
    rb_metrics_write(rb_exchange_server(x)->metrics, &out);
    if (out.status == RB_OK)
        rb_exchange_answer(x, 200, "text/plain; version=0.0.4; charset=utf-8",
                           rb_buffer_view(&out), RB_TEXT(NO_STORE));
    else
        rb_exchange_problem(x, 503, "Out of memory.", RB_TEXT("Retry-After: 1\r\n"));
    rb_buffer_fini(&out);
}

static void describe(struct rb_exchange *x, struct rb_text name) {
    (void)name;
    rb_route_asset(x, &rb_asset_openapi_json, "application/json");
}

/* Jobs are enqueued by their service, and cancelled by their id. */
static void enqueue(struct rb_exchange *x, struct rb_text name) {
    if (rb_name_is_service(name))
        rb_admin_enqueue(x, name);
    else
        rb_exchange_problem(x, 400,
                            "A service's name is 1 to 64 of a-z 0-9 _ and -, beginning "
                            "with a letter or digit.",
                            RB_TEXT(""));
}

/* One name stands behind a path that ends with '/', none behind the others. */
static const struct route {
    const char *path;
    const char *allow;
    bool (*legal)(struct rb_text name);
    const char *expected;
    void (*get)(struct rb_exchange *x, struct rb_text name);
    void (*post)(struct rb_exchange *x, struct rb_text name);
    void (*remove)(struct rb_exchange *x, struct rb_text name);
    bool open; /* needs no token */
    bool raw;  /* what stands behind the path is handed on as it came, still encoded */
} routes[] = {
    {.path = "/jobs/",
     .allow = "GET, HEAD, POST, DELETE",
     .legal = rb_name_is_job_id,
     .expected = "To POST, a service's name (a-z 0-9 _ and -), else " JOB_ID ".",
     .get = rb_admin_show_job,
     .post = enqueue,
     .remove = rb_admin_cancel},
    {.path = "/dead", .allow = "GET, HEAD", .get = rb_admin_list_dead},
    {.path = "/dead/",
     .allow = "GET, HEAD, POST, DELETE",
     .legal = rb_name_is_job_id,
     .expected = "It must be " JOB_ID ".",
     .get = rb_admin_show_dead,
     .post = rb_admin_retry_dead,
     .remove = rb_admin_drop_dead},
    {.path = "/paused", .allow = "GET, HEAD", .get = rb_admin_show_paused},
    {.path = "/paused/",
     .allow = "POST, DELETE",
     .legal = rb_name_is_queue,
     .expected = "A queue's name is 1 to 64 of A-Z a-z 0-9 _ . : @ = ~ and -.",
     .post = rb_admin_pause,
     .remove = rb_admin_resume},
    {.path = "/publish", .allow = "POST", .post = rb_admin_publish_many},
    {.path = "/publish/",
     .allow = "POST",
     .legal = rb_name_is_channel,
     .raw = true,
     .post = rb_admin_publish},
    {.path = "/channels", .allow = "GET, HEAD", .get = rb_admin_list_channels},
    {.path = "/channels/",
     .allow = "GET, HEAD, DELETE",
     .legal = rb_name_is_channel,
     .expected = "A channel's name is 1 to 128 of A-Z a-z 0-9 _ . : @ = ~ and -.",
     .get = rb_admin_show_channel,
     .remove = rb_admin_forget_channel},
    {.path = "/connections", .allow = "GET, HEAD", .get = rb_admin_list_connections},
    {.path = "/connections/",
     .allow = "DELETE",
     .legal = rb_name_is_job_id,
     .expected = "A connection's id is one that GET /connections tells.",
     .remove = rb_admin_drop_connection},
    {.path = "/subscriptions", .allow = "DELETE", .remove = rb_admin_revoke},
    {.path = "/status", .allow = "GET, HEAD", .get = rb_admin_show_status},
    {.path = "/healthz", .allow = "GET, HEAD", .get = show_health, .open = true},
    {.path = "/readyz", .allow = "GET, HEAD", .get = show_readiness, .open = true},
    {.path = "/metrics", .allow = "GET, HEAD", .get = show_metrics},
    {.path = "/openapi.json", .allow = "GET, HEAD", .get = describe},
    {.path = "/", .allow = "GET, HEAD", .get = rb_admin_show_page, .open = true},
    {.path = "/dashboard.css",
     .allow = "GET, HEAD",
     .get = rb_admin_show_style,
     .open = true},
    {.path = "/dashboard.js",
     .allow = "GET, HEAD",
     .get = rb_admin_show_script,
     .open = true},
    {.path = "/dashboard_parts.js",
     .allow = "GET, HEAD",
     .get = rb_admin_show_parts,
     .open = true},
};

static const struct route *find_route(struct rb_text path, struct rb_text *rest) {
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        struct rb_text own = rb_text_of(routes[i].path);
        if (!rb_text_starts(path, own))
            continue;
        *rest = rb_text(path.at + own.len, path.len - own.len);
        bool fits = routes[i].legal ? rest->len > 0 && !memchr(rest->at, '/', rest->len)
                                    : rest->len == 0;
        if (fits)
            return &routes[i];
    }
    return NULL;
}

/* A browser shows pages of anybody, and some of them may be after us. */
static bool may_show(struct rb_exchange *x, const struct rb_http_request *request) {
    struct rb_server *server = rb_exchange_server(x);
    const char *why = rb_admin_browser(request, &server->settings->notifier.admin_hosts,
                                       rb_exchange_tls(x));
    unsigned held;
    if (!why)
        return true;
    rb_count(server, RB_COUNT_REFUSED_ADMIN, 1);
    if (rb_server_line(server, RB_LINE_ADMIN, &held))
        rb_log(RB_LOG_WARN, "admin.refused", RB_S("why", "browser"),
               RB_T("host", rb_http_header(request, "host")),
               RB_T("origin", rb_http_header(request, "origin")),
               RB_I("suppressed", held));
    rb_exchange_problem(x, 403, why, RB_TEXT(""));
    return false;
}

/* From an address and with a token that may; who looks only whether the process lives
 * needs no token. */
static bool may_ask(struct rb_exchange *x, const struct rb_http_request *request,
                    bool open) {
    struct rb_server *server = rb_exchange_server(x);
    struct rb_text token = rb_http_header(request, "authorization");
    struct sockaddr_storage at;
    const char *why = NULL;
    unsigned held;
    if (!rb_exchange_address(x, &at))
        return false; /* the client is gone */
    if (token.len > 7 && rb_text_equal_nocase(rb_text(token.at, 7), RB_TEXT("Bearer ")))
        token = rb_text_trim(rb_text(token.at + 7, token.len - 7));
    else
        token = RB_TEXT("");
    if (!rb_access_admin_from(server->access, (const struct sockaddr *)&at))
        why = "This address may not ask here.";
    else if (open || rb_access_admin_token(server->access, token))
        return true;
    rb_count(server, RB_COUNT_REFUSED_ADMIN, 1);
    if (rb_server_line(server, RB_LINE_ADMIN, &held))
        rb_log(RB_LOG_WARN, "admin.refused", RB_S("why", why ? "address" : "token"),
               RB_I("suppressed", held));
    if (why)
        rb_exchange_problem(x, 403, why, RB_TEXT(""));
    else
        rb_exchange_problem(
            x, 401, "A token is needed.",
            RB_TEXT("WWW-Authenticate: Bearer realm=\"ringback admin\"\r\n"));
    return false;
}

bool rb_admin_admits(struct rb_exchange *x) {
    const struct rb_http_request *request = rb_exchange_request(x);
    struct rb_text rest;
    if (!may_show(x, request))
        return false;
    const struct route *route = find_route(request->path, &rest);
    return may_ask(x, request, route && route->open);
}

static void dispatch(struct rb_exchange *x, const struct route *route,
                     struct rb_text name) {
    enum rb_http_method method = rb_exchange_request(x)->method;
    void (*handle)(struct rb_exchange *, struct rb_text) = NULL;
    if (method == RB_HTTP_GET || method == RB_HTTP_HEAD)
        handle = route->get;
    else if (method == RB_HTTP_POST)
        handle = route->post;
    else if (method == RB_HTTP_DELETE)
        handle = route->remove;
    if (handle)
        handle(x, name);
    else
        rb_route_not_allowed(x, route->allow);
}

void rb_route_admin(struct rb_exchange *x) {
    const struct rb_http_request *request = rb_exchange_request(x);
    char name[RB_CHANNEL_MAX + 1] = "";
    size_t len = 0;
    struct rb_text rest;
    if (!rb_admin_admits(x))
        return;
    const struct route *route = find_route(request->path, &rest);
    if (!route) {
        rb_exchange_problem(x, 404, "Nothing is here.", RB_TEXT(""));
        return;
    }
    if (route->raw) {
        dispatch(x, route, rest);
        return;
    }
    if (route->legal && (rb_http_decode(rest, name, sizeof name, &len) != RB_OK ||
                         !route->legal(rb_text(name, len)))) {
        rb_exchange_problem(x, 400, route->expected, RB_TEXT(""));
        return;
    }
    dispatch(x, route, rb_text(name, len));
}
