/* A worker's metrics, fetched and read. */
#include "jobs/cli/figures.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "config/buffer.h"

#define PREFIX "ringback_worker_"
#define ANSWER_BYTES ((size_t)16 * 1024 * 1024)

/* ---- reading ---- */

/* name="value" out of the braces; empty when it is not there. */
static struct rb_text label(struct rb_text labels, struct rb_text name) {
    struct rb_text part;
    while (rb_text_next(&labels, ',', &part))
        if (part.len >= name.len + 3 && rb_text_starts(part, name) &&
            part.at[name.len] == '=')
            return rb_text(part.at + name.len + 2, part.len - name.len - 3);
    return rb_text(NULL, 0);
}

static void add_bucket(struct rb_figure *f, struct rb_text le, double value) {
    char text[32];
    if (f->bucket_count == RB_FIGURE_BUCKETS)
        return;
    snprintf(text, sizeof text, RB_TEXT_FMT, RB_TEXT_ARG(le));
    f->buckets[f->bucket_count].le_s = strtod(text, NULL); /* also "+Inf" */
    f->buckets[f->bucket_count++].count = value;
}

static void take(struct rb_figures *figures, struct rb_text name, struct rb_text labels,
                 double value) {
    struct rb_text outcome = label(labels, RB_TEXT("outcome"));
    struct rb_text state = label(labels, RB_TEXT("state"));
    struct rb_figure *f = rb_figures_find(figures, label(labels, RB_TEXT("service")));
    if (!f)
        return;
    if (rb_text_is(name, "in_flight"))
        f->in_flight = value;
    else if (rb_text_is(name, "jobs_total"))
        *(rb_text_is(outcome, "done") ? &f->done : &f->failed) += value;
    else if (rb_text_is(name, "call_seconds_count"))
        f->calls = value;
    else if (rb_text_is(name, "call_seconds_bucket"))
        add_bucket(f, label(labels, RB_TEXT("le")), value);
    else if (rb_text_is(name, "breaker") && rb_text_is(state, "open"))
        f->open = value;
    else if (rb_text_is(name, "breaker") && rb_text_starts(state, RB_TEXT("half")))
        f->half_open = value;
    if (!rb_text_is(name, "cache_total"))
        return;
    f->cache_lookups += value;
    if (!rb_text_is(outcome, "miss"))
        f->cache_hits += value;
}

/* ringback_worker_<name>{service="…",…} <value> */
static void read_line(struct rb_figures *figures, struct rb_text line) {
    struct rb_text prefix = RB_TEXT(PREFIX), name, labels;
    char number[40];
    if (!rb_text_starts(line, prefix))
        return;
    line = rb_text(line.at + prefix.len, line.len - prefix.len);
    if (!rb_text_next(&line, '{', &name) || !rb_text_next(&line, '}', &labels) ||
        label(labels, RB_TEXT("service")).len == 0)
        return;
    snprintf(number, sizeof number, RB_TEXT_FMT, RB_TEXT_ARG(line));
    take(figures, name, labels, strtod(number, NULL));
}

/* The text format of Prometheus. */
static void read_all(struct rb_text text, struct rb_figures *figures) {
    struct rb_text line;
    figures->told = true;
    while (rb_text_next(&text, '\n', &line))
        read_line(figures, line);
    rb_figures_finish(figures);
}

/* ---- fetching ---- */

static void limit_time(int fd) {
    const struct timeval second = {.tv_sec = 1};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof second);
}

static int connect_to(int family, const struct sockaddr *address, socklen_t len) {
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    limit_time(fd);
    if (connect(fd, address, len) == 0)
        return fd;
    close(fd);
    return -1;
}

/* unix:/path[?mode=…] */
static int connect_to_path(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int len = (int)strcspn(path, "?");
    snprintf(address.sun_path, sizeof address.sun_path, "%.*s", len, path);
    return connect_to(AF_UNIX, (const struct sockaddr *)&address, sizeof address);
}

/* host:port, [v6]:port, *:port */
static int connect_to_host(const char *text) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list;
    char host[300];
    const char *colon = strrchr(text, ':');
    if (!colon)
        return -1;
    bool v6 = text[0] == '[' && colon > text + 1 && colon[-1] == ']';
    int len = (int)(colon - text) - (v6 ? 2 : 0);
    snprintf(host, sizeof host, "%.*s", len, text + (v6 ? 1 : 0));
    if (getaddrinfo(strcmp(host, "*") == 0 ? NULL : host, colon + 1, &hints, &list) != 0)
        return -1;
    int fd = -1;
    for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next)
        fd = connect_to(a->ai_family, a->ai_addr, a->ai_addrlen);
    freeaddrinfo(list);
    return fd;
}

void rb_figures_fetch(const char *address, struct rb_figures *figures) {
    static const char request[] =
        "GET /metrics HTTP/1.1\r\nHost: worker\r\nConnection: close\r\n\r\n";
    struct rb_buffer answer;
    char piece[16384];
    ssize_t n;
    *figures = (struct rb_figures){0};
    if (address[0] == '\0')
        return;
    int fd = strncmp(address, "unix:", 5) == 0 ? connect_to_path(address + 5)
                                               : connect_to_host(address);
    if (fd < 0)
        return;
    rb_buffer_init(&answer, ANSWER_BYTES);
    if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) > 0)
        while ((n = recv(fd, piece, sizeof piece, 0)) > 0 && answer.status == RB_OK)
            rb_buffer_add(&answer, piece, (size_t)n);
    close(fd);
    if (answer.status == RB_OK &&
        rb_text_starts(rb_buffer_view(&answer), RB_TEXT("HTTP/1.1 200")))
        read_all(rb_buffer_view(&answer), figures);
    rb_buffer_fini(&answer);
}
