/* {"enqueue":{job}} on a WebSocket: which jobs a browser may ask for, where their events
 * go, and how many of them may be under way. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "config/process.h"
#include "jobs/job.h"
#include "jobs/json_scan.h"
#include "jobs/name.h"
#include "notifier/enqueue.h"
#include "notifier/me.h"
#include "notifier/pass.h"
#include "notifier/transport_websocket.h"

#define REF_MAX 64 /* bytes of JSON */

/* A job of this client: until Redis has answered, and its result has come. */
struct rb_asked {
    LIST_ENTRY(rb_asked) entry;
    struct rb_connection *connection; /* NULL: gone before Redis answered */
    int64_t at_ms;
    bool pushing; /* RPUSH is not answered yet */
    bool told;    /* the client knows that it is queued: an event was quicker than that */
    bool ended;   /* likewise its result */
    char ref[REF_MAX + 1];
    char channel[RB_CHANNEL_MAX + 1];
    char id[RB_JOB_ID_MAX + 1];
};

/* What was read of the command; texts are borrowed from it. */
struct wish {
    struct rb_enqueue job;
    struct rb_text ref; /* JSON, "" = none */
    char made[RB_ENQUEUE_ID_LEN + 1];
};

/* --- answers --- */

static void answer(struct rb_connection *c, struct rb_buffer *json, struct rb_text ref) {
    if (ref.len > 0) {
        rb_buffer_string(json, ",\"ref\":");
        rb_buffer_text(json, ref);
    }
    rb_buffer_char(json, '}');
    rb_websocket_answer(c, json);
    rb_buffer_fini(json);
}

/* id may be empty. */
static void refuse(struct rb_connection *c, const char *code, const char *message,
                   struct rb_text id, struct rb_text ref) {
    struct rb_buffer json;
    unsigned held;
    rb_count(c->server, RB_COUNT_REFUSED_ENQUEUE, 1);
    if (rb_server_line(c->server, RB_LINE_ENQUEUE, &held))
        rb_log(RB_LOG_INFO, "enqueue.refused", RB_S("why", code),
               RB_I("suppressed", held));
    rb_buffer_init(&json, 8192);
    rb_buffer_printf(&json, "{\"error\":{\"code\":\"%s\",\"message\":", code);
    rb_buffer_json(&json, rb_text_of(message));
    if (id.len > 0) {
        rb_buffer_string(&json, ",\"id\":");
        rb_buffer_json(&json, id);
    }
    rb_buffer_char(&json, '}');
    answer(c, &json, ref);
}

static void confirm(struct rb_asked *a) {
    struct rb_buffer json;
    a->told = true;
    rb_buffer_init(&json, 1024);
    rb_buffer_printf(&json, "{\"enqueued\":{\"id\":\"%s\",\"channel\":\"%s\"}", a->id,
                     a->channel);
    answer(a->connection, &json, rb_text_of(a->ref));
}

/* --- jobs under way --- */

static void drop(struct rb_asked *a) {
    struct rb_connection *c = a->connection;
    LIST_REMOVE(a, entry);
    free(a);
    rb_websocket_tidy(c);
}

static void on_pushed(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct rb_asked *a = ctx;
    (void)reply;
    if (!a->connection) {
        free(a);
        return;
    }
    if (status == RB_OK)
        rb_count(a->connection->server, RB_COUNT_ENQUEUED, 1);
    if (status == RB_OK && !a->told) {
        confirm(a);
    } else if (!a->told) {
        refuse(a->connection, "unavailable",
               status == RB_TIMEOUT ? "Redis did not answer: the job may be queued."
                                    : "The job could not be queued now.",
               rb_text_of(a->id), rb_text_of(a->ref));
    }
    /* The answer may have doomed the connection, which lets go of its jobs. */
    a->pushing = false;
    if (!a->connection)
        free(a);
    else if (status != RB_OK || a->ended)
        drop(a);
}

/* A worker may be quicker than Redis's answer to RPUSH, which comes on another link; the
 * client is told of its job before it hears of it. */
void rb_websocket_hears(struct rb_connection *c, struct rb_text event, bool terminal) {
    struct rb_websocket_work *work = c->work;
    struct rb_asked *a = work ? LIST_FIRST(&work->asked) : NULL;
    while (a &&
           ((!terminal && a->told) || !rb_enqueue_is_event_of(event, rb_text_of(a->id))))
        a = LIST_NEXT(a, entry);
    if (!a)
        return;
    a->ended = terminal;
    if (!a->pushing)
        drop(a);
    else if (!a->told)
        confirm(a);
}

void rb_websocket_forget_jobs(struct rb_websocket_work *work) {
    struct rb_asked *a;
    while ((a = LIST_FIRST(&work->asked))) {
        LIST_REMOVE(a, entry);
        a->connection = NULL;
        if (!a->pushing)
            free(a);
    }
}

/* How many are without their result. One whose channel has expired meanwhile does not
 * count any more. */
static int64_t count_pending(struct rb_connection *c) {
    struct rb_websocket_work *work = c->work;
    int64_t count = 0;
    struct rb_asked *next;
    for (struct rb_asked *a = work ? LIST_FIRST(&work->asked) : NULL; a; a = next) {
        next = LIST_NEXT(a, entry);
        if (a->pushing ||
            c->server->now_ms - a->at_ms < c->server->settings->channels.ttl)
            count++;
        else
            drop(a);
    }
    return count;
}

/* --- reading --- */

static struct rb_text text_of(const json_t *string) {
    return rb_text(json_string_value(string), json_string_length(string));
}

static struct rb_text member_of(struct rb_text object, struct rb_text name) {
    struct rb_json_walk walk;
    struct rb_text key, value;
    if (rb_json_walk(object, &walk) == RB_OK)
        while (rb_json_next(&walk, &key, &value) == RB_OK)
            if (rb_json_string_is(key, name))
                return value;
    return RB_TEXT("");
}

/* NULL, or a sentence. `text` is room for one that names a member. */
static const char *read_member(const char *key, const json_t *value, struct rb_text raw,
                               struct wish *wish, struct rb_error *error) {
    if (strcmp(key, "service") == 0) {
        wish->job.service = text_of(value);
        return json_is_string(value) ? NULL : "service is a string.";
    }
    if (strcmp(key, "params") == 0) {
        wish->job.params = member_of(raw, RB_TEXT("params"));
        if (!json_is_object(value))
            return "params is an object.";
        /* jansson reads deeper than we do, and than most who get the params. */
        return wish->job.params.len > 0 ? NULL : "params is nested too deeply.";
    }
    if (strcmp(key, "id") == 0) {
        wish->job.id = text_of(value);
        return json_is_string(value) && rb_name_is_job_id(text_of(value))
                   ? NULL
                   : "id is 1 to 128 of A-Z a-z 0-9 _ . : @ = ~ and -.";
    }
    if (strcmp(key, "channel") == 0) {
        wish->job.channel = text_of(value);
        return json_is_string(value) && rb_name_is_channel(text_of(value))
                   ? NULL
                   : "channel is 1 to 128 of A-Z a-z 0-9 _ . : @ = ~ and -.";
    }
    if (strcmp(key, "expires") == 0) {
        wish->job.expires = json_integer_value(value);
        return json_is_integer(value) && wish->job.expires > 0
                   ? NULL
                   : "expires is a time in milliseconds.";
    }
    rb_error_set(error, NULL, 0, 0,
                 "\"%.64s\" is not for a browser to say: expected service, params, id, "
                 "channel or expires.",
                 key);
    return error->text;
}

static const char *read_wish(const json_t *job, struct rb_text raw, struct wish *wish,
                             struct rb_error *error) {
    const char *key, *problem = NULL;
    json_t *value;
    if (!json_is_object(job))
        return "A job is an object.";
    json_object_foreach((json_t *)(uintptr_t)job, key, value) {
        const char *wrong = read_member(key, value, raw, wish, error);
        problem = problem ? problem : wrong;
    }
    if (!problem && !rb_name_is_service(wish->job.service))
        problem = "service is 1 to 64 of a-z 0-9 _ and -, beginning with a letter or "
                  "digit.";
    return problem;
}

/* --- may it? --- */

static bool is_listed(const struct rb_list *services, struct rb_text service) {
    for (size_t i = 0; i < services->count; i++) {
        struct rb_text own = rb_text_of(services->items[i]);
        bool any = own.at[own.len - 1] == '*';
        if (any ? rb_text_starts(service, rb_text(own.at, own.len - 1))
                : rb_text_equal(own, service))
            return true;
    }
    return false;
}

/* What @session stands for takes its place. False after the refusal. */
static bool resolve_session(struct rb_connection *c, struct wish *wish,
                            char room[RB_CHANNEL_MAX + 1]) {
    if (!rb_text_is(wish->job.channel, "@session") ||
        rb_websocket_session(c, room, &wish->job.channel))
        return true;
    refuse(c, "forbidden", "@session needs the session cookie.", wish->job.id, wish->ref);
    return false;
}

/* False after the refusal. */
static bool may_ask(struct rb_connection *c, const struct wish *wish) {
    const struct rb_settings *settings = c->server->settings;
    const struct rb_enqueue *job = &wish->job;
    struct rb_text named = job->channel;
    bool private = named.len == 0 || rb_text_is(named, "@me") || rb_me_is(named);
    if (!is_listed(&settings->notifier.enqueue, job->service) ||
        !rb_pass_enqueues(c, job->service))
        refuse(c, "not_allowed", "Jobs for this service can't be enqueued here.", job->id,
               wish->ref);
    else if (!private && !rb_connection_find(c, named) && !rb_pass_hears(c, named))
        refuse(c, "forbidden", "This channel is not among those that are allowed.",
               job->id, wish->ref);
    else if (!private && job->id.len > 0)
        refuse(c, "invalid_job",
               "id goes with the private channel alone: on another it could take the "
               "place of somebody else's job.",
               job->id, wish->ref);
    else if (count_pending(c) >= settings->notifier.enqueue_max_pending)
        refuse(c, "too_many_jobs", "So many jobs are without their result already.",
               job->id, wish->ref);
    else
        return true;
    return false;
}

/* --- on its way --- */

/* The channel that the events shall come on; the private one is heard from now on. False
 * after the refusal. */
static bool choose_channel(struct rb_connection *c, struct wish *wish,
                           char room[RB_CHANNEL_MAX + 1]) {
    const struct rb_cursor everything = {.given = false};
    struct rb_text named = wish->job.channel;
    if (named.len > 0 && !rb_text_is(named, "@me"))
        return true;
    wish->job.channel = rb_websocket_me(c, room);
    if (rb_connection_find(c, wish->job.channel))
        return true;
    if (rb_websocket_is_full(c)) {
        refuse(c, "too_many_channels", "At most 16 channels can be waited on at once.",
               wish->job.id, wish->ref);
        return false;
    }
    if (rb_connection_subscribe(c, wish->job.channel, everything, &rb_websocket_sink) ==
        RB_OK)
        return true;
    rb_connection_doom(c, RB_COUNT_CLOSED_MEMORY, "out of memory");
    return false;
}

static void keep(char *to, struct rb_text text) {
    if (text.len > 0)
        memcpy(to, text.at, text.len);
}

static void push(struct rb_connection *c, const struct wish *wish,
                 const struct rb_buffer *json) {
    struct rb_websocket_work *work = rb_websocket_work(c);
    struct rb_asked *a = work ? calloc(1, sizeof *a) : NULL;
    if (!a) {
        rb_connection_doom(c, RB_COUNT_CLOSED_MEMORY, "out of memory");
        return;
    }
    a->connection = c;
    a->at_ms = c->server->now_ms;
    a->pushing = true;
    keep(a->ref, wish->ref);
    keep(a->channel, wish->job.channel);
    keep(a->id, wish->job.id);
    LIST_INSERT_HEAD(&work->asked, a, entry);
    rb_enqueue_push(c->server, rb_text_of(c->server->settings->notifier.enqueue_queue),
                    rb_buffer_view(json), on_pushed, a);
}

/* Heard first and then pushed, so that no result can be missed. */
static void enqueue(struct rb_connection *c, struct wish *wish) {
    struct rb_error error = {.line = 0};
    struct rb_buffer json;
    char room[RB_CHANNEL_MAX + 1];
    struct rb_text asked_id = wish->job.id;
    if (!resolve_session(c, wish, room) || !may_ask(c, wish) ||
        !choose_channel(c, wish, room))
        return;
    if (asked_id.len == 0) {
        rb_process_random_hex(wish->made, RB_ENQUEUE_ID_BYTES);
        wish->job.id = rb_text_of(wish->made);
    }
    rb_buffer_init(&json, RB_JOB_MAX_BYTES);
    enum rb_status status = rb_enqueue_write(&wish->job, &json, &error);
    if (status == RB_OK)
        push(c, wish, &json);
    else
        refuse(c, status == RB_NOMEM ? "unavailable" : "invalid_job", error.text,
               asked_id, wish->ref);
    rb_buffer_fini(&json);
}

void rb_websocket_enqueue(struct rb_connection *c, const json_t *command,
                          struct rb_text message) {
    const json_t *ref = json_object_get(command, "ref");
    struct rb_text raw = member_of(message, RB_TEXT("enqueue"));
    struct rb_error error = {.line = 0};
    struct wish wish = {.job = {.service = RB_TEXT("")}};
    if (ref)
        wish.ref = member_of(message, RB_TEXT("ref"));
    if (ref &&
        ((!json_is_string(ref) && !json_is_integer(ref)) || wish.ref.len > REF_MAX)) {
        refuse(c, "invalid_message", "ref is a short string or an integer.", RB_TEXT(""),
               RB_TEXT(""));
        return;
    }
    const char *problem =
        read_wish(json_object_get(command, "enqueue"), raw, &wish, &error);
    if (problem)
        refuse(c, "invalid_job", problem, RB_TEXT(""), wish.ref);
    else
        enqueue(c, &wish);
}
