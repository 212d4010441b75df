/* Accepting: a bounded number a turn, refusals by number and address, and what to do when
 * the process is out of descriptors. */
#include "notifier/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "notifier/access.h"
#include "notifier/address_count.h"
#include "notifier/connection.h"
#include "notifier/exchange.h"
#include "notifier/pace.h"
#include "notifier/slab.h"

#define ACCEPT_A_TURN 128
#define PAUSE_S 0.1      /* when out of descriptors */
#define BREATH_S 0.01    /* when they come too fast */
#define OVER_MS 2000     /* for one that is to be refused to say what it wants */
#define OVER_RESERVE 256 /* so many are refused politely at a time */
#define OVER_BY_ADDRESS 8
#define OVER_A_SECOND 64 /* of those that come too fast */

struct rb_listener {
    ev_io io;
    ev_timer pause;
    struct rb_server *server;
    enum rb_side side;
    bool tls;
    bool proxy;
    int fd;
    int spare; /* given up to take one more, so that it can be told */
};

/* Who speaks TLS could not read it. */
static void refuse_blindly(const struct rb_listener *listener, int fd) {
    static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\n"
                                 "Content-Length: 0\r\nConnection: close\r\n\r\n";
    if (!listener->tls)
        (void)send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    close(fd);
}

static int64_t count_all(const struct rb_server *server) {
    int64_t sum = 0;
    for (int i = RB_COUNT_CONNECTIONS_HTTP; i <= RB_COUNT_CONNECTIONS_STREAM; i++)
        sum += rb_metrics_sum(server->metrics, server->series[i]);
    return sum;
}

static void log_refusal(struct rb_server *server, enum rb_count count, const char *why) {
    unsigned held;
    rb_count(server, count, 1);
    if (rb_server_line(server, RB_LINE_REFUSED, &held))
        rb_log(RB_LOG_WARN, "connection.refused", RB_S("why", why),
               RB_I("suppressed", held));
}

enum verdict { WELCOME, OVER, FAR_OVER };

static enum verdict judge_count(struct rb_server *server) {
    int64_t max = server->settings->notifier.max_connections;
    int64_t all = count_all(server), here = (int64_t)rb_slab_count(server->connections);
    int64_t room = max - all, local = server->max_local - here;
    if (local < room)
        room = local;
    if (room > 0)
        return WELCOME;
    log_refusal(server, RB_COUNT_REFUSED_CONNECTIONS, "max_connections");
    return room > -OVER_RESERVE ? OVER : FAR_OVER;
}

static enum verdict judge_address(struct rb_server *server, uint64_t key) {
    int64_t max = server->settings->notifier.max_connections_per_address;
    if (max == 0 || key == 0 || !server->addresses)
        return WELCOME;
    int64_t room = max - (int64_t)rb_address_count_sum(server->addresses, key);
    if (room > 0)
        return WELCOME;
    log_refusal(server, RB_COUNT_REFUSED_ADDRESS, "max_connections_per_address");
    return room > -OVER_BY_ADDRESS ? OVER : FAR_OVER;
}

/* The processes share what all of them may. */
static int64_t share_of(const struct rb_server *server, int64_t max) {
    int64_t share = (max + server->processes - 1) / server->processes;
    return share < RB_PACE_MOST ? share : RB_PACE_MOST;
}

/* New ones from one address. */
static enum verdict judge_pace(struct rb_server *server, const struct sockaddr *peer) {
    int64_t max = server->settings->notifier.max_accepts_per_second_per_address;
    if (max == 0)
        return WELCOME;
    if (!server->pace)
        server->pace = rb_pace_new();
    if (!server->pace ||
        rb_pace_allows(server->pace, peer, share_of(server, max), server->now_ms))
        return WELCOME;
    log_refusal(server, RB_COUNT_REFUSED_PACE, "max_accepts_per_second_per_address");
    /* Each that is told keeps its descriptor for a moment. */
    return rb_pace_take(&server->over_spent, OVER_A_SECOND, server->now_ms) ? OVER
                                                                            : FAR_OVER;
}

/* Whose connection it is: the key to count it by, and whether there may be one more. What
 * comes from a proxy is nobody's yet. */
static enum verdict judge_peer(struct rb_server *server, enum rb_side side,
                               const struct sockaddr *peer, uint64_t *key) {
    *key = 0;
    if (rb_access_trusts(server->access, peer))
        return WELCOME;
    if (server->addresses)
        *key = rb_address_count_key(server->addresses, peer);
    if (side != RB_SIDE_PUBLIC)
        return WELCOME;
    enum verdict verdict = judge_pace(server, peer);
    return verdict == WELCOME ? judge_address(server, *key) : verdict;
}

static void count_by(struct rb_connection *c, uint64_t key) {
    if (!c->server->addresses)
        return;
    c->address[0] = key;
    rb_address_count_add(c->server->addresses, key);
}

static void log_proxy(struct rb_server *server, const char *why) {
    unsigned held;
    rb_count(server, RB_COUNT_REFUSED_PROXY, 1);
    if (rb_server_line(server, RB_LINE_PROXY, &held))
        rb_log(RB_LOG_WARN, "proxy.refused", RB_S("why", why), RB_I("suppressed", held));
}

void rb_listener_refuse_proxy(struct rb_connection *c, const char *why) {
    log_proxy(c->server, why);
    rb_connection_doom(c, RB_COUNTS, NULL);
}

static void take(struct rb_listener *listener, int fd, const struct sockaddr *peer) {
    struct rb_server *server = listener->server;
    enum verdict verdict = WELCOME;
    uint64_t key = 0;
    rb_count(server, RB_COUNT_ACCEPTED, 1);
    if (listener->proxy && !rb_access_trusts(server->access, peer)) {
        log_proxy(server, "the peer is no trusted proxy");
        close(fd);
        return;
    }
    if (listener->side == RB_SIDE_PUBLIC)
        verdict = judge_count(server);
    if (verdict == WELCOME && !listener->proxy)
        verdict = judge_peer(server, listener->side, peer, &key);
    if (verdict == FAR_OVER) {
        refuse_blindly(listener, fd);
        return;
    }
    struct rb_connection *c = rb_connection_new(server, fd, listener->side);
    if (!c)
        return;
    count_by(c, key);
    if (verdict == OVER) {
        c->over = true;
        rb_connection_timer(c, OVER_MS);
    }
    if (listener->proxy)
        (void)rb_connection_expect_proxy(c, listener->tls);
    else if (listener->tls)
        (void)rb_connection_secure(c);
}

void rb_listener_greet(struct rb_connection *c, bool tls) {
    struct rb_server *server = c->server;
    struct sockaddr_storage client;
    uint64_t key = 0;
    if (!c->over && rb_connection_address(c, &client)) {
        enum verdict verdict = judge_peer(server, (enum rb_side)c->side,
                                          (const struct sockaddr *)&client, &key);
        if (verdict == FAR_OVER) {
            rb_connection_doom(c, RB_COUNTS, NULL);
            return;
        }
        c->over = verdict == OVER;
        count_by(c, key);
    }
    rb_connection_timer(c, c->over            ? OVER_MS
                           : server->draining ? RB_FIRST_REQUEST_MS
                                              : server->settings->notifier.head_timeout);
    if (tls)
        (void)rb_connection_secure(c);
}

bool rb_listener_recount(struct rb_connection *c, struct rb_exchange *x) {
    struct rb_server *server = c->server;
    struct sockaddr_storage peer, client;
    if (!server->addresses || !server->access->proxies || c->side != RB_SIDE_PUBLIC ||
        !rb_connection_address(c, &peer) ||
        !rb_access_trusts(server->access, (const struct sockaddr *)&peer) ||
        !rb_exchange_address(x, &client))
        return false;
    uint64_t key =
        rb_access_trusts(server->access, (const struct sockaddr *)&client)
            ? 0
            : rb_address_count_key(server->addresses, (const struct sockaddr *)&client);
    if (key == c->address[0])
        return false;
    if (c->address[0] != 0)
        rb_address_count_remove(server->addresses, c->address[0]);
    c->address[0] = 0;
    if (judge_address(server, key) != WELCOME)
        return true;
    c->address[0] = key;
    rb_address_count_add(server->addresses, key);
    return false;
}

static int accept_one(const struct rb_listener *listener, struct sockaddr_storage *peer) {
    socklen_t len = sizeof *peer;
    peer->ss_family = AF_UNSPEC;
    return accept4(listener->fd, (struct sockaddr *)peer, &len,
                   SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static void pause_for(struct rb_listener *listener, double seconds) {
    struct ev_loop *loop = listener->server->loop;
    ev_io_stop(loop, &listener->io);
    ev_timer_set(&listener->pause, seconds, 0);
    ev_timer_start(loop, &listener->pause);
}

/* One more is taken on the spare descriptor and told to come later; then a pause, since
 * those who still wait would wake us without end. */
static void shed(struct rb_listener *listener, int why) {
    struct rb_server *server = listener->server;
    struct sockaddr_storage peer;
    unsigned held;
    rb_count(server, RB_COUNT_REFUSED_FILES, 1);
    if (rb_server_line(server, RB_LINE_ACCEPT, &held))
        rb_log(RB_LOG_ERROR, "accept.failed", RB_S("why", strerror(why)),
               RB_I("connections", rb_slab_count(server->connections)),
               RB_I("suppressed", held));
    if (listener->spare >= 0) {
        close(listener->spare);
        int fd = accept_one(listener, &peer);
        if (fd >= 0)
            refuse_blindly(listener, fd);
    }
    listener->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    pause_for(listener, PAUSE_S);
}

static void on_pause_over(struct ev_loop *loop, ev_timer *timer, int events) {
    struct rb_listener *listener = timer->data;
    (void)events;
    ev_io_start(loop, &listener->io);
}

/* Those who come too fast wait in the kernel's queue: a crowd that returns at once is
 * let in at a pace, and nobody need be told to come again. */
static bool is_paced(struct rb_listener *listener, uint32_t *spent) {
    struct rb_server *server = listener->server;
    int64_t max = server->settings->notifier.max_accepts_per_second;
    unsigned held;
    if (max == 0 || listener->side != RB_SIDE_PUBLIC ||
        rb_pace_take(spent, share_of(server, max), server->now_ms))
        return false;
    rb_count(server, RB_COUNT_ACCEPT_PAUSES, 1);
    if (rb_server_line(server, RB_LINE_ACCEPT, &held))
        rb_log(RB_LOG_INFO, "accept.paced", RB_S("why", "max_accepts_per_second"),
               RB_I("suppressed", held));
    pause_for(listener, BREATH_S);
    return true;
}

static void on_acceptable(struct ev_loop *loop, ev_io *io, int events) {
    struct rb_listener *listener = io->data;
    (void)loop;
    (void)events;
    for (int i = 0; i < ACCEPT_A_TURN; i++) {
        struct sockaddr_storage peer;
        uint32_t spent = listener->server->accept_spent;
        if (is_paced(listener, &spent))
            return;
        int fd = accept_one(listener, &peer);
        if (fd >= 0) {
            listener->server->accept_spent = spent;
            take(listener, fd, (const struct sockaddr *)&peer);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
                   errno == ENOMEM) {
            shed(listener, errno);
            return;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        }
        /* Anything else was that one connection's own trouble, accept(2). */
    }
}

enum rb_status rb_listener_new(struct rb_server *server, struct rb_address *address,
                               struct rb_listener **listener, struct rb_error *error) {
    struct rb_listener *l = calloc(1, sizeof *l);
    if (!l) {
        rb_error_set(error, NULL, 0, 0, "out of memory");
        return RB_NOMEM;
    }
    enum rb_status status = rb_address_listen(address, &l->fd, error);
    if (status != RB_OK) {
        free(l);
        return status;
    }
    l->server = server;
    l->side = address->side;
    l->tls = address->tls;
    l->proxy = address->proxy;
    l->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    ev_io_init(&l->io, on_acceptable, l->fd, EV_READ);
    ev_timer_init(&l->pause, on_pause_over, 0, 0);
    l->io.data = l->pause.data = l;
    ev_io_start(server->loop, &l->io);
    *listener = l;
    return RB_OK;
}

void rb_listener_free(struct rb_listener *listener) {
    if (!listener)
        return;
    ev_io_stop(listener->server->loop, &listener->io);
    ev_timer_stop(listener->server->loop, &listener->pause);
    close(listener->fd);
    if (listener->spare >= 0)
        close(listener->spare);
    free(listener);
}
