/* Passes: warned in time, ended in time, taken back. */
#include "notifier/pass.h"

#include <stdlib.h>
#include <string.h>

#include "config/clock.h"
#include "jobs/name.h"
#include "notifier/connection.h"
#include "notifier/me.h"

#define LATER_MAX 16
#define LOOK_MS INT64_C(3600000) /* the wall clock may be set: it is looked at again */

struct visitor {
    struct rb_hook_question question; /* its texts stand in bytes */
    char bytes[];
};

struct rb_pass {
    ev_timer timer;
    struct rb_connection *connection;
    struct rb_grant *grant;
    struct visitor *visitor; /* NULL: nobody need be asked */
    LIST_HEAD(, rb_later) laters;
    int64_t expires; /* unix ms, also the next; 0: never */
    int64_t warn_at; /* 0: warned */
    uint8_t session_len;
    char session[];
};

/* --- telling --- */

static void tell(struct rb_connection *c, const char *event, const char *member,
                 int64_t number, struct rb_text channel) {
    struct rb_buffer json;
    if (!c->role->tell || c->doomed || c->closing)
        return;
    rb_buffer_init(&json, 1024);
    rb_buffer_printf(&json, "{\"event\":\"%s\",\"at\":%lld", event,
                     (long long)rb_clock_unix_ms());
    if (member)
        rb_buffer_printf(&json, ",\"%s\":%lld", member, (long long)number);
    if (channel.len > 0) {
        rb_buffer_string(&json, ",\"channel\":");
        rb_buffer_json(&json, channel);
    }
    rb_buffer_char(&json, '}');
    if (json.status == RB_OK)
        c->role->tell(c, event, rb_buffer_view(&json));
    rb_buffer_fini(&json);
}

static void refuse(struct rb_connection *c, enum rb_count count, const char *event,
                   const char *why) {
    unsigned held;
    if (c->doomed || c->closing || !c->role->refuse) /* HTTP, between two requests */
        return;
    rb_count(c->server, count, 1);
    if (rb_server_line(c->server, RB_LINE_CLOSED, &held))
        rb_log(RB_LOG_INFO, "connection.refused_later", RB_S("role", c->role->name),
               RB_S("why", event), RB_T("subject", rb_pass_subject(c)),
               RB_I("suppressed", held));
    tell(c, event, NULL, 0, RB_TEXT(""));
    c->role->refuse(c, why);
}

/* --- time --- */

static int64_t ends_at(const struct rb_pass *pass) {
    const struct rb_settings *settings = pass->connection->server->settings;
    return pass->expires + settings->notifier.auth_leeway;
}

static void look_again(struct rb_pass *pass, int64_t now) {
    int64_t due = pass->warn_at > 0 ? pass->warn_at : ends_at(pass);
    int64_t wait = due - now < LOOK_MS ? due - now : LOOK_MS;
    struct ev_loop *loop = pass->connection->server->loop;
    ev_timer_stop(loop, &pass->timer);
    ev_timer_set(&pass->timer, (double)(wait > 0 ? wait : 1) / 1000, 0);
    ev_timer_start(loop, &pass->timer);
}

static void on_time(struct ev_loop *loop, ev_timer *timer, int events) {
    struct rb_pass *pass = timer->data;
    struct rb_connection *c = pass->connection;
    int64_t now = rb_clock_unix_ms();
    (void)loop;
    (void)events;
    if (now >= ends_at(pass)) {
        refuse(c, RB_COUNT_CLOSED_EXPIRED, "expired", "the token has expired");
        return;
    }
    if (pass->warn_at > 0 && now >= pass->warn_at) {
        pass->warn_at = 0;
        tell(c, "expiring", "expires", pass->expires, RB_TEXT(""));
    }
    look_again(pass, now);
}

/* Not sooner than at half of what is left. */
static void keep_time(struct rb_pass *pass) {
    struct rb_server *server = pass->connection->server;
    ev_timer_stop(server->loop, &pass->timer);
    if (pass->expires == 0)
        return;
    int64_t now = rb_clock_unix_ms(), half = (pass->expires - now) / 2;
    int64_t ahead = server->settings->notifier.auth_warning;
    pass->warn_at = pass->expires - (ahead < half ? ahead : half > 0 ? half : 0);
    look_again(pass, now);
}

/* --- giving and taking --- */

enum rb_status rb_pass_give(struct rb_connection *c, struct rb_grant *grant,
                            struct rb_text session) {
    struct rb_pass *pass = NULL;
    if (session.len > RB_CHANNEL_MAX)
        session.len = 0;
    rb_pass_drop(c);
    if (!grant && session.len == 0)
        return RB_OK;
    pass = calloc(1, sizeof *pass + session.len);
    if (!pass) {
        rb_grant_unref(grant);
        return RB_NOMEM;
    }
    pass->connection = c;
    pass->grant = grant;
    pass->expires = grant ? rb_grant_expires(grant) : 0;
    pass->session_len = (uint8_t)session.len;
    if (session.len > 0)
        memcpy(pass->session, session.at, session.len);
    LIST_INIT(&pass->laters);
    ev_timer_init(&pass->timer, on_time, 0, 0);
    pass->timer.data = pass;
    c->pass = pass;
    keep_time(pass);
    return RB_OK;
}

void rb_pass_drop(struct rb_connection *c) {
    struct rb_pass *pass = c->pass;
    struct rb_later *later;
    c->pass = NULL;
    if (!pass)
        return;
    while ((later = LIST_FIRST(&pass->laters))) {
        LIST_REMOVE(later, entry);
        later->drop(later);
    }
    ev_timer_stop(c->server->loop, &pass->timer);
    rb_grant_unref(pass->grant);
    free(pass->visitor);
    free(pass);
}

enum rb_status rb_pass_remember(struct rb_connection *c,
                                const struct rb_hook_question *visitor) {
    size_t len = 0;
    for (int i = RB_HOOK_CHANNELS + 1; i < RB_HOOK_FIELDS; i++)
        len += visitor->field[i].len;
    struct visitor *copy = calloc(1, sizeof *copy + len);
    if (!copy)
        return RB_NOMEM;
    char *at = copy->bytes;
    for (int i = RB_HOOK_CHANNELS + 1; i < RB_HOOK_FIELDS; i++) {
        struct rb_text text = visitor->field[i];
        copy->question.field[i] = rb_text(at, text.len);
        if (text.len > 0)
            memcpy(at, text.at, text.len);
        at += text.len;
    }
    c->pass->visitor = copy;
    return RB_OK;
}

const struct rb_hook_question *rb_pass_visitor(const struct rb_connection *c) {
    return c->pass && c->pass->visitor ? &c->pass->visitor->question : NULL;
}

void rb_pass_limit(struct rb_connection *c, int64_t expires) {
    if (expires == 0 || (c->pass->expires > 0 && c->pass->expires <= expires))
        return;
    c->pass->expires = expires;
    keep_time(c->pass);
}

enum rb_status rb_pass_later(struct rb_connection *c, struct rb_later *later) {
    const struct rb_later *other;
    size_t count = 0;
    LIST_FOREACH (other, &c->pass->laters, entry)
        count++;
    if (count >= LATER_MAX)
        return RB_TOO_LARGE;
    LIST_INSERT_HEAD(&c->pass->laters, later, entry);
    return RB_OK;
}

void rb_pass_renew(struct rb_connection *c, struct rb_grant *grant) {
    struct rb_subscription *next;
    rb_grant_unref(c->pass->grant);
    c->pass->grant = grant;
    c->pass->expires = rb_grant_expires(grant);
    keep_time(c->pass);
    for (struct rb_subscription *s = c->subscriptions; s && !c->closing && !c->doomed;
         s = next) {
        next = s->sibling;
        if (s->group && !rb_pass_hears(c, rb_subscription_channel(s)))
            rb_pass_revoke(c, rb_subscription_channel(s));
    }
}

void rb_pass_revoke(struct rb_connection *c, struct rb_text channel) {
    char name[RB_CHANNEL_MAX]; /* the channel's own goes with its last subscription */
    struct rb_subscription *s = rb_connection_find(c, channel);
    if (!s || c->doomed || c->closing)
        return;
    if (!c->role->one_less || !c->subscriptions->sibling) {
        rb_pass_revoke_all(c);
        return;
    }
    memcpy(name, channel.at, channel.len);
    rb_connection_unsubscribe(c, s);
    tell(c, "revoked", NULL, 0, rb_text(name, channel.len));
}

void rb_pass_revoke_all(struct rb_connection *c) {
    refuse(c, RB_COUNT_CLOSED_REVOKED, "revoked", "revoked");
}

/* --- asking --- */

bool rb_pass_hears(const struct rb_connection *c, struct rb_text channel) {
    return !c->pass || !c->pass->grant || rb_me_is(channel) ||
           rb_grant_hears(c->pass->grant, channel);
}

bool rb_pass_enqueues(const struct rb_connection *c, struct rb_text service) {
    return !c->pass || !c->pass->grant || rb_grant_enqueues(c->pass->grant, service);
}

struct rb_text rb_pass_session(const struct rb_connection *c) {
    return c->pass ? rb_text(c->pass->session, c->pass->session_len) : RB_TEXT("");
}

struct rb_text rb_pass_subject(const struct rb_connection *c) {
    return c->pass && c->pass->grant ? rb_grant_subject(c->pass->grant) : RB_TEXT("");
}
