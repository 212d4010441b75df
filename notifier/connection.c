/* A client's socket from accept to close: reading, the turn's end, subscriptions. */
#include "notifier/connection.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "notifier/address_count.h"
#include "notifier/pass.h"
#include "notifier/slab.h"
#include "notifier/tls.h"

#define CLOSE_TIMEOUT_MS 10000 /* to take some of what is still queued */
#define LINGER_MS 2000         /* to close its side after that */
#define LONG 256               /* frames: one writev takes no more */
#define AT_ONCE 64             /* that are written to before others have their turn */

static void on_io(struct ev_loop *loop, ev_io *io, int events);

/* What a proxy said of its client, in as little room as it takes. */
struct told {
    uint16_t family; /* 0: nothing */
    in_port_t port;
    unsigned char ip[16];
};
#define TOLD_WORDS ((sizeof(struct told) + sizeof(uint64_t) - 1) / sizeof(uint64_t))

size_t rb_connection_bytes(const struct rb_server *server) {
    size_t words = server->proxied ? 1 + TOLD_WORDS : server->addresses ? 1 : 0;
    return sizeof(struct rb_connection) + words * sizeof(uint64_t);
}

static enum rb_count gauge_of(const struct rb_connection *c) {
    return c->side == RB_SIDE_ADMIN ? RB_COUNT_CONNECTIONS_ADMIN : c->role->gauge;
}

struct rb_connection *rb_connection_new(struct rb_server *server, int fd,
                                        enum rb_side side) {
    struct rb_connection *c = rb_slab_take(server->connections);
    if (!c) {
        rb_count(server, RB_COUNT_CLOSED_MEMORY, 1);
        close(fd);
        return NULL;
    }
    c->server = server;
    c->side = (uint8_t)side;
    c->role = &rb_role_http;
    c->reading = true;
    ev_io_init(&c->io, on_io, fd, EV_READ);
    rb_connection_mark(c);
    ev_io_start(server->loop, &c->io);
    rb_count(server, gauge_of(c), 1);
    rb_connection_timer(c, server->settings->notifier.head_timeout);
    return c;
}

static void put_in_turn(struct rb_connection *c) {
    struct rb_server *server = c->server;
    if (c->in_turn)
        return;
    c->in_turn = true;
    c->turn_next = NULL;
    *server->turn_last = c;
    server->turn_last = &c->turn_next;
    server->turn_count++;
}

static void watch(struct rb_connection *c) {
    int events = (c->reading ? EV_READ : 0) | (c->blocked ? EV_WRITE : 0);
    if (ev_is_active(&c->io) && (c->io.events & (EV_READ | EV_WRITE)) == events)
        return;
    ev_io_stop(c->server->loop, &c->io);
    ev_io_set(&c->io, c->io.fd, events);
    if (events)
        ev_io_start(c->server->loop, &c->io);
}

void rb_connection_read(struct rb_connection *c, bool on) {
    c->reading = on;
    if (!c->doomed)
        watch(c);
}

void rb_connection_touch(struct rb_connection *c) {
    c->touched = true;
    put_in_turn(c);
}

/* A connection that is about to be stopped keeps the timer that says when. */
void rb_connection_timer(struct rb_connection *c, int64_t delay_ms) {
    if (c->stopping || c->doomed)
        return;
    if (delay_ms < 0)
        rb_timer_stop(c->server->timers, &c->timer);
    else
        rb_timer_set(c->server->timers, &c->timer, c->server->now_ms, delay_ms);
}

void rb_connection_set_role(struct rb_connection *c, const struct rb_role *role,
                            void *work) {
    rb_count(c->server, gauge_of(c), -1);
    c->role = role;
    c->work = work;
    c->bits = 0;
    rb_count(c->server, gauge_of(c), 1);
}

static void log_closed(struct rb_connection *c, const char *why) {
    unsigned held;
    if (rb_server_line(c->server, RB_LINE_CLOSED, &held))
        rb_log(RB_LOG_INFO, "connection.closed", RB_S("role", c->role->name),
               RB_S("why", why), RB_I("queued", rb_connection_queued(c)),
               RB_I("suppressed", held));
}

void rb_connection_doom(struct rb_connection *c, enum rb_count count, const char *why) {
    if (c->doomed)
        return;
    c->doomed = true;
    if (count != RB_COUNTS) {
        rb_count(c->server, count, 1);
        log_closed(c, why);
    }
    if (c->role->leave)
        c->role->leave(c);
    /* Their memory stays until the reaping: one of them may be what is being told. */
    for (struct rb_subscription *s = c->subscriptions; s; s = s->sibling)
        rb_channel_unsubscribe(s);
    rb_timer_stop(c->server->timers, &c->timer);
    ev_io_stop(c->server->loop, &c->io);
    put_in_turn(c);
}

static void reap(struct rb_connection *c) {
    struct rb_server *server = c->server;
    rb_count(server, gauge_of(c), -1);
    rb_connection_unsubscribe_all(c);
    rb_pass_drop(c);
    if (server->addresses)
        rb_address_count_remove(server->addresses, c->address[0]);
    rb_out_free(c->out);
    rb_tls_close(c->tls);
    close(c->io.fd);
    rb_slab_give(server->connections, c);
}

/* --- writing --- */

void rb_connection_send(struct rb_connection *c, struct rb_text text) {
    if (c->doomed || c->closing || text.len == 0)
        return;
    struct rb_bytes *bytes = rb_bytes_new(text);
    if (!bytes || rb_out_add(&c->out, bytes) != RB_OK)
        rb_connection_doom(c, RB_COUNT_CLOSED_MEMORY, "out of memory");
    rb_bytes_unref(bytes);
    c->queued = true;
    put_in_turn(c);
}

void rb_connection_send_buffer(struct rb_connection *c, const struct rb_buffer *bytes) {
    if (bytes->status != RB_OK)
        rb_connection_doom(c, RB_COUNT_CLOSED_MEMORY, "out of memory");
    else
        rb_connection_send(c, rb_buffer_view(bytes));
}

size_t rb_connection_queued(const struct rb_connection *c) {
    return rb_out_bytes(c->out);
}

bool rb_connection_full(const struct rb_connection *c) {
    return rb_out_bytes(c->out) > (size_t)c->server->settings->notifier.max_queue / 2;
}

/* All is written and nothing more will come: the client is told so and given a moment to
 * close its side. Closing before it has would throw away what it has not read yet. */
static void shut(struct rb_connection *c) {
    if (c->shut)
        return;
    if (c->tls && !rb_connection_tls_bye(c)) {
        c->blocked = true;
        watch(c);
        return;
    }
    if (shutdown(c->io.fd, SHUT_WR) != 0) {
        rb_connection_doom(c, RB_COUNTS, NULL);
        return;
    }
    c->shut = true;
    c->stopping = false;
    rb_connection_timer(c, LINGER_MS);
    rb_connection_read(c, true);
}

/* Who reads slowly is not given up as long as it reads. */
static void note_progress(struct rb_connection *c) {
    if (c->closing)
        rb_connection_timer(c, CLOSE_TIMEOUT_MS);
    else if (c->role->took)
        c->role->took(c);
}

static void flush(struct rb_connection *c) {
    size_t written;
    c->queued = false;
    enum rb_status status = c->tls ? rb_connection_tls_write(c, &written)
                                   : rb_out_write(&c->out, c->io.fd, &written);
    if (written > 0)
        rb_count(c->server, RB_COUNT_BYTES_SENT, (int64_t)written);
    if (status == RB_SYSTEM || status == RB_NOMEM) {
        rb_connection_doom(c, status == RB_NOMEM ? RB_COUNT_CLOSED_MEMORY : RB_COUNTS,
                           "out of memory");
        return;
    }
    c->blocked = status == RB_UNAVAILABLE;
    watch(c);
    if (c->blocked && written > 0)
        note_progress(c);
    if (c->closing && !c->blocked)
        shut(c);
    else if (!c->closing && c->role->drained && !rb_connection_full(c))
        c->role->drained(c);
}

void rb_connection_relieve(struct rb_connection *c) {
    if (c->queued && !c->blocked && !c->doomed && !c->closing)
        flush(c);
}

enum rb_status rb_connection_push(struct rb_connection *c, struct rb_bytes *bytes) {
    size_t max = (size_t)c->server->settings->notifier.max_queue;
    if (c->doomed || c->closing)
        return RB_OK;
    if (rb_out_frames(c->out) >= LONG || rb_out_bytes(c->out) > max / 2)
        rb_connection_relieve(c);
    size_t queued = rb_out_bytes(c->out);
    if (queued > max / 2 && queued + bytes->len > max)
        return RB_TOO_LARGE;
    c->queued = true;
    c->server->gathered += sizeof bytes;
    put_in_turn(c);
    return rb_out_add(&c->out, bytes);
}

/* Who waited when a round began has been written to when as many have: what was gathered
 * before it waits no more. */
static void note_written(struct rb_server *server, size_t count) {
    server->turn_count -= count;
    if (count < server->round_left) {
        server->round_left -= count;
        return;
    }
    server->round_left = server->turn_count;
    server->gathered_before = server->turn_count > 0 ? server->gathered : 0;
    server->gathered = 0;
}

bool rb_connections_turn(struct rb_server *server) {
    struct rb_connection *c;
    size_t count = 0;
    for (; count < AT_ONCE && (c = server->turn_first); count++) {
        server->turn_first = c->turn_next;
        if (!server->turn_first)
            server->turn_last = &server->turn_first;
        else /* it comes into the cache while the kernel writes for this one */
            __builtin_prefetch(&server->turn_first->server);
        if (c->touched && !c->doomed) {
            c->touched = false;
            if (c->role->turn)
                c->role->turn(c);
        }
        c->in_turn = false;
        if (c->doomed)
            reap(c);
        else if (c->touched)
            put_in_turn(c);
        else if ((c->queued && !c->blocked) || (c->closing && !c->shut && !c->out))
            flush(c);
    }
    note_written(server, count);
    return server->turn_first != NULL;
}

void rb_connection_close(struct rb_connection *c) {
    if (c->closing || c->doomed)
        return;
    c->closing = true;
    c->stopping = false;
    rb_connection_timer(c, CLOSE_TIMEOUT_MS);
    put_in_turn(c);
}

/* --- reading --- */

static void take_end(struct rb_connection *c) {
    if (c->closing || !c->role->end) {
        rb_connection_doom(c, RB_COUNTS, NULL);
        return;
    }
    rb_connection_read(c, false);
    c->role->end(c);
}

static void read_some(struct rb_connection *c) {
    char *bytes = c->server->read_buffer;
    if (c->role->read && !c->closing) {
        c->role->read(c);
        return;
    }
    /* When our side is shut nobody looks at what comes. */
    ssize_t n = c->tls && !c->shut ? rb_connection_tls_read(c, bytes, RB_READ_BYTES)
                                   : recv(c->io.fd, bytes, RB_READ_BYTES, 0);
    if (n == 0)
        take_end(c);
    else if (n > 0 && !c->closing)
        c->role->bytes(c, bytes, (size_t)n);
    else if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
        rb_connection_doom(c, RB_COUNTS, NULL);
}

static void on_io(struct ev_loop *loop, ev_io *io, int events) {
    struct rb_connection *c = (struct rb_connection *)(void *)io; /* its first member */
    (void)loop;
    if (c->doomed)
        return;
    if (events & EV_WRITE) {
        if (!c->blocked) /* known already: nobody looks again before its turn */
            watch(c);
        c->blocked = false;
        c->queued = true;
        put_in_turn(c);
    }
    /* A handshake may wait for the socket to be writable and read on then. */
    if (events & EV_READ || (c->tls && c->reading))
        read_some(c);
}

void rb_connection_timeout(void *server, struct rb_timer *timer) {
    struct rb_connection *c =
        (struct rb_connection *)(void *)((char *)timer -
                                         offsetof(struct rb_connection, timer));
    (void)server;
    if (c->closing)
        rb_connection_doom(c, c->shut ? RB_COUNTS : RB_COUNT_CLOSED_SLOW,
                           "did not read the end");
    else if (c->stopping)
        rb_connection_stop(c, 0);
    else if (c->tls && !rb_tls_is_ready(c->tls))
        rb_connection_doom(c, RB_COUNT_CLOSED_HEAD, "the handshake did not come in time");
    else if (c->role->timeout)
        c->role->timeout(c);
    else
        rb_connection_doom(c, RB_COUNTS, NULL);
}

void rb_connection_stop(struct rb_connection *c, int64_t delay_ms) {
    if (c->doomed || c->closing)
        return;
    c->stopping = false;
    if (delay_ms > 0) {
        rb_connection_timer(c, delay_ms);
        c->stopping = true;
    } else if (c->role->stop) {
        c->role->stop(c);
    } else {
        rb_connection_doom(c, RB_COUNTS, NULL);
    }
}

void rb_connection_set_address(struct rb_connection *c,
                               const struct sockaddr_storage *at) {
    struct told told = {.family = at->ss_family};
    if (at->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)at;
        memcpy(told.ip, &v4->sin_addr, sizeof v4->sin_addr);
        told.port = v4->sin_port;
    } else {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)at;
        memcpy(told.ip, &v6->sin6_addr, sizeof v6->sin6_addr);
        told.port = v6->sin6_port;
    }
    memcpy(c->address + 1, &told, sizeof told);
}

static bool read_told(const struct rb_connection *c, struct sockaddr_storage *at) {
    struct told told;
    memcpy(&told, c->address + 1, sizeof told);
    if (told.family == AF_INET) {
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = told.port};
        memcpy(&v4.sin_addr, told.ip, sizeof v4.sin_addr);
        memcpy(at, &v4, sizeof v4);
    } else if (told.family == AF_INET6) {
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = told.port};
        memcpy(&v6.sin6_addr, told.ip, sizeof v6.sin6_addr);
        memcpy(at, &v6, sizeof v6);
    }
    return told.family != 0;
}

bool rb_connection_address(const struct rb_connection *c, struct sockaddr_storage *at) {
    socklen_t len = sizeof *at;
    memset(at, 0, sizeof *at);
    if (c->server->proxied && read_told(c, at))
        return true;
    return getpeername(c->io.fd, (struct sockaddr *)at, &len) == 0;
}

/* --- subscriptions --- */

struct rb_subscription *rb_connection_add(struct rb_connection *c,
                                          struct rb_cursor cursor,
                                          const struct rb_sink *sink) {
    struct rb_subscription *s = rb_slab_take(c->server->subscriptions);
    if (!s)
        return NULL;
    struct rb_subscription **end = &c->subscriptions;
    while (*end)
        end = &(*end)->sibling;
    *end = s;
    s->sink = sink;
    s->owner = c;
    s->stands = cursor.given;
    s->stood = cursor.id;
    return s;
}

enum rb_status rb_connection_subscribe(struct rb_connection *c, struct rb_text channel,
                                       struct rb_cursor cursor,
                                       const struct rb_sink *sink) {
    struct rb_subscription *s = rb_connection_add(c, cursor, sink);
    if (!s)
        return RB_NOMEM;
    enum rb_status status = rb_channel_subscribe(c->server->channels, channel, cursor, s);
    if (status != RB_OK)
        rb_connection_unsubscribe(c, s);
    return status;
}

struct rb_subscription *rb_connection_find(const struct rb_connection *c,
                                           struct rb_text channel) {
    struct rb_subscription *s = c->subscriptions;
    while (s && !(s->group && rb_text_equal(rb_subscription_channel(s), channel)))
        s = s->sibling;
    return s;
}

void rb_connection_unsubscribe(struct rb_connection *c, struct rb_subscription *s) {
    struct rb_subscription **at = &c->subscriptions;
    while (*at != s)
        at = &(*at)->sibling;
    *at = s->sibling;
    rb_channel_unsubscribe(s);
    rb_slab_give(c->server->subscriptions, s);
}

void rb_connection_unsubscribe_all(struct rb_connection *c) {
    while (c->subscriptions)
        rb_connection_unsubscribe(c, c->subscriptions);
}

void rb_connection_resume(struct rb_connection *c) {
    if (!c->held_back)
        return;
    c->held_back = false;
    for (struct rb_subscription *s = c->subscriptions; s; s = s->sibling)
        rb_channel_resume(s);
}
