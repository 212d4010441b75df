/* Origins, and who may wait on what. */
#include "notifier/admit.h"

#include "notifier/server.h"

static bool is_open(const struct rb_list *origins) {
    for (size_t i = 0; i < origins->count; i++)
        if (rb_text_is(RB_TEXT("*"), origins->items[i]))
            return true;
    return false;
}

static bool is_listed(const struct rb_list *origins, struct rb_text origin) {
    for (size_t i = 0; i < origins->count; i++)
        if (rb_text_equal_nocase(origin, rb_text_of(origins->items[i])))
            return true;
    return false;
}

bool rb_admit_origin(const struct rb_list *origins, struct rb_text origin) {
    return origin.at == NULL || is_open(origins) || is_listed(origins, origin);
}

/* With a list the answer depends on who asks, and caches must know. */
static bool allow_origin(const struct rb_list *origins,
                         const struct rb_http_request *request,
                         struct rb_buffer *fields) {
    struct rb_text origin = rb_http_header(request, "origin");
    if (is_open(origins)) {
        rb_buffer_string(fields, "Access-Control-Allow-Origin: *\r\n");
        return true;
    }
    rb_buffer_string(fields, "Vary: Origin\r\n");
    if (origin.len == 0 || !is_listed(origins, origin))
        return false;
    rb_buffer_string(fields, "Access-Control-Allow-Origin: ");
    rb_buffer_text(fields, origin);
    rb_buffer_string(fields, "\r\nAccess-Control-Allow-Credentials: true\r\n");
    return true;
}

void rb_admit_cors(const struct rb_list *origins, const struct rb_http_request *request,
                   struct rb_buffer *fields) {
    if (allow_origin(origins, request, fields))
        rb_buffer_string(fields, "Access-Control-Expose-Headers: ETag, Retry-After\r\n");
}

void rb_admit_preflight(const struct rb_list *origins,
                        const struct rb_http_request *request, struct rb_buffer *fields) {
    if (allow_origin(origins, request, fields))
        rb_buffer_string(fields, "Access-Control-Allow-Methods: GET, HEAD, OPTIONS\r\n"
                                 "Access-Control-Allow-Headers: Authorization, "
                                 "Cache-Control, If-None-Match, Last-Event-ID\r\n"
                                 "Access-Control-Max-Age: 86400\r\n");
}

void rb_admit(struct rb_exchange *x, const struct rb_wait *wait, rb_admitted_fn *fn) {
    fn(x, wait, 0, NULL);
}
