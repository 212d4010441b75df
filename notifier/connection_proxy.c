/* A connection before its client is known: the PROXY protocol is read, and not a byte
 * more, since what follows may be a TLS handshake. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "notifier/connection.h"
#include "notifier/proxy_protocol.h"

/* Only while the header is read. */
struct waiting {
    struct rb_proxy_header header;
    bool tls; /* of its listener */
};

static void leave(struct rb_connection *c) {
    free(c->work);
    c->work = NULL;
}

static void whole(struct rb_connection *c) {
    struct waiting *w = c->work;
    bool tls = w->tls;
    leave(c);
    rb_connection_set_role(c, &rb_role_http, NULL);
    rb_listener_greet(c, tls);
}

/* Looks first and then takes what is the header's. */
static void read_header(struct rb_connection *c) {
    struct waiting *w = c->work;
    char *bytes = c->server->read_buffer;
    struct sockaddr_storage client;
    size_t taken;
    ssize_t n = recv(c->io.fd, bytes, RB_READ_BYTES, MSG_PEEK);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    if (n ==
        0) { /* a load balancer that only looked whether we are there, or half of it */
        if (w->header.len > 0)
            rb_listener_refuse_proxy(c, "the header ends early");
        else
            rb_connection_doom(c, RB_COUNTS, NULL);
        return;
    }
    enum rb_proxy_result result = RB_PROXY_MORE;
    if (n > 0)
        result = rb_proxy_feed(&w->header, bytes, (size_t)n, &taken, &client);
    if (n < 0 || recv(c->io.fd, bytes, taken, 0) != (ssize_t)taken) {
        rb_connection_doom(c, RB_COUNTS, NULL);
    } else if (result == RB_PROXY_BAD) {
        rb_listener_refuse_proxy(c, "malformed");
    } else if (result != RB_PROXY_MORE) {
        if (result == RB_PROXY_KNOWN)
            rb_connection_set_address(c, &client);
        whole(c);
    }
}

static void timeout(struct rb_connection *c) {
    rb_count(c->server, RB_COUNT_CLOSED_HEAD, 1);
    rb_listener_refuse_proxy(c, "the header did not come in time");
}

static void stop(struct rb_connection *c) { rb_connection_timer(c, RB_FIRST_REQUEST_MS); }

static const struct rb_role role = {.name = "proxy",
                                    .gauge = RB_COUNT_CONNECTIONS_HTTP,
                                    .read = read_header,
                                    .timeout = timeout,
                                    .leave = leave,
                                    .stop = stop};

bool rb_connection_expect_proxy(struct rb_connection *c, bool tls) {
    struct waiting *w = calloc(1, sizeof *w);
    if (!w) {
        rb_connection_doom(c, RB_COUNT_CLOSED_MEMORY, "out of memory");
        return false;
    }
    w->tls = tls;
    rb_connection_set_role(c, &role, w);
    return true;
}
