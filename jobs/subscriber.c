/* The subscribed connection. In a RESP2 connection that is subscribed, replies are what
 * was published and the confirmations; there is nothing else to pair. */
#include "jobs/subscriber.h"

#include <stdio.h>
#include <stdlib.h>

#include "config/clock.h"
#include "jobs/redis_command.h"
#include "jobs/redis_connection.h"
#include "jobs/redis_push.h"

#define NAMES_A_COMMAND 512 /* so that Redis serves others in between */
#define MAX_REPLY_BYTES ((size_t)64 * 1024 * 1024)

enum verb { SUBSCRIBE, UNSUBSCRIBE };

struct rb_subscriber {
    struct rb_redis_connection *connection;
    struct rb_subscriber_events events;
    void *ctx;
    int64_t probe_ms;
    bool doomed;
    bool delivered; /* messages in this read */
    bool probing;   /* a PING is out, and nothing came since */
    int64_t heard_ms;

    /* The names of the command that is being put together, as they will be sent. */
    enum verb verb;
    struct rb_buffer names;
    size_t name_count;
};

static struct rb_text verb_text(enum verb verb) {
    return verb == SUBSCRIBE ? RB_TEXT("SUBSCRIBE") : RB_TEXT("UNSUBSCRIBE");
}

static void give_up(struct rb_subscriber *s, enum rb_status status) {
    rb_redis_connection_break(s->connection, status == RB_NOMEM
                                                 ? rb_status_text(status)
                                                 : "more to say than Redis reads");
}

/* Never a command without names: that would mean all of them. */
static void finish_command(struct rb_subscriber *s) {
    if (s->name_count == 0 || !rb_redis_connection_up(s->connection))
        return;
    enum rb_status status;
    struct rb_text verb = verb_text(s->verb);
    struct rb_buffer *out = rb_redis_connection_output(s->connection);
    size_t bytes = 2 * RB_REDIS_FRAME + verb.len + s->names.len;
    char *start = rb_redis_reserve(out, bytes, &status);
    if (!start) {
        give_up(s, status);
        return;
    }
    char *to = rb_redis_put_array(start, 1 + s->name_count);
    to = rb_redis_put_bulk(to, verb);
    memcpy(to, s->names.at, s->names.len);
    to += s->names.len;
    rb_buffer_commit(out, (size_t)(to - start));
    rb_buffer_clear(&s->names);
    s->name_count = 0;
}

static void say(struct rb_subscriber *s, enum verb verb, struct rb_text name) {
    enum rb_status status;
    if (s->doomed || !rb_redis_connection_up(s->connection))
        return;
    if (s->verb != verb || s->name_count == NAMES_A_COMMAND)
        finish_command(s);
    s->verb = verb;
    char *start = rb_redis_reserve(&s->names, RB_REDIS_FRAME + name.len, &status);
    if (!start) {
        give_up(s, status);
        return;
    }
    char *to = rb_redis_put_bulk(start, name);
    rb_buffer_commit(&s->names, (size_t)(to - start));
    s->name_count++;
    rb_redis_connection_wake(s->connection);
}

static void forget_names(struct rb_subscriber *s) {
    rb_buffer_fini(&s->names);
    s->name_count = 0;
}

static void on_up(void *owner) {
    struct rb_subscriber *s = owner;
    s->heard_ms = rb_clock_ms();
    s->probing = false;
    rb_redis_connection_alarm(s->connection, s->heard_ms + s->probe_ms);
    s->events.on_state(s->ctx, true);
}

static void on_down(void *owner) {
    struct rb_subscriber *s = owner;
    forget_names(s);
    s->delivered = false;
    s->events.on_state(s->ctx, false);
}

static void refuse(struct rb_subscriber *s, const struct rb_redis_push *push) {
    char why[160];
    /* A refused SUBSCRIBE must not look like a quiet channel. */
    if (push->kind == RB_REDIS_PUSH_ERROR)
        snprintf(why, sizeof why, "%.*s", (int)push->parts[0].len, push->parts[0].at);
    else
        snprintf(why, sizeof why, "an answer nobody asked for");
    rb_redis_connection_break(s->connection, why);
}

static bool take(struct rb_subscriber *s, const struct rb_redis_push *push) {
    const struct rb_text *parts = push->parts;
    if (push->kind == RB_REDIS_PUSH_STATUS)
        return true; /* the PONG of a connection that is subscribed to nothing */
    if (push->kind != RB_REDIS_PUSH_ARRAY || push->count < 2)
        return false;
    if (rb_text_is(parts[0], "message") && push->count == 3 && parts[1].at &&
        parts[2].at) {
        s->delivered = true;
        s->events.on_message(s->ctx, parts[1], parts[2]);
        return true;
    }
    if (rb_text_is(parts[0], "subscribe") && parts[1].at) {
        s->events.on_subscribed(s->ctx, parts[1]);
        return true;
    }
    return rb_text_is(parts[0], "unsubscribe") || rb_text_is(parts[0], "pong");
}

/* The next replies, read before the first of them is acted on. */
struct ahead {
    struct rb_redis_push pushes[RB_SUBSCRIBER_AHEAD];
    size_t count;
    size_t bytes;                 /* of all of them */
    enum rb_redis_push_step step; /* why there are no more */
};

static void read_ahead(struct rb_text rest, struct ahead *ahead) {
    size_t len;
    ahead->count = ahead->bytes = 0;
    ahead->step = RB_REDIS_PUSH_WHOLE;
    while (ahead->count < RB_SUBSCRIBER_AHEAD) {
        ahead->step = rb_redis_push_read(rest, &ahead->pushes[ahead->count], &len);
        if (ahead->step != RB_REDIS_PUSH_WHOLE)
            return;
        rest = rb_text(rest.at + len, rest.len - len);
        ahead->bytes += len;
        ahead->count++;
    }
}

static void announce(struct rb_subscriber *s, const struct ahead *ahead) {
    struct rb_text names[RB_SUBSCRIBER_AHEAD];
    size_t count = 0;
    for (size_t i = 0; i < ahead->count; i++)
        if (ahead->pushes[i].count == 3 && ahead->pushes[i].parts[1].at)
            names[count++] = ahead->pushes[i].parts[1];
    if (count > 1 && s->events.on_coming)
        s->events.on_coming(s->ctx, names, count);
}

static bool is_alive(const struct rb_subscriber *s) {
    return !s->doomed && rb_redis_connection_up(s->connection);
}

static size_t on_bytes(void *owner, struct rb_text bytes) {
    struct rb_subscriber *s = owner;
    struct ahead ahead = {.step = RB_REDIS_PUSH_WHOLE};
    size_t taken = 0;
    s->heard_ms = rb_clock_ms();
    s->probing = false;
    while (is_alive(s) && ahead.step == RB_REDIS_PUSH_WHOLE) {
        read_ahead(rb_text(bytes.at + taken, bytes.len - taken), &ahead);
        announce(s, &ahead);
        for (size_t i = 0; i < ahead.count && is_alive(s); i++)
            if (!take(s, &ahead.pushes[i]) && !s->doomed)
                refuse(s, &ahead.pushes[i]);
        taken += ahead.bytes;
        if (ahead.step == RB_REDIS_PUSH_BAD && is_alive(s))
            rb_redis_connection_break(s->connection, "not the Redis protocol");
    }
    return taken;
}

static void on_batch_end(void *owner) {
    struct rb_subscriber *s = owner;
    if (!s->delivered)
        return;
    s->delivered = false;
    if (s->events.on_batch_end)
        s->events.on_batch_end(s->ctx);
}

static void on_turn(void *owner) { finish_command(owner); }

static void on_alarm(void *owner, int64_t now_ms) {
    struct rb_subscriber *s = owner;
    const struct rb_text ping = RB_TEXT("PING");
    if (now_ms < s->heard_ms + s->probe_ms) {
        rb_redis_connection_alarm(s->connection, s->heard_ms + s->probe_ms);
        return;
    }
    if (s->probing) {
        rb_redis_connection_break(s->connection, "a probe was not answered");
        return;
    }
    enum rb_status status =
        rb_redis_command_add(rb_redis_connection_output(s->connection), 1, &ping);
    if (status != RB_OK) {
        give_up(s, status);
        return;
    }
    s->probing = true;
    rb_redis_connection_alarm(s->connection, now_ms + s->probe_ms);
}

static const struct rb_redis_connection_events connection_events = {
    .on_up = on_up,
    .on_down = on_down,
    .on_bytes = on_bytes,
    .on_batch_end = on_batch_end,
    .on_turn = on_turn,
    .on_alarm = on_alarm,
};

struct rb_subscriber *rb_subscriber_new(struct ev_loop *loop,
                                        const struct rb_subscriber_options *options,
                                        const struct rb_subscriber_events *events,
                                        void *ctx) {
    struct rb_subscriber *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    const struct rb_redis_connection_options connection = {
        .address = options->address,
        .name = options->name,
        .connect_timeout_ms = options->connect_timeout_ms,
        .max_reply_bytes = MAX_REPLY_BYTES,
    };
    s->events = *events;
    s->ctx = ctx;
    s->probe_ms = options->probe_ms;
    rb_buffer_init(&s->names, RB_REDIS_OUTPUT_MAX);
    s->connection = rb_redis_connection_new(loop, &connection, &connection_events, s);
    if (!s->connection) {
        free(s);
        return NULL;
    }
    return s;
}

void rb_subscriber_free(struct rb_subscriber *s) {
    if (!s || s->doomed)
        return;
    s->doomed = true;
    forget_names(s);
    rb_redis_connection_free(s->connection, s);
}

bool rb_subscriber_up(const struct rb_subscriber *s) {
    return !s->doomed && rb_redis_connection_up(s->connection);
}

void rb_subscriber_subscribe(struct rb_subscriber *s, struct rb_text name) {
    say(s, SUBSCRIBE, name);
}

void rb_subscriber_unsubscribe(struct rb_subscriber *s, struct rb_text name) {
    say(s, UNSUBSCRIBE, name);
}

void rb_subscriber_rest(struct rb_subscriber *s, bool on) {
    if (!s->doomed)
        rb_redis_connection_rest(s->connection, on);
}
