/* Commands to Redis, each with its one answer. What is owed is kept in two queues: `sent`
 * waits for replies, which come in its order; `refused` waits for the loop, so that a
 * refusal never comes from inside rb_link_call. */
#include "jobs/link.h"

#include <stdlib.h>

#include "config/clock.h"
#include "jobs/redis_command.h"
#include "jobs/redis_connection.h"
#include "jobs/redis_output.h"

#define FIRST_ROOM 1024 /* a power of two */
#define KEPT_ROOM 16384 /* a queue that grew beyond is given back when empty */
#define MAX_REPLY_BYTES ((size_t)256 * 1024 * 1024)
#define PIECE_BYTES 4096 /* of commands, some ten publications: Redis may begin */
#define EVALSHA_FRAME 96 /* "*n", EVALSHA and the digest, with their framing */

struct owed {
    rb_link_reply_fn *fn;
    void *ctx;
    int64_t deadline_ms;
    const struct rb_script *script; /* NULL: none, or its second round */
    size_t argc;                    /* of its whole command */
    size_t said;                    /* bytes of its call in link->said */
    enum rb_status status;          /* of what was refused */
};

/* A ring; room is a power of two. */
struct queue {
    struct owed *at;
    size_t room;
    size_t head;
    size_t count;
};

struct rb_link {
    struct rb_redis_connection *connection;
    struct rb_link_options options;
    struct queue sent;
    struct queue refused;
    /* For those in `sent` that may have to be said again with their script's source: the
     * number of keys, the keys and the arguments, as they were written. */
    struct rb_redis_output said;
    int64_t alarm_ms; /* not after the earliest deadline in `sent` */
    bool doomed;
};

static void queue_resize(struct queue *q, size_t room) {
    struct owed *at = malloc(room * sizeof *at);
    if (!at)
        return;
    for (size_t i = 0; i < q->count; i++)
        at[i] = q->at[(q->head + i) & (q->room - 1)];
    free(q->at);
    q->at = at;
    q->room = room;
    q->head = 0;
}

/* Grows when half full, so that want of memory is met long before the last slot. */
static bool queue_has_room(struct queue *q) {
    if (q->count >= q->room / 2)
        queue_resize(q, q->room > 0 ? q->room * 2 : FIRST_ROOM);
    return q->count < q->room;
}

static void queue_push(struct queue *q, const struct owed *owed) {
    q->at[(q->head + q->count) & (q->room - 1)] = *owed;
    q->count++;
}

static bool queue_pop(struct queue *q, struct owed *owed) {
    if (q->count == 0)
        return false;
    *owed = q->at[q->head];
    q->head = (q->head + 1) & (q->room - 1);
    if (--q->count == 0 && q->room > KEPT_ROOM)
        queue_resize(q, FIRST_ROOM);
    return true;
}

static void answer(const struct owed *owed, enum rb_status status,
                   const struct redisReply *reply) {
    if (owed->fn)
        owed->fn(owed->ctx, status, reply);
}

static void refuse(struct rb_link *link, const struct owed *owed, enum rb_status status) {
    struct owed later = *owed;
    later.status = status;
    if (!later.fn)
        return;
    if (!queue_has_room(&link->refused)) {
        /* Not even the debt can be written down: paid at once rather than never. */
        answer(&later, RB_NOMEM, NULL);
        return;
    }
    queue_push(&link->refused, &later);
    rb_redis_connection_wake(link->connection);
}

/* RB_OK when a command may be written and its answer awaited. */
static enum rb_status ready(struct rb_link *link) {
    if (link->doomed)
        return RB_CANCELLED;
    if (!rb_redis_connection_up(link->connection) ||
        link->sent.count >= RB_LINK_MAX_OUTSTANDING)
        return RB_UNAVAILABLE;
    return queue_has_room(&link->sent) ? RB_OK : RB_NOMEM;
}

/* More waits to be written than the connection holds: it does not keep up. */
static enum rb_status written(enum rb_status status) {
    return status == RB_TOO_LARGE ? RB_UNAVAILABLE : status;
}

static void await(struct rb_link *link, const struct owed *owed) {
    queue_push(&link->sent, owed);
    if (owed->deadline_ms < link->alarm_ms) {
        link->alarm_ms = owed->deadline_ms;
        rb_redis_connection_alarm(link->connection, link->alarm_ms);
    }
    rb_redis_connection_push(link->connection, PIECE_BYTES);
}

static int64_t deadline(const struct rb_link *link, int64_t timeout_ms) {
    if (timeout_ms < 0)
        return INT64_MAX;
    return rb_clock_ms() +
           (timeout_ms > 0 ? timeout_ms : link->options.command_timeout_ms);
}

void rb_link_call(struct rb_link *link, int64_t timeout_ms, rb_link_reply_fn *fn,
                  void *ctx, size_t argc, const struct rb_text *argv) {
    struct owed owed = {.fn = fn, .ctx = ctx, .deadline_ms = deadline(link, timeout_ms)};
    enum rb_status status = ready(link);
    if (status == RB_OK)
        status = written(rb_redis_command_add(
            rb_redis_connection_output(link->connection), argc, argv));
    if (status == RB_OK)
        await(link, &owed);
    else
        refuse(link, &owed, status);
}

/* verb is EVALSHA or EVAL, what the digest or the source. */
static enum rb_status write_script_call(struct rb_link *link, const struct owed *owed,
                                        struct rb_text verb, struct rb_text what,
                                        const char *said) {
    enum rb_status status;
    struct rb_buffer *out = rb_redis_connection_output(link->connection);
    char *start = rb_redis_reserve(out, EVALSHA_FRAME + what.len + owed->said, &status);
    if (!start)
        return written(status);
    char *to = rb_redis_put_array(start, owed->argc);
    to = rb_redis_put_bulk(to, verb);
    to = rb_redis_put_bulk(to, what);
    memcpy(to, said, owed->said);
    to += owed->said;
    rb_buffer_commit(out, (size_t)(to - start));
    return RB_OK;
}

/* Says it, and keeps what was said. */
static enum rb_status say(struct rb_link *link, struct owed *owed, size_t key_count,
                          const struct rb_text *keys, size_t arg_count,
                          const struct rb_text *args) {
    struct rb_buffer *kept = &link->said.bytes;
    size_t bytes = RB_REDIS_FRAME + RB_REDIS_DIGITS;
    enum rb_status status;
    for (size_t i = 0; i < key_count; i++)
        bytes += RB_REDIS_FRAME + keys[i].len;
    for (size_t i = 0; i < arg_count; i++)
        bytes += RB_REDIS_FRAME + args[i].len;
    char *said = rb_redis_reserve(kept, bytes, &status);
    if (!said)
        return written(status);
    char *to = rb_redis_put_number(said, key_count);
    for (size_t i = 0; i < key_count; i++)
        to = rb_redis_put_bulk(to, keys[i]);
    for (size_t i = 0; i < arg_count; i++)
        to = rb_redis_put_bulk(to, args[i]);
    owed->argc = 3 + key_count + arg_count;
    owed->said = (size_t)(to - said);
    status = write_script_call(link, owed, RB_TEXT("EVALSHA"),
                               rb_text(owed->script->sha1, 40), said);
    if (status == RB_OK)
        rb_buffer_commit(kept, owed->said);
    return status;
}

void rb_link_script(struct rb_link *link, const struct rb_script *script,
                    size_t key_count, const struct rb_text *keys, size_t arg_count,
                    const struct rb_text *args, rb_link_reply_fn *fn, void *ctx) {
    rb_link_script_within(link, 0, script, key_count, keys, arg_count, args, fn, ctx);
}

void rb_link_script_within(struct rb_link *link, int64_t timeout_ms,
                           const struct rb_script *script, size_t key_count,
                           const struct rb_text *keys, size_t arg_count,
                           const struct rb_text *args, rb_link_reply_fn *fn, void *ctx) {
    struct owed owed = {.fn = fn,
                        .ctx = ctx,
                        .deadline_ms = deadline(link, timeout_ms),
                        .script = script};
    enum rb_status status = ready(link);
    if (status == RB_OK)
        status = say(link, &owed, key_count, keys, arg_count, args);
    if (status == RB_OK)
        await(link, &owed);
    else
        refuse(link, &owed, status);
}

/* The script is not there yet, so nothing was done: said again, with the source. */
static void repeat_with_source(struct rb_link *link, struct owed *owed) {
    const struct rb_script *script = owed->script;
    enum rb_status status = ready(link);
    if (status == RB_OK)
        status = write_script_call(link, owed, RB_TEXT("EVAL"),
                                   rb_text(script->source, script->len),
                                   link->said.bytes.at + link->said.written);
    rb_redis_output_drop(&link->said, owed->said);
    owed->script = NULL;
    owed->said = 0;
    if (status == RB_OK)
        await(link, owed);
    else
        refuse(link, owed, status);
}

static void on_up(void *owner) {
    struct rb_link *link = owner;
    link->alarm_ms = INT64_MAX;
    if (link->options.on_state)
        link->options.on_state(link->options.ctx, true);
}

static void on_down(void *owner) {
    struct rb_link *link = owner;
    struct owed owed;
    int64_t now_ms = rb_clock_ms();
    rb_redis_output_fini(&link->said);
    while (!link->doomed && queue_pop(&link->sent, &owed))
        answer(&owed, owed.deadline_ms <= now_ms ? RB_TIMEOUT : RB_UNAVAILABLE, NULL);
    if (!link->doomed && link->options.on_state)
        link->options.on_state(link->options.ctx, false);
}

static bool is_noscript(const struct redisReply *reply) {
    return reply->type == REDIS_REPLY_ERROR &&
           rb_text_starts(rb_text(reply->str, reply->len), RB_TEXT("NOSCRIPT"));
}

struct rb_text rb_link_error_code(const char *error) {
    struct rb_text words = rb_text_of(error), code = {NULL, 0};
    /* What a command within a script was refused with, Redis before 7 says like this. */
    const char *passed_on = rb_text_starts(words, RB_TEXT("ERR Error running script"))
                                ? strstr(error, ": -")
                                : NULL;
    if (passed_on)
        words = rb_text_of(passed_on + 3);
    return rb_text_next(&words, ' ', &code) ? code : words;
}

static void on_reply(void *owner, const struct redisReply *reply) {
    struct rb_link *link = owner;
    struct owed owed;
    bool error = reply->type == REDIS_REPLY_ERROR;
    if (!queue_pop(&link->sent, &owed)) {
        /* Redis speaks unasked before it hangs up: "max number of clients reached". */
        rb_redis_connection_break(link->connection,
                                  error ? reply->str : "an answer nobody asked for");
        return;
    }
    if (owed.script && is_noscript(reply)) {
        repeat_with_source(link, &owed);
    } else {
        rb_redis_output_drop(&link->said, owed.said);
        answer(&owed, error ? RB_REFUSED : RB_OK, reply);
    }
    if (error && !link->doomed && rb_text_is(rb_link_error_code(reply->str), "READONLY"))
        rb_redis_connection_break(link->connection, reply->str);
}

static void on_batch_end(void *owner) {
    struct rb_link *link = owner;
    if (link->doomed || !link->options.on_replies)
        return;
    link->options.on_replies(link->options.ctx);
    if (!link->doomed)
        rb_redis_connection_push(link->connection, 1);
}

/* Those refused before this turn; what their callbacks ask for is for the next one. */
static void on_turn(void *owner) {
    struct rb_link *link = owner;
    struct owed owed;
    size_t count = link->refused.count;
    while (!link->doomed && count-- > 0 && queue_pop(&link->refused, &owed))
        answer(&owed, owed.status, NULL);
    if (!link->doomed && link->refused.count > 0)
        rb_redis_connection_wake(link->connection);
}

/* Deadlines differ and answers come in order, so the earliest is looked for; that is
 * seldom, since the alarm is not moved when commands are answered. */
static void on_alarm(void *owner, int64_t now_ms) {
    struct rb_link *link = owner;
    const struct queue *q = &link->sent;
    int64_t earliest_ms = INT64_MAX;
    for (size_t i = 0; i < q->count; i++) {
        const struct owed *owed = &q->at[(q->head + i) & (q->room - 1)];
        if (owed->deadline_ms < earliest_ms)
            earliest_ms = owed->deadline_ms;
    }
    link->alarm_ms = earliest_ms;
    if (earliest_ms <= now_ms)
        rb_redis_connection_break(link->connection, "a command was not answered in time");
    else
        rb_redis_connection_alarm(link->connection, earliest_ms);
}

static const struct rb_redis_connection_events events = {
    .on_up = on_up,
    .on_down = on_down,
    .on_reply = on_reply,
    .on_batch_end = on_batch_end,
    .on_turn = on_turn,
    .on_alarm = on_alarm,
};

struct rb_link *rb_link_new(struct ev_loop *loop, const struct rb_link_options *options) {
    struct rb_link *link = calloc(1, sizeof *link);
    if (!link)
        return NULL;
    link->options = *options;
    link->alarm_ms = INT64_MAX;
    /* What is written but not answered comes on top of what is not. */
    rb_redis_output_init(&link->said, 2 * (size_t)RB_REDIS_OUTPUT_MAX);
    const struct rb_redis_connection_options connection = {
        .address = options->address,
        .name = options->name,
        .connect_timeout_ms = options->connect_timeout_ms,
        .max_reply_bytes = MAX_REPLY_BYTES,
        .urgent = options->urgent,
    };
    if (queue_has_room(&link->sent) && queue_has_room(&link->refused))
        link->connection = rb_redis_connection_new(loop, &connection, &events, link);
    if (!link->connection) {
        free(link->sent.at);
        free(link->refused.at);
        free(link);
        return NULL;
    }
    return link;
}

void rb_link_free(struct rb_link *link) {
    struct owed owed;
    if (!link || link->doomed)
        return;
    link->doomed = true;
    while (queue_pop(&link->sent, &owed) || queue_pop(&link->refused, &owed))
        answer(&owed, RB_CANCELLED, NULL);
    free(link->sent.at);
    free(link->refused.at);
    rb_redis_output_fini(&link->said);
    link->sent = link->refused = (struct queue){0};
    rb_redis_connection_free(link->connection, link);
}

bool rb_link_up(const struct rb_link *link) {
    return !link->doomed && rb_redis_connection_up(link->connection);
}

size_t rb_link_outstanding(const struct rb_link *link) {
    return link->sent.count + link->refused.count;
}

const char *rb_link_last_error(const struct rb_link *link) {
    return rb_redis_connection_error(link->connection);
}

void rb_link_reset(struct rb_link *link, const char *why) {
    if (!link->doomed)
        rb_redis_connection_break(link->connection, why);
}
