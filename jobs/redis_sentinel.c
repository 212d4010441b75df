/* Asking one Sentinel after the other. A node has little time to answer, since the others
 * know the same. */
#include "jobs/redis_sentinel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "jobs/redis_command.h"
#include "jobs/redis_dial.h"
#include "jobs/redis_reader.h"

#define NODE_TIMEOUT_S 0.3
#define QUESTION_MAX_BYTES 4096
#define READ_BYTES 1024
#define KEPT_BYTES 4096

struct node {
    struct rb_redis_sentinel_query *query;
    struct rb_redis_dial *dial;
};

struct rb_redis_sentinel_query {
    struct ev_loop *loop;
    const struct rb_redis_sentinel *sentinel;
    rb_redis_sentinel_fn *fn;
    void *ctx;

    bool running;
    size_t at;    /* the node that is asked */
    size_t asked; /* how many were, this time */
    int fd;
    bool authenticating; /* the next reply is that to AUTH */
    struct rb_redis_reader in;
    struct ev_io readable;
    struct ev_timer late;
    size_t node_count;
    struct node nodes[];
};

static void hang_up(struct rb_redis_sentinel_query *q) {
    ev_timer_stop(q->loop, &q->late);
    ev_io_stop(q->loop, &q->readable);
    rb_redis_dial_stop(q->nodes[q->at].dial);
    if (q->fd >= 0)
        close(q->fd);
    q->fd = -1;
    rb_redis_reader_fini(&q->in);
}

/* The callback may free the query, so nothing comes behind this. */
static void finish(struct rb_redis_sentinel_query *q, const char *host, int port,
                   const char *why) {
    q->running = false;
    q->at = (q->at + 1) % q->node_count;
    q->fn(q->ctx, host, port, why);
}

static void ask(struct rb_redis_sentinel_query *q) {
    q->asked++;
    ev_now_update(q->loop);
    ev_timer_set(&q->late, NODE_TIMEOUT_S, 0.0);
    ev_timer_start(q->loop, &q->late);
    rb_redis_dial_start(q->nodes[q->at].dial);
}

static void give_up(struct rb_redis_sentinel_query *q, const char *why) {
    char sentence[256], address[128];
    rb_redis_address_describe(&q->sentinel->nodes[q->at], address, sizeof address);
    hang_up(q);
    if (q->asked < q->node_count) {
        q->at = (q->at + 1) % q->node_count;
        ask(q);
        return;
    }
    snprintf(sentence, sizeof sentence,
             "no Sentinel knows where %s is; the last one asked, %s, %s",
             q->sentinel->master, address, why);
    finish(q, NULL, 0, sentence);
}

/* A few hundred bytes into a new socket: they fit, or something is very wrong. */
static bool put_question(struct rb_redis_sentinel_query *q) {
    const struct rb_redis_address *node = &q->sentinel->nodes[q->at];
    const struct rb_text auth[] = {RB_TEXT("AUTH"), rb_text_of(node->user),
                                   rb_text_of(node->password)};
    const struct rb_text simple_auth[] = {RB_TEXT("AUTH"), rb_text_of(node->password)};
    const struct rb_text question[] = {RB_TEXT("SENTINEL"),
                                       RB_TEXT("GET-MASTER-ADDR-BY-NAME"),
                                       rb_text_of(q->sentinel->master)};
    struct rb_buffer out;
    enum rb_status status = RB_OK;
    rb_buffer_init(&out, QUESTION_MAX_BYTES);
    q->authenticating = node->password != NULL;
    if (node->user)
        status = rb_redis_command_add(&out, 3, auth);
    else if (node->password)
        status = rb_redis_command_add(&out, 2, simple_auth);
    if (status == RB_OK)
        status = rb_redis_command_add(&out, 3, question);
    bool sent =
        status == RB_OK && send(q->fd, out.at, out.len, MSG_NOSIGNAL) == (ssize_t)out.len;
    rb_buffer_fini(&out);
    return sent;
}

static void on_dialled(void *ctx, int fd, const char *why) {
    struct node *node = ctx;
    struct rb_redis_sentinel_query *q = node->query;
    if (fd < 0) {
        give_up(q, why);
        return;
    }
    q->fd = fd;
    if (!rb_redis_reader_init(&q->in, KEPT_BYTES) || !put_question(q)) {
        give_up(q, "can't be asked");
        return;
    }
    ev_io_set(&q->readable, fd, EV_READ);
    ev_io_start(q->loop, &q->readable);
}

static bool read_address(const struct redisReply *reply, const char **host,
                         uint64_t *port) {
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)
        return false;
    const struct redisReply *name = reply->element[0], *number = reply->element[1];
    *host = name->str;
    return name->type == REDIS_REPLY_STRING && number->type == REDIS_REPLY_STRING &&
           name->len > 0 && strlen(name->str) == name->len &&
           rb_text_uint64(rb_text(number->str, number->len), port) == RB_OK &&
           *port >= 1 && *port <= 65535;
}

/* False when the query went on, or is over. */
static bool take(struct rb_redis_sentinel_query *q, const struct redisReply *reply) {
    const char *host;
    uint64_t port;
    if (reply->type == REDIS_REPLY_ERROR) {
        give_up(q, reply->str);
        return false;
    }
    if (q->authenticating) {
        q->authenticating = false;
        return true;
    }
    if (reply->type == REDIS_REPLY_NIL) {
        give_up(q, "watches no master of that name");
    } else if (read_address(reply, &host, &port)) {
        hang_up(q);
        finish(q, host, (int)port, NULL);
    } else {
        give_up(q, "answered what was not expected");
    }
    return false;
}

static void on_readable(struct ev_loop *loop, struct ev_io *watcher, int events) {
    struct rb_redis_sentinel_query *q = watcher->data;
    char bytes[READ_BYTES];
    (void)loop, (void)events;
    ssize_t n = recv(q->fd, bytes, sizeof bytes, 0);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0 || redisReaderFeed(q->in.reader, bytes, (size_t)n) != REDIS_OK) {
        give_up(q, "closed the connection");
        return;
    }
    for (bool more = true; more;) {
        void *reply = NULL;
        if (redisReaderGetReply(q->in.reader, &reply) != REDIS_OK) {
            give_up(q, "does not speak the Redis protocol");
            return;
        }
        if (!reply)
            return;
        more = take(q, reply);
        freeReplyObject(reply);
    }
}

static void on_late(struct ev_loop *loop, struct ev_timer *timer, int events) {
    (void)loop, (void)events;
    give_up(timer->data, "does not answer");
}

struct rb_redis_sentinel_query *
rb_redis_sentinel_query_new(struct ev_loop *loop,
                            const struct rb_redis_sentinel *sentinel,
                            rb_redis_sentinel_fn *fn, void *ctx) {
    struct rb_redis_sentinel_query *q =
        calloc(1, sizeof *q + sentinel->node_count * sizeof(struct node));
    if (!q)
        return NULL;
    q->loop = loop;
    q->sentinel = sentinel;
    q->fn = fn;
    q->ctx = ctx;
    q->fd = -1;
    ev_init(&q->readable, on_readable);
    ev_init(&q->late, on_late);
    q->readable.data = q->late.data = q;
    for (size_t i = 0; i < sentinel->node_count; i++) {
        struct node *node = &q->nodes[i];
        node->query = q;
        node->dial = rb_redis_dial_new(loop, &sentinel->nodes[i], on_dialled, node);
        if (!node->dial) {
            rb_redis_sentinel_query_free(q);
            return NULL;
        }
        q->node_count++;
    }
    return q;
}

void rb_redis_sentinel_query_free(struct rb_redis_sentinel_query *q) {
    if (!q)
        return;
    rb_redis_sentinel_query_stop(q);
    for (size_t i = 0; i < q->node_count; i++)
        rb_redis_dial_free(q->nodes[i].dial);
    free(q);
}

void rb_redis_sentinel_query_start(struct rb_redis_sentinel_query *q) {
    q->running = true;
    q->asked = 0;
    ask(q);
}

bool rb_redis_sentinel_query_stop(struct rb_redis_sentinel_query *q) {
    bool was_running = q->running;
    if (!was_running)
        return false;
    q->running = false;
    hang_up(q);
    q->at = (q->at + 1) % q->node_count;
    return true;
}
