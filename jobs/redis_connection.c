/* One connection to Redis: its life from the first attempt to the loss and back, and its
 * bytes. */
#include "jobs/redis_connection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config/clock.h"
#include "config/log.h"
#include "config/process.h"
#include "jobs/redis_dial.h"
#include "jobs/redis_greeting.h"
#include "jobs/redis_output.h"
#include "jobs/redis_reader.h"

#define BACKOFF_FIRST_MS 20
#define BACKOFF_MAX_MS 500
#define SAME_FAILURE_LOG_MS 30000 /* a failure that lasts is told again so often */
#define READ_BYTES (64 * 1024)
#define FEED_BYTES ((size_t)4 * 1024)
#define READS_A_TURN 8          /* then the loop serves others */
#define KEPT_BYTES (256 * 1024) /* a reader that grew beyond gives back when empty */

enum state {
    WAITING,  /* for the end of the backoff */
    DIALLING, /* lookup, connect */
    GREETING, /* AUTH and so on are sent */
    UP,
    LOST /* was up; on_down is owed */
};

struct rb_redis_connection {
    struct ev_loop *loop;
    struct rb_redis_connection_options options;
    const struct rb_redis_connection_events *events;
    void *owner;

    enum state state;
    int depth; /* how many callbacks of its watchers are running */
    bool doomed;
    void *owner_memory; /* freed with it */

    struct rb_redis_dial *dial;
    int fd;
    struct rb_redis_reader in;
    size_t reply_bytes;     /* read since the last whole reply */
    struct rb_buffer begun; /* what on_bytes has not taken */
    struct rb_redis_output output;
    enum rb_greeting_step greeting;
    bool woken;
    bool resting; /* nothing is read */

    struct ev_io readable, writable;
    /* WAITING: the next attempt; DIALLING and GREETING: their limit; UP: the alarm. */
    struct ev_timer timer;
    int64_t timer_at_ms;
    struct ev_prepare turn;
    struct ev_timer soon; /* keeps the loop from waiting before `turn` has run */

    unsigned failures; /* in a row */
    int64_t up_since_ms;
    int64_t failure_logged_ms;
    struct rb_log_limit log_limit;
    char error[256]; /* why it is down */
};

static void destroy(struct rb_redis_connection *c) {
    rb_redis_dial_free(c->dial);
    free(c->owner_memory);
    free(c);
}

/* Every callback runs between these two, so that _free from within an event leaves
 * everything in place until the event has returned. */
static void enter(struct rb_redis_connection *c) { c->depth++; }

static void leave(struct rb_redis_connection *c) {
    if (--c->depth == 0 && c->doomed)
        destroy(c);
}

static void set_timer(struct rb_redis_connection *c, int64_t at_ms) {
    int64_t after_ms = at_ms - rb_clock_ms();
    ev_timer_stop(c->loop, &c->timer);
    c->timer_at_ms = at_ms;
    if (at_ms == INT64_MAX)
        return;
    ev_timer_set(&c->timer, after_ms > 0 ? (double)after_ms / 1000 : 0, 0);
    ev_timer_start(c->loop, &c->timer);
}

static void close_down(struct rb_redis_connection *c) {
    ev_io_stop(c->loop, &c->readable);
    ev_io_stop(c->loop, &c->writable);
    ev_timer_stop(c->loop, &c->timer);
    rb_redis_dial_stop(c->dial);
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->resting = false;
    rb_redis_reader_fini(&c->in);
    rb_buffer_fini(&c->begun);
    rb_redis_output_fini(&c->output);
    c->reply_bytes = 0;
}

/* Full jitter: a crowd that lost Redis together does not come back together. */
static void wait_for_next_attempt(struct rb_redis_connection *c) {
    int64_t most = BACKOFF_FIRST_MS;
    for (unsigned i = 1; i < c->failures && most < BACKOFF_MAX_MS; i++)
        most *= 2;
    if (most > BACKOFF_MAX_MS)
        most = BACKOFF_MAX_MS;
    c->state = WAITING;
    set_timer(c, rb_clock_ms() + (int64_t)(rb_process_random() % (uint64_t)(most + 1)));
}

static void log_state(struct rb_redis_connection *c, enum rb_log_level level,
                      const char *event) {
    char address[300];
    unsigned held;
    if (!rb_log_allow(&c->log_limit, rb_clock_ms(), &held))
        return;
    rb_redis_address_describe(c->options.address, address, sizeof address);
    if (c->state == UP)
        rb_log(level, event, RB_S("link", c->options.name), RB_S("address", address),
               RB_I("suppressed", held));
    else
        rb_log(level, event, RB_S("link", c->options.name), RB_S("address", address),
               RB_S("why", c->error), RB_I("failures", c->failures),
               RB_I("suppressed", held));
}

/* An attempt came to nothing. */
static void fail(struct rb_redis_connection *c, enum rb_status status, const char *why) {
    int64_t now_ms = rb_clock_ms();
    bool told = c->failures > 0 && strncmp(c->error, why, sizeof c->error - 1) == 0 &&
                now_ms - c->failure_logged_ms < SAME_FAILURE_LOG_MS;
    snprintf(c->error, sizeof c->error, "%s", why);
    c->failures++;
    close_down(c);
    wait_for_next_attempt(c);
    if (told)
        return;
    c->failure_logged_ms = now_ms;
    if (status == RB_REFUSED)
        log_state(c, RB_LOG_ERROR, "redis.auth_failed");
    else
        log_state(c, RB_LOG_WARN, "redis.connect_failed");
}

static void lose(struct rb_redis_connection *c, const char *why) {
    snprintf(c->error, sizeof c->error, "%s", why);
    /* A server that takes connections and drops them at once is not a healthy one. */
    if (rb_clock_ms() - c->up_since_ms > BACKOFF_MAX_MS)
        c->failures = 0;
    else
        c->failures++;
    close_down(c);
    c->state = LOST;
    rb_redis_connection_wake(c);
    log_state(c, RB_LOG_WARN, "redis.lost");
}

static void give_up(struct rb_redis_connection *c, const char *why) {
    if (c->state == UP)
        lose(c, why);
    else
        fail(c, RB_UNAVAILABLE, why);
}

static void give_up_errno(struct rb_redis_connection *c, const char *what, int error) {
    char why[160];
    snprintf(why, sizeof why, "%s: %s", what, strerror(error));
    give_up(c, why);
}

static void take_greeting(struct rb_redis_connection *c, const struct redisReply *reply) {
    enum rb_status status = rb_greeting_judge(c->options.address, reply, &c->greeting);
    if (status != RB_OK) {
        fail(c, status,
             reply->type == REDIS_REPLY_ERROR ? reply->str
                                              : "it is no master (any more)");
        return;
    }
    if (c->greeting != RB_GREETING_DONE)
        return;
    set_timer(c, INT64_MAX);
    c->state = UP;
    c->error[0] = '\0';
    c->up_since_ms = rb_clock_ms();
    log_state(c, RB_LOG_INFO, "redis.connected");
    c->events->on_up(c->owner);
}

static bool owner_reads(const struct rb_redis_connection *c) {
    return c->state == UP && c->events->on_bytes;
}

static void give_up_reply(struct rb_redis_connection *c) {
    char why[80];
    snprintf(why, sizeof why, "a reply is larger than %zu MiB",
             c->options.max_reply_bytes / (1024 * 1024));
    give_up(c, why);
}

/* Hands over every whole reply. False when the connection broke or its owner let go. */
static bool take_replies(struct rb_redis_connection *c) {
    while (!owner_reads(c)) {
        void *reply = NULL;
        if (redisReaderGetReply(c->in.reader, &reply) != REDIS_OK) {
            char why[160];
            snprintf(why, sizeof why, "not the Redis protocol: %s", c->in.reader->errstr);
            give_up(c, why);
            return false;
        }
        if (!reply)
            break;
        c->reply_bytes = 0;
        if (c->state == UP)
            c->events->on_reply(c->owner, reply);
        else
            take_greeting(c, reply);
        freeReplyObject(reply);
        if (!c->in.reader)
            return false;
    }
    if (owner_reads(c) && c->in.reader->pos < c->in.reader->len) {
        give_up(c, "an answer nobody asked for");
        return false;
    }
    if (c->reply_bytes > c->options.max_reply_bytes) {
        give_up_reply(c);
        return false;
    }
    return true;
}

/* What the owner has not taken is kept, and comes again before what comes next. It is out
 * of the connection's reach meanwhile: the owner may break or free the connection. */
static bool hand_over(struct rb_redis_connection *c, struct rb_text bytes) {
    struct rb_buffer begun = c->begun, *rest = &c->begun;
    rb_buffer_init(rest, begun.limit);
    if (begun.len > 0) {
        rb_buffer_text(&begun, bytes);
        bytes = rb_buffer_view(&begun);
    }
    size_t taken = begun.status == RB_OK ? c->events->on_bytes(c->owner, bytes) : 0;
    if (!c->in.reader) {
        rb_buffer_fini(&begun);
        return false;
    }
    if (begun.len > 0 && taken == 0) {
        *rest = begun; /* a long one: it grows where it is */
    } else {
        if (taken < bytes.len)
            rb_buffer_text(rest, rb_text(bytes.at + taken, bytes.len - taken));
        rb_buffer_fini(&begun);
    }
    if (rest->status == RB_OK)
        return true;
    if (rest->status == RB_NOMEM)
        give_up(c, "out of memory");
    else
        give_up_reply(c);
    return false;
}

/* hiredis moves all that is left in its reader to the front again and again while it
 * takes replies from it, so it gets a little at a time. */
static bool feed(struct rb_redis_connection *c, const char *bytes, size_t len) {
    while (len > 0) {
        if (owner_reads(c))
            return hand_over(c, rb_text(bytes, len));
        size_t piece = len < FEED_BYTES ? len : FEED_BYTES;
        c->reply_bytes += piece;
        if (redisReaderFeed(c->in.reader, bytes, piece) != REDIS_OK) {
            give_up(c, "out of memory");
            return false;
        }
        if (!take_replies(c))
            return false;
        bytes += piece;
        len -= piece;
    }
    return true;
}

/* Reads what is there. False when the connection broke or its owner let go. */
static bool read_all(struct rb_redis_connection *c) {
    char bytes[READ_BYTES];
    for (int i = 0; i < READS_A_TURN; i++) {
        ssize_t n = recv(c->fd, bytes, sizeof bytes, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return true;
        if (n < 0) {
            give_up_errno(c, "reading", errno);
            return false;
        }
        if (n == 0) {
            give_up(c, "Redis closed the connection");
            return false;
        }
        if (!feed(c, bytes, (size_t)n))
            return false;
        if (c->state == UP && c->events->on_batch_end)
            c->events->on_batch_end(c->owner);
        if (!c->in.reader)
            return false;
        if ((size_t)n < sizeof bytes || c->resting)
            return true;
    }
    return true;
}

/* Writes what Redis takes now; the rest goes when it takes more. */
static void flush(struct rb_redis_connection *c) {
    int error = rb_redis_output_write(&c->output, c->fd);
    if (error == EAGAIN)
        ev_io_start(c->loop, &c->writable);
    else if (error == 0)
        ev_io_stop(c->loop, &c->writable);
    else if (read_all(c)) /* Redis may have said why it hung up */
        give_up_errno(c, "writing", error);
}

static void on_dialled(void *ctx, int fd, const char *why) {
    struct rb_redis_connection *c = ctx;
    enum rb_status status;
    enter(c);
    if (fd < 0) {
        fail(c, RB_UNAVAILABLE, why);
        goto out;
    }
    c->fd = fd;
    c->state = GREETING;
    ev_io_set(&c->readable, fd, EV_READ);
    ev_io_set(&c->writable, fd, EV_WRITE);
    if (!rb_redis_reader_init(&c->in, KEPT_BYTES)) {
        fail(c, RB_NOMEM, rb_status_text(RB_NOMEM));
        goto out;
    }
    status = rb_greeting_write(c->options.address, c->options.name, &c->output.bytes,
                               &c->greeting);
    if (status != RB_OK) {
        fail(c, status, rb_status_text(status));
        goto out;
    }
    ev_io_start(c->loop, &c->readable);
    flush(c);
out:
    leave(c);
}

static void on_readable(struct ev_loop *loop, struct ev_io *watcher, int events) {
    struct rb_redis_connection *c = watcher->data;
    (void)loop;
    (void)events;
    enter(c);
    read_all(c);
    leave(c);
}

static void on_writable(struct ev_loop *loop, struct ev_io *watcher, int events) {
    struct rb_redis_connection *c = watcher->data;
    (void)loop;
    (void)events;
    enter(c);
    flush(c);
    leave(c);
}

static void fail_late(struct rb_redis_connection *c) {
    char why[80];
    const char *busy = rb_redis_dial_stop(c->dial);
    snprintf(why, sizeof why, "%s takes too long", busy ? busy : "dialling");
    fail(c, RB_TIMEOUT, why);
}

static void on_timer(struct ev_loop *loop, struct ev_timer *watcher, int events) {
    struct rb_redis_connection *c = watcher->data;
    int64_t now_ms = rb_clock_ms();
    (void)loop;
    (void)events;
    if (now_ms < c->timer_at_ms) { /* the loop's own clock was behind when it was set */
        set_timer(c, c->timer_at_ms);
        return;
    }
    enter(c);
    switch (c->state) {
    case WAITING:
        c->state = DIALLING;
        set_timer(c, now_ms + c->options.connect_timeout_ms);
        rb_redis_dial_start(c->dial);
        break;
    case DIALLING:
        fail_late(c);
        break;
    /* Once connected, what has arrived is taken before anything is judged: it may be this
     * process that was asleep, not Redis. */
    case GREETING:
        if (read_all(c) && c->state == GREETING)
            fail(c, RB_TIMEOUT, "Redis does not answer");
        break;
    case UP:
        if (read_all(c))
            c->events->on_alarm(c->owner, now_ms);
        break;
    case LOST:
        break;
    }
    leave(c);
}

static void on_turn(struct ev_loop *loop, struct ev_prepare *watcher, int events) {
    struct rb_redis_connection *c = watcher->data;
    (void)events;
    if (!c->woken)
        return;
    enter(c);
    c->woken = false;
    ev_timer_stop(loop, &c->soon);
    if (c->state == LOST) {
        wait_for_next_attempt(c);
        c->events->on_down(c->owner);
    }
    if (!c->doomed)
        c->events->on_turn(c->owner);
    if (c->state == UP && !ev_is_active(&c->writable))
        flush(c);
    leave(c);
}

static void on_soon(struct ev_loop *loop, struct ev_timer *watcher, int events) {
    (void)loop;
    (void)watcher;
    (void)events;
}

struct rb_redis_connection *
rb_redis_connection_new(struct ev_loop *loop,
                        const struct rb_redis_connection_options *options,
                        const struct rb_redis_connection_events *events, void *owner) {
    struct rb_redis_connection *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->dial = rb_redis_dial_new(loop, options->address, on_dialled, c);
    if (!c->dial) {
        free(c);
        return NULL;
    }
    c->loop = loop;
    c->options = *options;
    c->events = events;
    c->owner = owner;
    c->fd = -1;
    rb_redis_output_init(&c->output, RB_REDIS_OUTPUT_MAX);
    rb_buffer_init(&c->begun, options->max_reply_bytes);
    snprintf(c->error, sizeof c->error, "not connected yet");

    ev_init(&c->readable, on_readable);
    ev_init(&c->writable, on_writable);
    ev_init(&c->timer, on_timer);
    ev_timer_init(&c->soon, on_soon, 0, 0);
    ev_prepare_init(&c->turn, on_turn);
    c->readable.data = c->writable.data = c->timer.data = c->turn.data = c;
    /* Behind all others, so that what they ask for goes out before the loop waits. */
    ev_set_priority(&c->turn, options->urgent ? EV_MINPRI + 1 : EV_MINPRI);
    ev_prepare_start(loop, &c->turn);
    c->state = WAITING;
    set_timer(c, rb_clock_ms());
    return c;
}

void rb_redis_connection_free(struct rb_redis_connection *c, void *owner_memory) {
    close_down(c);
    ev_prepare_stop(c->loop, &c->turn);
    ev_timer_stop(c->loop, &c->soon);
    c->state = WAITING;
    c->doomed = true;
    c->owner_memory = owner_memory;
    if (c->depth == 0)
        destroy(c);
}

bool rb_redis_connection_up(const struct rb_redis_connection *c) {
    return c->state == UP;
}

const char *rb_redis_connection_error(const struct rb_redis_connection *c) {
    return c->error;
}

struct rb_buffer *rb_redis_connection_output(struct rb_redis_connection *c) {
    rb_redis_connection_wake(c);
    return &c->output.bytes;
}

/* An error is met again when the turn ends, where it may be told. */
void rb_redis_connection_push(struct rb_redis_connection *c, size_t enough) {
    if (c->state != UP || ev_is_active(&c->writable) ||
        rb_redis_output_left(&c->output) < enough)
        return;
    if (rb_redis_output_write(&c->output, c->fd) == EAGAIN)
        ev_io_start(c->loop, &c->writable);
}

void rb_redis_connection_wake(struct rb_redis_connection *c) {
    if (c->woken || c->doomed)
        return;
    c->woken = true;
    ev_timer_start(c->loop, &c->soon);
}

void rb_redis_connection_alarm(struct rb_redis_connection *c, int64_t at_ms) {
    if (c->state == UP)
        set_timer(c, at_ms);
}

void rb_redis_connection_rest(struct rb_redis_connection *c, bool on) {
    if (c->state != UP || c->resting == on)
        return;
    c->resting = on;
    if (on)
        ev_io_stop(c->loop, &c->readable);
    else
        ev_io_start(c->loop, &c->readable);
}

void rb_redis_connection_break(struct rb_redis_connection *c, const char *why) {
    if (c->state == UP)
        lose(c, why);
}
