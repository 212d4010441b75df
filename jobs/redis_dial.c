/* From an address to a connected descriptor. With Sentinels they are asked first. */
#include "jobs/redis_dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "config/log.h"
#include "jobs/redis_lookup.h"
#include "jobs/redis_sentinel.h"

struct rb_redis_dial {
    struct ev_loop *loop;
    const struct rb_redis_address *address;
    rb_redis_dial_fn *fn;
    void *ctx;

    struct rb_redis_sentinel_query *query; /* NULL: the address itself says where */
    char *master;                          /* host that the Sentinels named last */
    int master_port;

    /* A lookup can't be stopped: it may outlast its dialling, and the next one then waits
     * for the same. So there is never more than one thread. */
    struct rb_redis_lookup *lookup;
    bool wants_lookup;

    struct addrinfo *list; /* what the lookup gave */
    struct addrinfo *next; /* of it, to be tried */
    unsigned skip;         /* how many of it hung lately */
    int fd;
    struct ev_io writable;
};

static void finish(struct rb_redis_dial *dial, int fd, const char *what,
                   const char *why) {
    char text[256];
    if (dial->list)
        freeaddrinfo(dial->list);
    dial->list = dial->next = NULL;
    snprintf(text, sizeof text, "%s: %s", what, why);
    dial->fn(dial->ctx, fd, text);
}

/* Small commands must not wait for company, and a peer that is gone without a word must
 * be noticed also where nothing is asked. None of these can fail in a way that matters.
 */
static void set_tcp_options(int fd) {
    const int on = 1, idle_s = 15, interval_s = 5, probes = 3;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

/* RB_SYSTEM: errno says why not. */
static enum rb_status connect_to(struct rb_redis_dial *dial,
                                 const struct sockaddr *address, socklen_t len) {
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return RB_SYSTEM;
    if (address->sa_family != AF_UNIX)
        set_tcp_options(fd);
    if (connect(fd, address, len) != 0 && errno != EINPROGRESS) {
        int error = errno;
        close(fd);
        errno = error;
        return RB_SYSTEM;
    }
    dial->fd = fd;
    ev_io_set(&dial->writable, fd, EV_WRITE);
    ev_io_start(dial->loop, &dial->writable);
    return RB_OK;
}

static void connect_to_path(struct rb_redis_dial *dial) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", dial->address->path);
    if (connect_to(dial, (const struct sockaddr *)&address, sizeof address) != RB_OK)
        finish(dial, -1, "connecting", strerror(errno));
}

/* `error` is what is said when no address is left. */
static void connect_to_next(struct rb_redis_dial *dial, int error) {
    while (dial->next) {
        const struct addrinfo *a = dial->next;
        dial->next = a->ai_next;
        if (connect_to(dial, a->ai_addr, a->ai_addrlen) == RB_OK)
            return;
        error = errno;
    }
    finish(dial, -1, "connecting", strerror(error));
}

static void connect_to_list(struct rb_redis_dial *dial, struct addrinfo *list) {
    unsigned count = 0;
    for (const struct addrinfo *a = list; a; a = a->ai_next)
        count++;
    dial->list = dial->next = list;
    for (unsigned skip = count > 0 ? dial->skip % count : 0; skip > 0; skip--)
        dial->next = dial->next->ai_next;
    connect_to_next(dial, EADDRNOTAVAIL);
}

static void on_writable(struct ev_loop *loop, struct ev_io *watcher, int events) {
    struct rb_redis_dial *dial = watcher->data;
    int fd = dial->fd, error = 0;
    socklen_t len = sizeof error;
    (void)events;
    ev_io_stop(loop, watcher);
    dial->fd = -1;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    if (error == 0) {
        finish(dial, fd, "connected", "");
        return;
    }
    close(fd);
    connect_to_next(dial, error);
}

static void on_lookup(void *ctx, int error, struct addrinfo *list) {
    struct rb_redis_dial *dial = ctx;
    dial->lookup = NULL;
    if (!dial->wants_lookup) {
        if (list)
            freeaddrinfo(list);
        return;
    }
    dial->wants_lookup = false;
    if (error != 0)
        finish(dial, -1, "looking the host up", gai_strerror(error));
    else
        connect_to_list(dial, list);
}

static void dial_host(struct rb_redis_dial *dial, const char *host, int port) {
    struct addrinfo *list = rb_redis_lookup_literal(host, port);
    if (list) {
        connect_to_list(dial, list);
        return;
    }
    if (!dial->lookup)
        dial->lookup = rb_redis_lookup_start(dial->loop, host, port, on_lookup, dial);
    if (dial->lookup)
        dial->wants_lookup = true;
    else
        finish(dial, -1, "looking the host up", "no memory for a thread");
}

/* A lookup that still runs may be that of the master before: its answer is then dialled
 * in vain, since that is no master any more, and the next attempt looks the new one up.
 */
static void on_master(void *ctx, const char *host, int port, const char *why) {
    struct rb_redis_dial *dial = ctx;
    if (!host) {
        finish(dial, -1, "asking the Sentinels", why);
        return;
    }
    if (!dial->master || strcmp(dial->master, host) != 0 || dial->master_port != port) {
        char *copy = rb_text_copy(rb_text_of(host));
        if (!copy) {
            finish(dial, -1, "asking the Sentinels", rb_status_text(RB_NOMEM));
            return;
        }
        if (dial->master)
            rb_log(RB_LOG_INFO, "redis.master",
                   RB_S("master", dial->address->sentinel->master), RB_S("host", host),
                   RB_I("port", port));
        free(dial->master);
        dial->master = copy;
        dial->master_port = port;
        dial->skip = 0;
    }
    dial_host(dial, dial->master, port);
}

struct rb_redis_dial *rb_redis_dial_new(struct ev_loop *loop,
                                        const struct rb_redis_address *address,
                                        rb_redis_dial_fn *fn, void *ctx) {
    struct rb_redis_dial *dial = calloc(1, sizeof *dial);
    if (!dial)
        return NULL;
    dial->loop = loop;
    dial->address = address;
    dial->fn = fn;
    dial->ctx = ctx;
    dial->fd = -1;
    ev_init(&dial->writable, on_writable);
    dial->writable.data = dial;
    if (!address->sentinel)
        return dial;
    dial->query = rb_redis_sentinel_query_new(loop, address->sentinel, on_master, dial);
    if (!dial->query) {
        free(dial);
        return NULL;
    }
    return dial;
}

void rb_redis_dial_free(struct rb_redis_dial *dial) {
    if (!dial)
        return;
    rb_redis_dial_stop(dial);
    rb_redis_lookup_abandon(dial->lookup);
    rb_redis_sentinel_query_free(dial->query);
    free(dial->master);
    free(dial);
}

void rb_redis_dial_start(struct rb_redis_dial *dial) {
    const struct rb_redis_address *address = dial->address;
    if (dial->query)
        rb_redis_sentinel_query_start(dial->query);
    else if (address->path)
        connect_to_path(dial);
    else
        dial_host(dial, address->host, address->port);
}

const char *rb_redis_dial_stop(struct rb_redis_dial *dial) {
    const char *busy = NULL;
    if (dial->query && rb_redis_sentinel_query_stop(dial->query))
        busy = "asking the Sentinels";
    if (dial->wants_lookup)
        busy = "looking the host up";
    dial->wants_lookup = false;
    if (dial->fd >= 0) {
        busy = "connecting";
        dial->skip++;
        ev_io_stop(dial->loop, &dial->writable);
        close(dial->fd);
        dial->fd = -1;
    }
    if (dial->list)
        freeaddrinfo(dial->list);
    dial->list = dial->next = NULL;
    return busy;
}
