/* Reading an Idempotency-Key. */
#include "notifier/admin_once.h"

#include <stdio.h>

#include "notifier/server.h"

bool rb_once_key(struct rb_text field, struct rb_text *key) {
    struct rb_text text = rb_text_trim(field);
    if (text.len >= 2 && text.at[0] == '"' && text.at[text.len - 1] == '"')
        text = rb_text(text.at + 1, text.len - 2);
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] < '!' || text.at[i] > '~')
            return false;
    *key = text;
    return text.len > 0 && text.len <= RB_ONCE_KEY_MAX;
}

bool rb_once_read(struct rb_exchange *x, const char *purpose, struct rb_once *once,
                  bool *given) {
    const struct rb_http_request *request = rb_exchange_request(x);
    struct rb_text field = rb_http_header(request, "idempotency-key"), key;
    *given = field.at != NULL;
    if (!*given)
        return true;
    if (!rb_once_key(field, &key)) {
        rb_exchange_problem(x, 400,
                            "An Idempotency-Key is 1 to 255 visible characters of ASCII.",
                            RB_TEXT(""));
        return false;
    }
    if (!rb_exchange_server(x)->policy.scripts) {
        rb_exchange_problem(x, 501,
                            "With worker.claim: blpop there are no scripts, and no "
                            "Idempotency-Key.",
                            RB_TEXT(""));
        return false;
    }
    const struct rb_text named[] = {rb_text_of(purpose), key};
    if (rb_fingerprint(2, named, once->key) == RB_OK) {
        const struct rb_text whole[] = {
            rb_text_of(once->key), request->path, request->query,
            rb_http_header(request, "content-type"), request->body};
        if (rb_fingerprint(5, whole, once->request) == RB_OK)
            return true;
    }
    rb_exchange_problem(x, 503, "Out of memory.", RB_TEXT("Retry-After: 1\r\n"));
    return false;
}

void rb_once_differs(struct rb_exchange *x) {
    rb_exchange_problem(x, 422, "This Idempotency-Key was used for another request.",
                        RB_TEXT(""));
}

/* --- jobs: "<request> <id> <channel>" --- */

static struct rb_key key_of(const struct rb_server *server, const struct rb_once *once) {
    struct rb_key key;
    rb_key_request(rb_feed_keys(server->feed), rb_text_of(once->key), &key);
    return key;
}

void rb_once_recall(struct rb_server *server, const struct rb_once *once,
                    rb_link_reply_fn *fn, void *ctx) {
    const struct rb_key key = key_of(server, once);
    const struct rb_text argv[] = {RB_TEXT("GET"), rb_key_text(&key)};
    rb_link_call(rb_feed_link(server->feed), 0, fn, ctx, 2, argv);
}

void rb_once_enqueue(struct rb_server *server, const struct rb_once *once,
                     const struct rb_once_job *job, struct rb_text queue,
                     struct rb_text json, rb_link_reply_fn *fn, void *ctx) {
    const struct rb_key key = key_of(server, once);
    struct rb_key queue_key;
    char value[RB_FINGERPRINT + RB_JOB_ID_MAX + RB_CHANNEL_MAX + 3], ms[24];
    rb_key_queue(rb_feed_keys(server->feed), queue, &queue_key);
    snprintf(value, sizeof value, "%s %s %s", once->request, job->id, job->channel);
    snprintf(ms, sizeof ms, "%lld", (long long)server->settings->notifier.idempotency);
    const struct rb_text keys[] = {rb_key_text(&key), rb_key_text(&queue_key)};
    const struct rb_text args[] = {rb_text_of(value), json, rb_text_of(ms)};
    rb_link_script(rb_feed_link(server->feed), &rb_script_enqueue_once, 2, keys, 3, args,
                   fn, ctx);
}

enum rb_status rb_once_job_parse(const struct rb_once *once, struct rb_text remembered,
                                 struct rb_once_job *job) {
    struct rb_text request, id;
    if (!rb_text_next(&remembered, ' ', &request) || !rb_text_next(&remembered, ' ', &id))
        return RB_INVALID;
    if (!rb_text_is(request, once->request))
        return RB_REFUSED;
    if (!rb_name_is_job_id(id) || !rb_name_is_channel(remembered))
        return RB_INVALID;
    memset(job, 0, sizeof *job);
    memcpy(job->id, id.at, id.len);
    memcpy(job->channel, remembered.at, remembered.len);
    return RB_OK;
}
