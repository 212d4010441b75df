/* Revoking: from the request to the word, from the word to the clients. */
#include "notifier/revoke.h"

#include <jansson.h>

#include "jobs/name.h"
#include "notifier/admin.h"
#include "notifier/connection.h"
#include "notifier/hook.h"
#include "notifier/pass.h"
#include "notifier/slab.h"

#define VALUE_MAX 256

/* The pub/sub name stands among those of single processes, whose ids are random digits.
 */
static void word_key(const struct rb_server *server, struct rb_key *key) {
    rb_key_notifier(rb_feed_keys(server->feed), RB_TEXT("revoke"), key);
}

/* --- the word --- */

/* What is not asked for is empty. */
struct word {
    struct rb_text channel, session, subject;
};

static bool fits(struct rb_text pattern, struct rb_text channel) {
    if (pattern.at[pattern.len - 1] == '*')
        return rb_text_starts(channel, rb_text(pattern.at, pattern.len - 1));
    return rb_text_equal(pattern, channel);
}

static void revoke_fitting(struct rb_connection *c, struct rb_text pattern) {
    struct rb_subscription *next;
    for (struct rb_subscription *s = c->subscriptions; s && !c->doomed && !c->closing;
         s = next) {
        next = s->sibling;
        if (s->group && fits(pattern, rb_subscription_channel(s)))
            rb_pass_revoke(c, rb_subscription_channel(s));
        if (!c->subscriptions)
            return;
    }
}

static void look_at(void *ctx, void *object) {
    const struct word *word = ctx;
    struct rb_connection *c = object;
    if (c->doomed || c->closing ||
        (word->session.len > 0 && !rb_text_equal(word->session, rb_pass_session(c))) ||
        (word->subject.len > 0 && !rb_text_equal(word->subject, rb_pass_subject(c))))
        return;
    if (word->channel.len > 0)
        revoke_fitting(c, word->channel);
    else
        rb_pass_revoke_all(c);
}

static struct rb_text member(const json_t *json, const char *name) {
    const json_t *value = json_object_get(json, name);
    return rb_text(json_string_value(value), json_string_length(value));
}

static void on_word(void *ctx, struct rb_text payload) {
    struct rb_server *server = ctx;
    json_t *json = json_loadb(payload.at ? payload.at : "", payload.len, 0, NULL);
    struct word word = {.channel = member(json, "channel"),
                        .session = member(json, "session"),
                        .subject = member(json, "subject")};
    if (word.channel.len + word.session.len + word.subject.len > 0) {
        rb_hook_forget(server->hook);
        rb_slab_each(server->connections, look_at, &word);
        rb_log(RB_LOG_INFO, "subscriptions.revoked",
               RB_T("channel", rb_name_shown(word.channel)),
               RB_T("subject", word.subject), RB_I("row", server->row));
    }
    json_decref(json);
}

enum rb_status rb_revoke_listen(struct rb_server *server) {
    struct rb_key key;
    word_key(server, &key);
    return rb_feed_control(server->feed, rb_key_text(&key), on_word, server);
}

/* --- the request --- */

static void on_published(void *ctx, enum rb_status status,
                         const struct redisReply *reply) {
    struct rb_exchange *x = ctx;
    struct rb_buffer json;
    if (status != RB_OK || reply->type != REDIS_REPLY_INTEGER) {
        rb_admin_redis_failed(x, status, "");
    } else {
        rb_buffer_init(&json, 64);
        rb_buffer_printf(&json, "{\"notifiers\":%lld}", (long long)reply->integer);
        rb_admin_answer_json(x, 200, &json, RB_TEXT(""));
        rb_buffer_fini(&json);
    }
    rb_exchange_release(x);
}

static void put_out(struct rb_exchange *x, const struct word *word) {
    struct rb_server *server = rb_exchange_server(x);
    struct rb_buffer json;
    struct rb_key key;
    word_key(server, &key);
    rb_buffer_init(&json, 8192);
    rb_buffer_string(&json, "{\"channel\":");
    rb_buffer_json(&json, word->channel);
    rb_buffer_string(&json, ",\"session\":");
    rb_buffer_json(&json, word->session);
    rb_buffer_string(&json, ",\"subject\":");
    rb_buffer_json(&json, word->subject);
    rb_buffer_char(&json, '}');
    const struct rb_text argv[] = {RB_TEXT("PUBLISH"), rb_key_text(&key),
                                   rb_buffer_view(&json)};
    if (json.status == RB_OK)
        rb_link_call(rb_feed_link(server->feed), 0, on_published, rb_exchange_hold(x), 3,
                     argv);
    else
        rb_exchange_problem(x, 503, "Out of memory.", RB_TEXT("Retry-After: 1\r\n"));
    rb_buffer_fini(&json);
}

/* False when it is there and can't be read. */
static bool read_value(const struct rb_http_request *request, const char *name,
                       char room[VALUE_MAX + 1], struct rb_text *value) {
    struct rb_text raw;
    *value = RB_TEXT("");
    if (!rb_http_query_raw(request->query, name, &raw))
        return true;
    if (!rb_http_query(request->query, name, room, VALUE_MAX + 1))
        return false;
    *value = rb_text_of(room);
    return value->len > 0;
}

static bool is_channel(struct rb_text text) {
    if (text.len > 0 && text.at[text.len - 1] == '*')
        text.len--;
    return text.len == 0 || rb_name_is_channel(text);
}

void rb_admin_revoke(struct rb_exchange *x, struct rb_text name) {
    const struct rb_http_request *request = rb_exchange_request(x);
    char channel[VALUE_MAX + 1], session[VALUE_MAX + 1], subject[VALUE_MAX + 1];
    struct word word;
    (void)name;
    if (!read_value(request, "channel", channel, &word.channel) ||
        !read_value(request, "session", session, &word.session) ||
        !read_value(request, "subject", subject, &word.subject) ||
        !is_channel(word.channel))
        rb_exchange_problem(x, 400, "channel, session or subject is malformed.",
                            RB_TEXT(""));
    else if (word.channel.len + word.session.len + word.subject.len == 0)
        rb_exchange_problem(x, 400, "Expected channel, session or subject, or several.",
                            RB_TEXT(""));
    else
        put_out(x, &word);
}
