/* A WebSocket client (RFC 6455) of the least kind: asks, answers pings, hears. */
#include "jobs/cli/load_client.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config/clock.h"
#include "config/process.h"
#include "jobs/base64.h"
#include "jobs/name.h"

#define FRAME_LIMIT ((size_t)32 * 1024 * 1024)
#define CONTROL_MOST 125

enum { TEXT = 1, CLOSE = 8, PING = 9, PONG = 10 };

struct frame {
    unsigned opcode;
    struct rb_text payload;
};

bool rb_load_channel(const char *channel, uint32_t number, struct rb_buffer *out) {
    const char *mark = strstr(channel, "{n}");
    rb_buffer_clear(out);
    rb_buffer_add(out, channel, mark ? (size_t)(mark - channel) : strlen(channel));
    if (mark) {
        rb_buffer_uint(out, number);
        rb_buffer_string(out, mark + 3);
    }
    return out->status == RB_OK && rb_name_is_channel(rb_buffer_view(out));
}

void rb_load_client_end(struct rb_load_client *client, const char *why) {
    bool was_open = client->state == RB_LOAD_OPEN;
    ev_io_stop(client->crowd->loop, &client->io);
    close(client->io.fd);
    rb_buffer_fini(&client->held);
    client->state = was_open ? RB_LOAD_CLOSED : RB_LOAD_FAILED;
    client->crowd->on_state(client->crowd->ctx, client, why);
}

/* The kernel takes so little at once, or the line is as good as broken. */
static bool send_all(struct rb_load_client *client, const void *bytes, size_t len) {
    return send(client->io.fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static bool ask(struct rb_load_client *client) {
    const struct rb_load_crowd *crowd = client->crowd;
    const uint64_t random[] = {rb_process_random(), rb_process_random()};
    struct rb_buffer head, name;
    rb_buffer_init(&head, 16 * 1024);
    rb_buffer_init(&name, RB_CHANNEL_MAX + 16);
    bool good = rb_load_channel(crowd->channel, client->number, &name);
    rb_buffer_printf(&head,
                     "GET %s/wait/" RB_TEXT_FMT " HTTP/1.1\r\nHost: %s\r\n"
                     "User-Agent: ringback/" RINGBACK_VERSION
                     "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ",
                     crowd->target->prefix, RB_TEXT_ARG(rb_buffer_view(&name)),
                     crowd->target->host);
    rb_base64(&head, rb_text((const char *)random, sizeof random));
    if (crowd->token) {
        rb_buffer_string(&head, "\r\nAuthorization: Bearer ");
        rb_buffer_string(&head, crowd->token);
    }
    rb_buffer_string(&head, "\r\n\r\n");
    good = good && head.status == RB_OK && send_all(client, head.at, head.len);
    rb_buffer_fini(&name);
    rb_buffer_fini(&head);
    return good;
}

/* Masked with zeros, as RFC 6455 5.3 lets who has nothing to hide do. */
static bool pong(struct rb_load_client *client, struct rb_text payload) {
    unsigned char frame[6 + CONTROL_MOST] = {0x80 | PONG,
                                             (unsigned char)(0x80 | payload.len)};
    if (payload.len > 0)
        memcpy(frame + 6, payload.at, payload.len);
    return send_all(client, frame, 6 + payload.len);
}

/* How many bytes the frame takes; 0: it is not whole. *why is set when it is none that a
 * server may send us. */
static size_t take_frame(struct rb_text bytes, struct frame *frame, const char **why) {
    const unsigned char *p = (const unsigned char *)bytes.at;
    if (bytes.len < 2)
        return 0;
    size_t head = 2, size = p[1] & 0x7f;
    size_t more = size == 126 ? 2 : size == 127 ? 8 : 0;
    if (bytes.len < head + more)
        return 0;
    for (size_t i = 0; i < more; i++)
        size = (i == 0 ? 0 : size << 8) | p[2 + i];
    head += more;
    frame->opcode = p[0] & 0x0f;
    if ((p[0] & 0xf0) != 0x80 || (p[1] & 0x80) || size > FRAME_LIMIT ||
        (frame->opcode >= CLOSE && size > CONTROL_MOST)) {
        *why = "a frame that was not expected";
        return 0;
    }
    if (bytes.len < head + size)
        return 0;
    frame->payload = rb_text(bytes.at + head, size);
    return head + size;
}

/* "HTTP/1.1 403 Forbidden" is what is told of a refusal. */
static size_t take_answer(struct rb_load_client *client, struct rb_text bytes,
                          char why[64]) {
    const char *end = memmem(bytes.at, bytes.len, "\r\n\r\n", 4);
    if (!end) {
        if (bytes.len > sizeof client->crowd->bytes / 2)
            snprintf(why, 64, "an answer that is no HTTP");
        return 0;
    }
    const char *line = memchr(bytes.at, '\r', bytes.len);
    if (bytes.len < 12 || memcmp(bytes.at, "HTTP/1.1 101", 12) != 0) {
        snprintf(why, 64, "%.*s", (int)(line - bytes.at), bytes.at);
        return 0;
    }
    client->state = RB_LOAD_OPEN;
    client->open_ms = rb_clock_unix_ms();
    client->crowd->on_state(client->crowd->ctx, client, NULL);
    return (size_t)(end - bytes.at) + 4;
}

/* One frame or answer; how many bytes, 0: it is not whole, or why is set. */
static size_t take(struct rb_load_client *client, struct rb_text bytes, char why[64]) {
    struct frame frame;
    const char *wrong = NULL;
    if (client->state == RB_LOAD_ASKS)
        return take_answer(client, bytes, why);
    size_t took = take_frame(bytes, &frame, &wrong);
    if (took > 0 && frame.opcode == TEXT)
        client->crowd->on_text(client->crowd->ctx, client, frame.payload);
    if (took > 0 && frame.opcode == PING && !pong(client, frame.payload))
        wrong = strerror(errno);
    if (took > 0 && frame.opcode == CLOSE) {
        const unsigned char *p = (const unsigned char *)frame.payload.at;
        snprintf(why, 64, "closed with %d",
                 frame.payload.len >= 2 ? p[0] << 8 | p[1] : 1005);
    }
    if (wrong)
        snprintf(why, 64, "%s", wrong);
    return took;
}

static void take_all(struct rb_load_client *client, struct rb_text bytes) {
    char why[64] = "";
    size_t took = 1, at = 0;
    bool held = client->held.len > 0;
    if (held) {
        rb_buffer_text(&client->held, bytes);
        bytes = rb_buffer_view(&client->held);
    }
    while (at < bytes.len && took > 0 && !why[0]) {
        took = take(client, rb_text(bytes.at + at, bytes.len - at), why);
        at += took;
    }
    if (held)
        rb_buffer_consume(&client->held, at);
    else
        rb_buffer_add(&client->held, bytes.at + at, bytes.len - at);
    if (!why[0] && client->held.status != RB_OK)
        snprintf(why, sizeof why, "%s", rb_status_text(client->held.status));
    if (why[0])
        rb_load_client_end(client, why);
    else if (client->held.len == 0)
        rb_buffer_fini(&client->held); /* thousands of them hold nothing */
}

static void on_readable(struct ev_loop *loop, struct ev_io *io, int events) {
    struct rb_load_client *client = io->data;
    struct rb_load_crowd *crowd = client->crowd;
    (void)loop;
    (void)events;
    ssize_t n = recv(io->fd, crowd->bytes, sizeof crowd->bytes, 0);
    if (n > 0)
        take_all(client, rb_text(crowd->bytes, (size_t)n));
    else if (n == 0)
        rb_load_client_end(client, "the connection was closed");
    else if (errno != EAGAIN && errno != EINTR)
        rb_load_client_end(client, strerror(errno));
}

static void on_connected(struct ev_loop *loop, struct ev_io *io, int events) {
    struct rb_load_client *client = io->data;
    int failed = 0;
    socklen_t len = sizeof failed;
    (void)events;
    getsockopt(io->fd, SOL_SOCKET, SO_ERROR, &failed, &len);
    if (failed != 0) {
        rb_load_client_end(client, strerror(failed));
    } else if (!ask(client)) {
        rb_load_client_end(client, "the request could not be sent");
    } else {
        ev_io_stop(loop, io);
        ev_set_cb(io, on_readable);
        ev_io_set(io, io->fd, EV_READ);
        ev_io_start(loop, io);
    }
}

void rb_load_client_connect(struct rb_load_client *client) {
    const struct rb_load_crowd *crowd = client->crowd;
    const struct rb_load_target *target = crowd->target;
    int one = 1;
    int fd =
        socket(target->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ev_io_init(&client->io, on_connected, fd, EV_WRITE);
    client->io.data = client;
    client->state = RB_LOAD_ASKS;
    client->asked_ms = rb_clock_ms();
    client->last = -1;
    rb_buffer_init(&client->held, FRAME_LIMIT + sizeof crowd->bytes);
    if (fd >= 0)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (fd < 0 || (connect(fd, (const struct sockaddr *)&target->address,
                           target->address_len) != 0 &&
                   errno != EINPROGRESS))
        rb_load_client_end(client, strerror(errno));
    else
        ev_io_start(crowd->loop, &client->io);
}
