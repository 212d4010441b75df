/* Reads a head of bounded size in bounded time, writes one answer, closes. */
#include "worker/scrape.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define HEAD_MAX_BYTES 4096
#define ANSWER_MAX_BYTES (8u * 1024 * 1024)
#define MAX_VISITORS 16
#define VISIT_S 10.0
#define BACKLOG 16
#define REST_S 1.0 /* when no descriptor is left for a visitor */

struct visitor {
    struct rb_scrape *scrape;
    TAILQ_ENTRY(visitor) link;
    ev_io io;
    ev_timer timer;
    size_t head_len;
    size_t written;
    struct rb_buffer answer;
    char head[HEAD_MAX_BYTES];
};

struct rb_scrape {
    struct ev_loop *loop;
    ev_io io;
    ev_timer rest;
    struct rb_scrape_options options;
    TAILQ_HEAD(, visitor) visitors;
    size_t count;
};

/* ---- the core ---- */

static void respond(struct rb_buffer *out, bool head_only, const char *status,
                    const char *type, struct rb_text body) {
    rb_buffer_printf(out,
                     "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                     "Cache-Control: no-store\r\nConnection: close\r\n\r\n",
                     status, type, body.len);
    if (!head_only)
        rb_buffer_text(out, body);
}

static void respond_words(struct rb_buffer *out, bool head_only, const char *status,
                          const char *words) {
    respond(out, head_only, status, "text/plain; charset=utf-8", rb_text_of(words));
}

static void respond_metrics(struct rb_buffer *out, bool head_only,
                            const struct rb_metrics *metrics) {
    struct rb_buffer body;
    rb_buffer_init(&body, ANSWER_MAX_BYTES);
    rb_metrics_write(metrics, &body);
    if (body.status == RB_OK)
        respond(out, head_only, "200 OK", "text/plain; version=0.0.4; charset=utf-8",
                rb_buffer_view(&body));
    else
        respond_words(out, head_only, "500 Internal Server Error", "too many metrics\n");
    rb_buffer_fini(&body);
}

enum rb_status rb_scrape_answer(struct rb_text head, bool ready,
                                const struct rb_metrics *metrics, struct rb_buffer *out) {
    struct rb_text rest, line, method, target;
    if (!memmem(head.at, head.len, "\r\n\r\n", 4)) {
        if (head.len < HEAD_MAX_BYTES)
            return RB_UNAVAILABLE;
        respond_words(out, false, "431 Request Header Fields Too Large", "too large\n");
        return RB_OK;
    }
    rest = head;
    if (!rb_text_next(&rest, '\r', &line) || !rb_text_next(&line, ' ', &method) ||
        !rb_text_next(&line, ' ', &target) || !rb_text_starts(line, RB_TEXT("HTTP/1."))) {
        respond_words(out, false, "400 Bad Request", "bad request\n");
        return RB_OK;
    }
    bool head_only = rb_text_is(method, "HEAD");
    struct rb_text path = target;
    rb_text_next(&target, '?', &path);
    if (!head_only && !rb_text_is(method, "GET"))
        respond_words(out, false, "405 Method Not Allowed", "GET or HEAD\n");
    else if (rb_text_is(path, "/metrics"))
        respond_metrics(out, head_only, metrics);
    else if (rb_text_is(path, "/healthz"))
        respond_words(out, head_only, "200 OK", "ok\n");
    else if (rb_text_is(path, "/readyz") && ready)
        respond_words(out, head_only, "200 OK", "ready\n");
    else if (rb_text_is(path, "/readyz"))
        respond_words(out, head_only, "503 Service Unavailable", "no lease yet\n");
    else
        respond_words(out, head_only, "404 Not Found", "not found\n");
    return RB_OK;
}

/* ---- sockets ---- */

static void visitor_free(struct visitor *v) {
    struct rb_scrape *scrape = v->scrape;
    ev_io_stop(scrape->loop, &v->io);
    ev_timer_stop(scrape->loop, &v->timer);
    close(v->io.fd);
    rb_buffer_fini(&v->answer);
    TAILQ_REMOVE(&scrape->visitors, v, link);
    if (scrape->count-- == MAX_VISITORS)
        ev_io_start(scrape->loop, &scrape->io);
    free(v);
}

static void on_timeout(struct ev_loop *loop, ev_timer *timer, int revents) {
    (void)loop, (void)revents;
    visitor_free(timer->data);
}

static bool blocks(void) {
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static void on_writable(struct visitor *v) {
    ssize_t n = send(v->io.fd, v->answer.at + v->written, v->answer.len - v->written,
                     MSG_NOSIGNAL);
    if (n < 0 && blocks())
        return;
    if (n > 0)
        v->written += (size_t)n;
    if (n <= 0 || v->written == v->answer.len) {
        shutdown(v->io.fd, SHUT_WR);
        visitor_free(v);
    }
}

static void on_readable(struct visitor *v) {
    struct rb_scrape *scrape = v->scrape;
    ssize_t n = recv(v->io.fd, v->head + v->head_len, sizeof v->head - v->head_len, 0);
    if (n < 0 && blocks())
        return;
    if (n <= 0) {
        visitor_free(v);
        return;
    }
    v->head_len += (size_t)n;
    bool ready = scrape->options.is_ready(scrape->options.ctx);
    if (rb_scrape_answer(rb_text(v->head, v->head_len), ready, scrape->options.metrics,
                         &v->answer) != RB_OK)
        return;
    if (v->answer.status != RB_OK) {
        visitor_free(v);
        return;
    }
    ev_io_stop(scrape->loop, &v->io);
    ev_io_set(&v->io, v->io.fd, EV_WRITE);
    ev_io_start(scrape->loop, &v->io);
}

static void on_visitor(struct ev_loop *loop, ev_io *io, int revents) {
    (void)loop;
    if (revents & EV_WRITE)
        on_writable(io->data);
    else
        on_readable(io->data);
}

static void on_rested(struct ev_loop *loop, ev_timer *timer, int revents) {
    struct rb_scrape *scrape = timer->data;
    (void)revents;
    if (scrape->count < MAX_VISITORS)
        ev_io_start(loop, &scrape->io);
}

/* The listener stays readable, so it is left alone for a while. */
static void rest(struct rb_scrape *scrape) {
    ev_io_stop(scrape->loop, &scrape->io);
    ev_timer_stop(scrape->loop, &scrape->rest);
    ev_timer_set(&scrape->rest, REST_S, 0.0);
    ev_timer_start(scrape->loop, &scrape->rest);
}

static void on_accept(struct ev_loop *loop, ev_io *io, int revents) {
    struct rb_scrape *scrape = io->data;
    (void)revents;
    int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            rest(scrape);
        return;
    }
    struct visitor *v = calloc(1, sizeof *v);
    if (!v) {
        close(fd);
        return;
    }
    v->scrape = scrape;
    rb_buffer_init(&v->answer, ANSWER_MAX_BYTES + 1024);
    ev_io_init(&v->io, on_visitor, fd, EV_READ);
    ev_timer_init(&v->timer, on_timeout, VISIT_S, 0.0);
    v->io.data = v->timer.data = v;
    TAILQ_INSERT_TAIL(&scrape->visitors, v, link);
    ev_io_start(loop, &v->io);
    ev_timer_start(loop, &v->timer);
    if (++scrape->count == MAX_VISITORS)
        ev_io_stop(loop, &scrape->io);
}

static int listen_unix(struct rb_text path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path.len >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path.at, path.len);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    unlink(address.sun_path);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
        listen(fd, BACKLOG) == 0)
        return fd;
    close(fd);
    return -1;
}

/* host:port into its parts; false when they do not fit. */
static bool split(struct rb_text address, char host[256], char port[8]) {
    size_t colon = address.len;
    while (colon > 0 && address.at[colon - 1] != ':')
        colon--;
    if (colon == 0)
        return false;
    struct rb_text name = {address.at, colon - 1};
    struct rb_text number = {address.at + colon, address.len - colon};
    if (name.len >= 2 && name.at[0] == '[') {
        name.at++;
        name.len -= 2;
    }
    if (name.len >= 256 || number.len >= 8)
        return false;
    snprintf(host, 256, RB_TEXT_FMT, RB_TEXT_ARG(name));
    snprintf(port, 8, RB_TEXT_FMT, RB_TEXT_ARG(number));
    return true;
}

static int listen_tcp(struct rb_text text) {
    struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM}, *found;
    char host[256], port[8];
    int fd = -1, on = 1;
    errno = EINVAL;
    if (!split(text, host, port) ||
        getaddrinfo(strcmp(host, "*") == 0 ? NULL : host, port, &hints, &found) != 0)
        return -1;
    for (const struct addrinfo *a = found; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,
                    a->ai_protocol);
        if (fd < 0)
            continue;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
        if (bind(fd, a->ai_addr, a->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
            int why = errno;
            close(fd);
            errno = why;
            fd = -1;
        }
    }
    freeaddrinfo(found);
    return fd;
}

struct rb_scrape *rb_scrape_new(struct ev_loop *loop,
                                const struct rb_scrape_options *options) {
    struct rb_text address = options->address, unix_prefix = RB_TEXT("unix:");
    int fd;
    if (rb_text_starts(address, unix_prefix))
        fd = listen_unix(
            rb_text(address.at + unix_prefix.len, address.len - unix_prefix.len));
    else
        fd = listen_tcp(address);
    if (fd < 0)
        return NULL;
    struct rb_scrape *scrape = calloc(1, sizeof *scrape);
    if (!scrape) {
        close(fd);
        errno = ENOMEM;
        return NULL;
    }
    scrape->loop = loop;
    scrape->options = *options;
    TAILQ_INIT(&scrape->visitors);
    ev_io_init(&scrape->io, on_accept, fd, EV_READ);
    ev_timer_init(&scrape->rest, on_rested, REST_S, 0.0);
    scrape->io.data = scrape->rest.data = scrape;
    ev_io_start(loop, &scrape->io);
    return scrape;
}

void rb_scrape_free(struct rb_scrape *scrape) {
    if (!scrape)
        return;
    while (!TAILQ_EMPTY(&scrape->visitors))
        visitor_free(TAILQ_FIRST(&scrape->visitors));
    ev_io_stop(scrape->loop, &scrape->io);
    ev_timer_stop(scrape->loop, &scrape->rest);
    close(scrape->io.fd);
    free(scrape);
}
