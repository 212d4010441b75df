/* Reading an Idempotency-Key. */
#include "notifier/admin_once.h"

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
