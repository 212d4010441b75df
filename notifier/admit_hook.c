/* Asking the web app on behalf of a client: one that comes, or one that is live and wants
 * to hear more. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "jobs/name.h"
#include "notifier/admit_core.h"
#include "notifier/connection.h"
#include "notifier/exchange_core.h"
#include "notifier/hook.h"
#include "notifier/me.h"
#include "notifier/pass.h"

#define TOKEN_MAX 8192
#define CHANNELS_MAX (RB_WAIT_CHANNELS * (RB_CHANNEL_MAX + 1))

static struct rb_verdict verdict_of(const struct rb_hook_answer *answer) {
    enum rb_count count = answer->status == 401   ? RB_COUNT_REFUSED_TOKEN
                          : answer->status == 403 ? RB_COUNT_REFUSED_CHANNEL
                                                  : RB_COUNT_REFUSED_HOOK;
    if (answer->status == 0)
        return rb_verdict_admitted;
    return (struct rb_verdict){answer->status, answer->problem, NULL, count};
}

/* --- what is told of the client --- */

/* Texts that had to be written down. */
struct room {
    char address[INET6_ADDRSTRLEN];
    char token[sizeof "Bearer " + TOKEN_MAX];
    char channels[CHANNELS_MAX];
};

static struct rb_text address_of(const struct rb_exchange *x, struct room *room) {
    struct sockaddr_storage at;
    const void *bytes = NULL;
    if (!rb_exchange_address(x, &at))
        return RB_TEXT("");
    if (at.ss_family == AF_INET)
        bytes = &((const struct sockaddr_in *)(const void *)&at)->sin_addr;
    else if (at.ss_family == AF_INET6)
        bytes = &((const struct sockaddr_in6 *)(const void *)&at)->sin6_addr;
    if (!bytes || !inet_ntop(at.ss_family, bytes, room->address, sizeof room->address))
        return RB_TEXT("");
    return rb_text_of(room->address);
}

/* RFC 6750 §2.1: what can stand behind "Bearer" and nothing that would end the line. */
static bool is_token(struct rb_text text) {
    static const char legal[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                "0123456789-._~+/=";
    for (size_t i = 0; i < text.len; i++)
        if (!memchr(legal, text.at[i], sizeof legal - 1))
            return false;
    return text.len > 0;
}

/* The client's own field, or ?token= in its place: EventSource and WebSocket can't set
 * fields. Passwords that a browser adds by itself count as cookies do. */
static struct rb_text authorization_of(const struct rb_http_request *request,
                                       bool cookies, struct room *room) {
    static const char bearer[] = "Bearer ";
    const size_t skipped = sizeof bearer - 1;
    struct rb_text own = rb_http_header(request, "authorization");
    if (own.len > skipped &&
        rb_text_equal_nocase(rb_text(own.at, skipped), rb_text_of(bearer)))
        return own;
    if (own.len > 0)
        return cookies ? own : RB_TEXT("");
    memcpy(room->token, bearer, skipped);
    if (rb_http_query(request->query, "token", room->token + skipped, TOKEN_MAX) &&
        is_token(rb_text_of(room->token + skipped)))
        return rb_text_of(room->token);
    return RB_TEXT("");
}

static struct rb_text join(const struct rb_wait *wait, struct room *room) {
    size_t at = 0;
    for (size_t i = 0; i < wait->count; i++) {
        /* The name of a private channel is its key, and nobody else's to know. */
        bool private = rb_me_is(rb_text_of(wait->channels[i]));
        const char *name = private ? "@me" : wait->channels[i];
        size_t len = strlen(name);
        if (i > 0)
            room->channels[at++] = ',';
        memcpy(room->channels + at, name, len);
        at += len;
    }
    return rb_text(room->channels, at);
}

static void describe(const struct rb_exchange *x, const struct rb_wait *wait,
                     struct room *room, struct rb_hook_question *question) {
    const struct rb_http_request *request = rb_exchange_request(x);
    bool cookies =
        rb_admit_cookies(&rb_exchange_server(x)->settings->notifier.origins, request);
    *question = (struct rb_hook_question){
        .field = {[RB_HOOK_CHANNELS] = join(wait, room),
                  [RB_HOOK_COOKIE] =
                      cookies ? rb_http_header(request, "cookie") : RB_TEXT(""),
                  [RB_HOOK_AUTHORIZATION] = authorization_of(request, cookies, room),
                  [RB_HOOK_ORIGIN] = rb_http_header(request, "origin"),
                  [RB_HOOK_ADDRESS] = address_of(x, room),
                  [RB_HOOK_AGENT] = rb_http_header(request, "user-agent"),
                  [RB_HOOK_LANGUAGE] = rb_http_header(request, "accept-language"),
                  [RB_HOOK_SESSION] = rb_admit_session(x)}};
}

/* --- a client that comes --- */

struct asking {
    struct rb_exchange *exchange; /* held */
    struct rb_hook_waiter *waiter;
    rb_admitted_fn *fn;
    struct rb_wait wait;
};

/* A WebSocket may want to hear more later. */
static struct rb_verdict let_in(struct rb_exchange *x, const struct rb_wait *wait,
                                struct rb_grant *grant) {
    struct rb_hook_question question;
    struct room room;
    struct rb_verdict verdict = rb_admit_let_in(x, rb_grant_ref(grant));
    if (verdict.status != 0 || !x->connection ||
        wait->transport != RB_TRANSPORT_WEBSOCKET)
        return verdict;
    describe(x, wait, &room, &question);
    if (rb_pass_remember(x->connection, &question) != RB_OK)
        return rb_verdict_no_memory;
    return verdict;
}

static void on_answer(void *ctx, const struct rb_hook_answer *answer) {
    struct asking *asking = ctx;
    struct rb_exchange *x = asking->exchange;
    struct rb_verdict verdict = verdict_of(answer);
    rb_exchange_on_gone(x, NULL, NULL);
    if (verdict.status == 0)
        verdict = rb_admit_judge(answer->grant, &asking->wait);
    if (verdict.status == 0)
        verdict = let_in(x, &asking->wait, answer->grant);
    asking->fn(x, &asking->wait, &verdict);
    rb_exchange_release(x);
    free(asking);
}

static void on_gone(void *ctx, struct rb_exchange *x) {
    struct asking *asking = ctx;
    rb_hook_cancel(asking->waiter);
    free(asking);
    rb_exchange_release(x);
}

void rb_admit_by_hook(struct rb_exchange *x, const struct rb_wait *wait,
                      rb_admitted_fn *fn) {
    struct rb_hook_question question;
    struct room room;
    struct asking *asking = malloc(sizeof *asking);
    if (!asking) {
        fn(x, wait, &rb_verdict_no_memory);
        return;
    }
    *asking = (struct asking){.exchange = rb_exchange_hold(x), .fn = fn, .wait = *wait};
    describe(x, wait, &room, &question);
    struct rb_hook_waiter *waiter =
        rb_hook_ask(rb_exchange_server(x)->hook, &question, on_answer, asking);
    if (!waiter)
        return;
    asking->waiter = waiter;
    rb_exchange_on_gone(x, on_gone, asking);
}

/* --- a client that wants more --- */

struct more {
    struct rb_later later; /* first */
    struct rb_connection *connection;
    struct rb_hook_waiter *waiter;
    rb_admitted_more_fn *fn;
    struct rb_cursor cursor;
    size_t channel_len, name_len;
    char channel[RB_CHANNEL_MAX], name[RB_CHANNEL_MAX];
};

static void drop_more(struct rb_later *later) {
    struct more *more = (struct more *)(void *)later;
    rb_hook_cancel(more->waiter);
    free(more);
}

static void on_more(void *ctx, const struct rb_hook_answer *answer) {
    struct more *more = ctx;
    struct rb_connection *c = more->connection;
    struct rb_text channel = rb_text(more->channel, more->channel_len);
    struct rb_verdict verdict = verdict_of(answer);
    if (more->waiter)
        LIST_REMOVE(&more->later, entry);
    if (verdict.status == 0 && !rb_grant_hears(answer->grant, channel))
        verdict = rb_verdict_not_named;
    if (verdict.status == 0)
        rb_pass_limit(c, rb_grant_expires(answer->grant));
    if (!c->doomed && !c->closing)
        more->fn(c, channel, rb_text(more->name, more->name_len), more->cursor, &verdict);
    free(more);
}

void rb_admit_more_by_hook(struct rb_connection *c, struct rb_text channel,
                           struct rb_text name, struct rb_cursor cursor,
                           rb_admitted_more_fn *fn) {
    static const struct rb_verdict busy = {503, "Too much is asked for at a time.", NULL,
                                           RB_COUNT_REFUSED_HOOK};
    struct rb_hook_question question = *rb_pass_visitor(c);
    struct more *more = calloc(1, sizeof *more);
    if (!more) {
        fn(c, channel, name, cursor, &rb_verdict_no_memory);
        return;
    }
    more->later.drop = drop_more;
    more->connection = c;
    more->fn = fn;
    more->cursor = cursor;
    more->channel_len = channel.len;
    more->name_len = name.len;
    memcpy(more->channel, channel.at, channel.len);
    memcpy(more->name, name.at, name.len);
    question.field[RB_HOOK_CHANNELS] = channel;
    struct rb_hook_waiter *waiter =
        rb_hook_ask(c->server->hook, &question, on_more, more);
    if (!waiter)
        return;
    more->waiter = waiter;
    if (rb_pass_later(c, &more->later) == RB_OK)
        return;
    rb_hook_cancel(waiter);
    free(more);
    fn(c, channel, name, cursor, &busy);
}
