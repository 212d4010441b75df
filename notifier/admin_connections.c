/* GET /connections: who is connected, at all processes of all notifiers. DELETE
 * /connections/<id>: ends one. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "jobs/name.h"
#include "notifier/admin.h"
#include "notifier/admin_query.h"
#include "notifier/connection.h"
#include "notifier/pass.h"
#include "notifier/server.h"
#include "notifier/slab.h"
#include "notifier/survey.h"

#define LIST_STANDARD 100
#define LIST_MOST 1000
#define VALUE_MAX 256
#define LIST_BYTES ((size_t)16 * 1024 * 1024)
#define ENTRY_BYTES ((size_t)128 * 1024) /* no entry is larger: a subject of a token */

/* ---- an address ---- */

/* IPv4 within IPv6 is told as IPv4. "unix" for a unix socket, "" when it is gone. */
static void write_address(const struct rb_connection *c, char out[INET6_ADDRSTRLEN]) {
    struct sockaddr_storage at;
    out[0] = '\0';
    if (!rb_connection_address(c, &at))
        return;
    if (at.ss_family == AF_UNIX) {
        snprintf(out, INET6_ADDRSTRLEN, "unix");
    } else if (at.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)&at;
        inet_ntop(AF_INET, &in->sin_addr, out, INET6_ADDRSTRLEN);
    } else if (at.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)&at;
        const unsigned char *bytes = in6->sin6_addr.s6_addr;
        if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
            inet_ntop(AF_INET, bytes + 12, out, INET6_ADDRSTRLEN);
        else
            inet_ntop(AF_INET6, bytes, out, INET6_ADDRSTRLEN);
    }
}

/* As write_address spells it; false when it is none. */
static bool normalize(const char *text, char out[INET6_ADDRSTRLEN]) {
    unsigned char bytes[16];
    if (strcmp(text, "unix") == 0) {
        snprintf(out, INET6_ADDRSTRLEN, "unix");
        return true;
    }
    int family = strchr(text, ':') ? AF_INET6 : AF_INET;
    return inet_pton(family, text, bytes) == 1 &&
           inet_ntop(family, bytes, out, INET6_ADDRSTRLEN);
}

/* ---- what this process says ---- */

struct listing {
    struct rb_text channel, address, session, subject; /* "" = any */
    int64_t limit, listed, total;
    struct rb_buffer *out;
};

static bool fits_channel(struct rb_text pattern, struct rb_text channel) {
    if (pattern.at[pattern.len - 1] == '*')
        return rb_text_starts(channel, rb_text(pattern.at, pattern.len - 1));
    return rb_text_equal(pattern, channel);
}

static bool hears(const struct rb_connection *c, struct rb_text pattern) {
    for (const struct rb_subscription *s = c->subscriptions; s; s = s->sibling)
        if (s->group && fits_channel(pattern, rb_subscription_channel(s)))
            return true;
    return false;
}

static bool is_listed(const struct rb_connection *c) {
    return c->side == RB_SIDE_PUBLIC && !c->doomed && !c->closing && !c->over;
}

/* The address last: it costs a system call. */
static bool fits(const struct listing *l, const struct rb_connection *c,
                 char address[INET6_ADDRSTRLEN]) {
    address[0] = '\0';
    if ((l->channel.len > 0 && !hears(c, l->channel)) ||
        (l->session.len > 0 && !rb_text_equal(l->session, rb_pass_session(c))) ||
        (l->subject.len > 0 && !rb_text_equal(l->subject, rb_pass_subject(c))))
        return false;
    if (l->address.len > 0)
        write_address(c, address);
    return l->address.len == 0 || rb_text_is(l->address, address);
}

static void write_connection(const struct rb_connection *c, const char *address,
                             struct rb_buffer *out) {
    struct rb_text subject = rb_pass_subject(c);
    const char *comma = "";
    rb_buffer_printf(out,
                     "{\"id\":\"%s-%lu\",\"address\":\"%s\",\"transport\":\"%s\","
                     "\"tls\":%s,\"channels\":[",
                     c->server->id, (unsigned long)rb_connection_number(c), address,
                     c->role->name, c->tls ? "true" : "false");
    for (const struct rb_subscription *s = c->subscriptions; s; s = s->sibling) {
        if (!s->group)
            continue;
        rb_buffer_printf(out, "%s\"" RB_TEXT_FMT "\"", comma,
                         RB_TEXT_ARG(rb_subscription_channel(s)));
        comma = ",";
    }
    rb_buffer_string(out, "],\"subject\":");
    if (subject.len > 0)
        rb_buffer_json(out, subject);
    else
        rb_buffer_string(out, "null");
    rb_buffer_printf(out, ",\"since\":%lld,\"queued\":%zu}",
                     (long long)rb_connection_since_ms(c), rb_connection_queued(c));
}

static void look_at(void *ctx, void *object) {
    struct listing *l = ctx;
    const struct rb_connection *c = object;
    char address[INET6_ADDRSTRLEN];
    if (!is_listed(c) || !fits(l, c, address))
        return;
    l->total++;
    if (l->listed >= l->limit || l->out->len + ENTRY_BYTES > l->out->limit)
        return;
    if (l->address.len == 0)
        write_address(c, address);
    if (l->listed++ > 0)
        rb_buffer_char(l->out, ',');
    write_connection(c, address, l->out);
}

void rb_survey_connections(struct rb_server *server, const json_t *question,
                           struct rb_buffer *out) {
    struct listing l = {.channel = rb_survey_text(question, "channel"),
                        .address = rb_survey_text(question, "address"),
                        .session = rb_survey_text(question, "session"),
                        .subject = rb_survey_text(question, "subject"),
                        .limit = json_integer_value(json_object_get(question, "limit")),
                        .out = out};
    rb_buffer_string(out, "{\"connections\":[");
    rb_slab_each(server->connections, look_at, &l);
    rb_buffer_printf(out, "],\"total\":%lld}", (long long)l.total);
}

struct dropping {
    json_int_t number;
    int dropped;
};

static void drop_it(void *ctx, void *object) {
    struct dropping *d = ctx;
    struct rb_connection *c = object;
    unsigned held;
    if (!is_listed(c) || (json_int_t)rb_connection_number(c) != d->number)
        return;
    d->dropped++;
    rb_count(c->server, RB_COUNT_CLOSED_DROPPED, 1);
    if (rb_server_line(c->server, RB_LINE_ADMIN, &held))
        rb_log(RB_LOG_INFO, "connection.dropped", RB_S("role", c->role->name),
               RB_I("suppressed", held));
    if (c->role->refuse)
        c->role->refuse(c, "dropped by the operator");
    else
        rb_connection_doom(c, RB_COUNTS, NULL);
    rb_connection_close(c); /* an answered poll's would be kept */
}

void rb_survey_drop(struct rb_server *server, const json_t *question,
                    struct rb_buffer *out) {
    struct dropping d = {.number =
                             json_integer_value(json_object_get(question, "number"))};
    if (rb_text_is(rb_survey_text(question, "process"), server->id))
        rb_slab_each(server->connections, drop_it, &d);
    rb_buffer_printf(out, "{\"dropped\":%d}", d.dropped);
}

/* ---- the requests ---- */

struct asked {
    struct rb_exchange *exchange;
    size_t limit;
};

static void merge(const struct asked *a, const json_t *answers, bool complete,
                  struct rb_buffer *json) {
    const json_t *answer, *entry;
    size_t i, j, listed = 0;
    json_int_t total = 0;
    rb_buffer_string(json, "{\"connections\":[");
    json_array_foreach(answers, i, answer) {
        total += json_integer_value(json_object_get(answer, "total"));
        json_array_foreach(json_object_get(answer, "connections"), j, entry) {
            char *text = listed < a->limit
                             ? json_dumps(entry, JSON_COMPACT | JSON_PRESERVE_ORDER)
                             : NULL;
            if (!text)
                break;
            if (listed++ > 0)
                rb_buffer_char(json, ',');
            rb_buffer_string(json, text);
            free(text);
        }
    }
    rb_buffer_printf(json, "],\"total\":%lld,\"complete\":%s}", (long long)total,
                     complete ? "true" : "false");
}

static void on_listed(void *ctx, enum rb_status status, const json_t *answers,
                      bool complete) {
    struct asked *a = ctx;
    struct rb_buffer json;
    rb_buffer_init(&json, LIST_BYTES);
    if (status != RB_OK) {
        rb_admin_redis_failed(a->exchange, status, "");
    } else {
        merge(a, answers, complete, &json);
        rb_admin_answer_json(a->exchange, 200, &json, RB_TEXT(""));
    }
    rb_buffer_fini(&json);
    rb_exchange_release(a->exchange);
    free(a);
}

/* NULL, or a sentence about a mistake. */
static const char *read_filters(struct rb_text query, uint64_t *limit,
                                struct rb_buffer *question) {
    static const char *const names[] = {"channel", "address", "session", "subject"};
    char value[VALUE_MAX + 1], address[INET6_ADDRSTRLEN];
    rb_buffer_string(question, "{\"ask\":\"connections\"");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct rb_text raw;
        if (!rb_http_query_raw(query, names[i], &raw))
            continue;
        if (!rb_http_query(query, names[i], value, sizeof value) || value[0] == '\0')
            return "channel, address, session or subject is malformed.";
        if (i == 0 && !rb_admin_is_pattern(rb_text_of(value)))
            return "channel is a channel's name, or the beginning of one and *.";
        if (i == 1 && !normalize(value, address))
            return "address is an IPv4 or IPv6 address, or unix.";
        rb_buffer_printf(question, ",\"%s\":", names[i]);
        rb_buffer_json(question, rb_text_of(i == 1 ? address : value));
    }
    if (!rb_admin_limit(query, LIST_STANDARD, LIST_MOST, limit))
        return "limit is a number from 1 to 1000.";
    rb_buffer_printf(question, ",\"limit\":%llu}", (unsigned long long)*limit);
    return NULL;
}

static void ask(struct rb_exchange *x, size_t limit, const struct rb_buffer *question,
                rb_survey_fn *fn) {
    struct rb_server *server = rb_exchange_server(x);
    struct asked *a = calloc(1, sizeof *a);
    if (!a || question->status != RB_OK) {
        rb_exchange_problem(x, 503, "Out of memory.", RB_TEXT("Retry-After: 1\r\n"));
        free(a);
        return;
    }
    a->exchange = rb_exchange_hold(x);
    a->limit = limit;
    rb_survey_ask(server->survey, rb_buffer_view(question), fn, a);
}

void rb_admin_list_connections(struct rb_exchange *x, struct rb_text none) {
    struct rb_buffer question;
    uint64_t limit = 0;
    (void)none;
    rb_buffer_init(&question, RB_SURVEY_QUESTION_BYTES);
    const char *problem = read_filters(rb_exchange_request(x)->query, &limit, &question);
    if (problem)
        rb_exchange_problem(x, 400, problem, RB_TEXT(""));
    else
        ask(x, (size_t)limit, &question, on_listed);
    rb_buffer_fini(&question);
}

static void on_dropped(void *ctx, enum rb_status status, const json_t *answers,
                       bool complete) {
    struct asked *a = ctx;
    const json_t *answer;
    size_t i;
    json_int_t dropped = 0;
    json_array_foreach(answers, i, answer) dropped +=
        json_integer_value(json_object_get(answer, "dropped"));
    if (dropped > 0)
        rb_exchange_answer(a->exchange, 204, NULL, RB_TEXT(""), RB_TEXT(""));
    else if (status != RB_OK)
        rb_admin_redis_failed(a->exchange, status, "");
    else if (complete)
        rb_exchange_problem(a->exchange, 404, "There is no such connection any more.",
                            RB_TEXT(""));
    else
        rb_exchange_problem(a->exchange, 503, "Not all processes have answered.",
                            RB_TEXT("Retry-After: 1\r\n"));
    rb_exchange_release(a->exchange);
    free(a);
}

/* "<process>-<number>" */
void rb_admin_drop_connection(struct rb_exchange *x, struct rb_text id) {
    struct rb_text rest = id, process;
    struct rb_buffer question;
    uint64_t number;
    if (!rb_text_next(&rest, '-', &process) || rb_text_uint64(rest, &number) != RB_OK ||
        number > UINT32_MAX) {
        rb_exchange_problem(x, 404, "There is no such connection.", RB_TEXT(""));
        return;
    }
    rb_buffer_init(&question, RB_SURVEY_QUESTION_BYTES);
    rb_buffer_string(&question, "{\"ask\":\"drop\",\"process\":");
    rb_buffer_json(&question, process);
    rb_buffer_printf(&question, ",\"number\":%llu}", (unsigned long long)number);
    ask(x, 0, &question, on_dropped);
    rb_buffer_fini(&question);
}
