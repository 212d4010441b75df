/* Speaking HTTP on a connection: requests are read one after the other, each becomes an
 * exchange, and the next one is looked at when it is answered. */
#include <stdlib.h>
#include <string.h>

#include "notifier/admin.h"
#include "notifier/connection.h"
#include "notifier/exchange_core.h"
#include "notifier/forwarded.h"
#include "notifier/http_response.h"
#include "notifier/transport.h"

#define HEAD_BYTES ((size_t)16 * 1024)
#define ANSWERED 1u   /* bit of the connection: it is not the first request any more */
#define IDLE_MS 65000 /* between two requests; longer than nginx keeps its side */
#define AHEAD_BYTES ((size_t)64 * 1024) /* of requests behind the one being answered */
#define SPARE_PARSERS (sizeof((struct rb_server *)0)->spare_parsers[0] / sizeof(void *))

/* --- parsers are lent: most requests come whole and are over at once --- */

static struct rb_http_parser *take_parser(struct rb_server *server, enum rb_side side) {
    unsigned *count = &server->spare_parser_count[side];
    if (*count > 0)
        return server->spare_parsers[side][--*count];
    const struct rb_http_limits limits = {
        .head_bytes = HEAD_BYTES,
        .body_bytes = side == RB_SIDE_ADMIN ? RB_ADMIN_BODY_BYTES : 0};
    return rb_http_parser_new(&limits);
}

static void give_parser(struct rb_server *server, enum rb_side side,
                        struct rb_http_parser *parser) {
    unsigned *count = &server->spare_parser_count[side];
    /* A large body's memory is not kept for the next one. */
    if (*count == SPARE_PARSERS ||
        (parser && rb_http_parser_request(parser)->body.len > AHEAD_BYTES)) {
        rb_http_parser_free(parser);
        return;
    }
    rb_http_parser_reset(parser);
    server->spare_parsers[side][(*count)++] = parser;
}

/* --- exchanges --- */

static struct rb_exchange *exchange_new(struct rb_connection *c) {
    struct rb_exchange *x = calloc(1, sizeof *x);
    struct rb_http_parser *parser = x ? take_parser(c->server, c->side) : NULL;
    if (!parser) {
        free(x);
        return NULL;
    }
    x->server = c->server;
    x->connection = c;
    x->side = c->side;
    x->parser = parser;
    return x;
}

void rb_exchange_drop_request(struct rb_exchange *x) {
    if (x->parser)
        give_parser(x->server, (enum rb_side)x->side, x->parser);
    x->parser = NULL;
}

static void free_if_done(struct rb_exchange *x) {
    if (x->refs > 0 || x->connection)
        return;
    rb_exchange_drop_request(x);
    free(x->ahead);
    free(x);
}

struct rb_exchange *rb_exchange_hold(struct rb_exchange *x) {
    x->refs++;
    return x;
}

void rb_exchange_release(struct rb_exchange *x) {
    if (x->refs == 1 && x->connection && !x->answered)
        rb_exchange_problem(x, 500, "The request was not answered.", RB_TEXT(""));
    x->refs--;
    free_if_done(x);
}

bool rb_exchange_answered(const struct rb_exchange *x) { return x->answered; }

bool rb_exchange_gone(const struct rb_exchange *x) {
    return !x->answered && !x->connection;
}

void rb_exchange_on_gone(struct rb_exchange *x,
                         void (*fn)(void *ctx, struct rb_exchange *exchange), void *ctx) {
    x->on_gone = fn;
    x->ctx = ctx;
}

void rb_exchange_on_stop(struct rb_exchange *x,
                         void (*fn)(void *ctx, struct rb_exchange *exchange), void *ctx) {
    x->on_stop = fn;
    x->stop_ctx = ctx;
}

const struct rb_http_request *rb_exchange_request(const struct rb_exchange *x) {
    return rb_http_parser_request(x->parser);
}

struct rb_server *rb_exchange_server(const struct rb_exchange *x) {
    return x->server;
}

bool rb_exchange_address(const struct rb_exchange *x, struct sockaddr_storage *address) {
    if (!x->connection || !rb_connection_address(x->connection, address))
        return false;
    if (x->parser)
        rb_forwarded_client(x->server->access, rb_http_parser_request(x->parser),
                            address);
    return true;
}

bool rb_exchange_tls(const struct rb_exchange *x) {
    return x->connection && x->connection->tls;
}

/* The client is gone: whoever holds the exchange is told, and answers into nothing. */
void rb_exchange_detach(struct rb_exchange *x) {
    void (*fn)(void *, struct rb_exchange *) = x->on_gone;
    x->refs++;
    x->connection = NULL;
    x->on_gone = NULL;
    if (fn && !x->answered)
        fn(x->ctx, x);
    x->refs--;
    free_if_done(x);
}

struct rb_connection *rb_exchange_waiter(struct rb_exchange *x) {
    struct rb_connection *c = x->connection;
    if (c && x->ended) {
        rb_connection_doom(c, RB_COUNTS, NULL); /* it is there for one answer, no more */
        return NULL;
    }
    return c;
}

struct rb_connection *rb_exchange_take(struct rb_exchange *x) {
    struct rb_connection *c = rb_exchange_waiter(x);
    if (!c)
        return NULL;
    x->answered = true;
    x->connection = NULL;
    c->work = NULL;
    rb_connection_timer(c, -1);
    return c;
}

/* The connection looks at what came behind the request: the next one takes it over. */
static void begin_next(struct rb_connection *c, struct rb_exchange *x) {
    struct rb_exchange *next = NULL;
    if (x->ahead) {
        next = exchange_new(c);
        if (!next) {
            rb_connection_doom(c, RB_COUNT_CLOSED_MEMORY, "out of memory");
            return;
        }
        next->timed = true;
        next->ahead = x->ahead;
        next->ahead_len = x->ahead_len;
        x->ahead = NULL;
        rb_connection_touch(c);
    }
    c->work = next;
    rb_connection_timer(c, next ? c->server->settings->notifier.head_timeout : IDLE_MS);
}

static void finish(struct rb_exchange *x, const struct rb_buffer *out) {
    struct rb_connection *c = x->connection;
    x->answered = true;
    if (!c)
        return;
    c->work = NULL;
    c->bits = ANSWERED;
    x->connection = NULL;
    rb_connection_send_buffer(c, out);
    if (x->close || x->ended || c->server->draining)
        rb_connection_close(c);
    else if (!c->doomed)
        begin_next(c, x);
}

static bool may_answer(const struct rb_exchange *x) {
    return !x->answered && x->connection;
}

static bool stays_open(const struct rb_exchange *x) {
    return !x->close && !x->ended && !x->server->draining;
}

bool rb_exchange_keep_alive(const struct rb_exchange *x) { return stays_open(x); }

void rb_exchange_answer(struct rb_exchange *x, int status, const char *content_type,
                        struct rb_text body, struct rb_text fields) {
    struct rb_buffer *out = &x->server->answer;
    if (!may_answer(x))
        return;
    rb_buffer_clear(out);
    rb_http_answer(out, status, content_type, body, stays_open(x), x->head_only,
                   rb_server_date(x->server), fields);
    finish(x, out);
}

void rb_exchange_problem(struct rb_exchange *x, int status, const char *detail,
                         struct rb_text fields) {
    struct rb_buffer *out = &x->server->answer;
    if (!may_answer(x))
        return;
    rb_buffer_clear(out);
    rb_http_problem(out, status, detail, stays_open(x), x->head_only,
                    rb_server_date(x->server), fields);
    finish(x, out);
}

/* --- reading --- */

static void refuse(struct rb_exchange *x, int status, const char *problem) {
    struct rb_server *server = x->server;
    unsigned held;
    rb_count(server, RB_COUNT_REFUSED_REQUEST, 1);
    if (rb_server_line(server, RB_LINE_BAD_REQUEST, &held))
        rb_log(RB_LOG_INFO, "http.bad_request", RB_I("status", status),
               RB_S("why", problem), RB_I("suppressed", held));
    x->close = true;
    x->head_only = rb_exchange_request(x)->method == RB_HTTP_HEAD;
    rb_exchange_hold(x);
    rb_exchange_problem(x, status, problem, RB_TEXT(""));
    rb_exchange_release(x);
}

/* Beyond max_connections: an EventSource never comes back after an error, so it is told
 * when to come instead. */
static void refuse_over(struct rb_exchange *x) {
    const struct rb_http_request *request = rb_exchange_request(x);
    x->close = true;
    if (rb_http_accepts(rb_http_header(request, "accept"), "text/event-stream"))
        rb_exchange_answer(x, 200, "text/event-stream", RB_TEXT("retry: 10000\n\n"),
                           RB_TEXT("Cache-Control: no-store\r\n"
                                   "Access-Control-Allow-Origin: *\r\n"));
    else
        rb_exchange_problem(x, 503, "This server holds as many connections as it may.",
                            RB_TEXT("Retry-After: 10\r\n"));
}

static void dispatch(struct rb_connection *c, struct rb_exchange *x) {
    const struct rb_http_request *request = rb_exchange_request(x);
    x->whole = true;
    x->close = !request->keep_alive;
    x->head_only = request->method == RB_HTTP_HEAD;
    rb_count(c->server, RB_COUNT_REQUESTS, 1);
    rb_exchange_hold(x);
    if (c->over || rb_listener_recount(c, x))
        refuse_over(x);
    else
        c->server->handlers[c->side](x);
    rb_exchange_release(x);
}

/* Bytes behind a request that is not answered yet are kept, a bounded number of them. */
void rb_exchange_ahead(struct rb_exchange *x, const char *bytes, size_t len) {
    struct rb_connection *c = x->connection;
    char *ahead = len > 0 ? realloc(x->ahead, x->ahead_len + len) : x->ahead;
    if (len > 0 && !ahead) {
        rb_connection_doom(c, RB_COUNT_CLOSED_MEMORY, "out of memory");
        return;
    }
    if (len > 0)
        memcpy(ahead + x->ahead_len, bytes, len);
    x->ahead = ahead;
    x->ahead_len += len;
    if (x->ahead_len > AHEAD_BYTES)
        rb_connection_read(c, false);
}

static struct rb_exchange *current(struct rb_connection *c) {
    if (!c->work) {
        c->work = exchange_new(c);
        if (!c->work)
            rb_connection_doom(c, RB_COUNT_CLOSED_MEMORY, "out of memory");
    }
    return c->work;
}

/* A request that does not come in one piece has a time for its rest. */
static void time_head(struct rb_connection *c, struct rb_exchange *x) {
    if (!x->timed)
        rb_connection_timer(c, c->server->settings->notifier.head_timeout);
    x->timed = true;
}

/* Who may not ask is told before a body is taken in. */
static bool is_welcome(struct rb_connection *c, struct rb_exchange *x) {
    if (x->looked || c->side != RB_SIDE_ADMIN || !rb_http_parser_in_body(x->parser))
        return true;
    x->looked = true;
    x->close = true; /* with an answer now; else `dispatch` says */
    x->head_only = rb_exchange_request(x)->method == RB_HTTP_HEAD;
    x->refs++;
    bool welcome = rb_admin_admits(x);
    x->refs--;
    if (!welcome && !x->answered)
        rb_connection_doom(c, RB_COUNTS, NULL);
    else
        free_if_done(x);
    return welcome;
}

/* One request, or a part of one. Returns how many bytes were taken. */
static size_t take_request(struct rb_connection *c, struct rb_exchange *x,
                           const char *bytes, size_t len) {
    size_t taken;
    int status = 400;
    const char *problem = "";
    switch (rb_http_feed(x->parser, bytes, len, &taken, &status, &problem)) {
    case RB_HTTP_MORE:
        time_head(c, x);
        (void)is_welcome(c, x);
        return len;
    case RB_HTTP_CONTINUE:
        time_head(c, x);
        if (!is_welcome(c, x))
            return len;
        rb_connection_send(c, RB_TEXT("HTTP/1.1 100 Continue\r\n\r\n"));
        return len;
    case RB_HTTP_WHOLE:
        dispatch(c, x);
        return taken;
    case RB_HTTP_BAD:
        refuse(x, status, problem);
        return len;
    }
    return len;
}

static void http_bytes(struct rb_connection *c, char *bytes, size_t len) {
    while (len > 0 && !c->doomed && !c->closing) {
        if (c->role != &rb_role_http) { /* the request made it something else */
            c->role->bytes(c, bytes, len);
            return;
        }
        struct rb_exchange *x = current(c);
        if (!x)
            return;
        bool full = rb_connection_full(c);
        if (x->whole || x->ahead || full) {
            rb_exchange_ahead(x, bytes, len);
            if (full) /* who does not read the answers asks no more */
                rb_connection_read(c, false);
            return;
        }
        size_t taken = take_request(c, x, bytes, len);
        bytes += taken;
        len -= taken;
    }
}

/* What came while the last request was answered, or while the client did not read. */
static void http_turn(struct rb_connection *c) {
    struct rb_exchange *x = c->work;
    if (!x || x->whole || !x->ahead || rb_connection_full(c))
        return;
    char *bytes = x->ahead;
    size_t len = x->ahead_len;
    x->ahead = NULL;
    x->ahead_len = 0;
    rb_connection_read(c, true);
    http_bytes(c, bytes, len);
    free(bytes);
}

/* The time of a client that is still taking its answer has not begun. */
static void http_took(struct rb_connection *c) {
    const struct rb_exchange *x = c->work;
    if (!x)
        rb_connection_timer(c, IDLE_MS);
    else if (!x->whole && !rb_http_parser_begun(x->parser))
        rb_connection_timer(c, c->server->settings->notifier.head_timeout);
}

static void http_drained(struct rb_connection *c) {
    const struct rb_exchange *x = c->work;
    if (x && x->ahead && !x->whole)
        rb_connection_touch(c);
}

/* The client has said all it will say; a request that is being handled is answered. */
static void http_end(struct rb_connection *c) {
    struct rb_exchange *x = c->work;
    if (!x || !x->whole)
        rb_connection_doom(c, RB_COUNTS, NULL);
    else
        x->ended = true;
}

/* A request that is being handled outlives the time that it had to come. */
static void http_timeout(struct rb_connection *c) {
    struct rb_exchange *x = c->work;
    if (x && x->whole)
        return;
    if (!x || !rb_http_parser_begun(x->parser)) {
        rb_connection_doom(c, RB_COUNTS, NULL);
        return;
    }
    rb_count(c->server, RB_COUNT_CLOSED_HEAD, 1);
    refuse(x, 408, "The request did not come in time.");
}

static void http_leave(struct rb_connection *c) {
    struct rb_exchange *x = c->work;
    c->work = NULL;
    if (x)
        rb_exchange_detach(x);
}

/* What was begun is answered first; `finish` closes then. Who has not asked anything yet
 * may: we accepted it, and nobody else will answer. Who was answered and is idle expects
 * that its connection may end (RFC 9112 §9.5). */
static void http_stop(struct rb_connection *c) {
    struct rb_exchange *x = c->work;
    void (*fn)(void *, struct rb_exchange *) = x ? x->on_stop : NULL;
    if (!x && (c->bits & ANSWERED)) {
        rb_connection_doom(c, RB_COUNTS, NULL);
    } else if (!x) {
        rb_connection_timer(c, RB_FIRST_REQUEST_MS);
    } else if (!x->whole) {
        rb_connection_timer(c, c->server->settings->notifier.head_timeout);
    } else if (fn) {
        x->on_stop = NULL;
        fn(x->stop_ctx, x);
    }
}

const struct rb_role rb_role_http = {.name = "http",
                                     .gauge = RB_COUNT_CONNECTIONS_HTTP,
                                     .bytes = http_bytes,
                                     .end = http_end,
                                     .timeout = http_timeout,
                                     .turn = http_turn,
                                     .took = http_took,
                                     .drained = http_drained,
                                     .leave = http_leave,
                                     .stop = http_stop};
