/* The `headers:` of a request. */
#include <stdlib.h>
#include <strings.h>

#include "jobs/request_template.h"
#include "jobs/yaml_value.h"

/* RFC 9110 §5.6.2. */
static bool is_token(struct rb_text name) {
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        bool legal = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     (c >= '0' && c <= '9') ||
                     (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
        if (!legal)
            return false;
    }
    return name.len > 0;
}

/* What says where a message goes, begins and ends is the HTTP library's to write. */
static bool is_framing(struct rb_text name) {
    static const char *const framing[] = {
        "Host",
        "Content-Length",
        "Transfer-Encoding",
        "Connection",
        "Keep-Alive",
        "Upgrade",
        "TE",
        "Trailer",
        "Expect",
        "Proxy-Connection",
    };
    for (size_t i = 0; i < sizeof framing / sizeof framing[0]; i++)
        if (rb_text_equal_nocase(name, rb_text_of(framing[i])))
            return true;
    return false;
}

const struct rb_header *rb_headers_find(const struct rb_headers *headers,
                                        const char *name) {
    for (size_t i = 0; i < headers->count; i++)
        if (strcasecmp(headers->items[i].name, name) == 0)
            return &headers->items[i];
    return NULL;
}

static void read_header(struct rb_reading *r, const struct rb_yaml *item,
                        struct rb_headers *headers) {
    struct rb_text name = item->key;
    if (!is_token(name)) {
        rb_yaml_key_error(item, r->errors, "\"" RB_TEXT_FMT "\" can't name a header",
                          RB_TEXT_ARG(name));
    } else if (is_framing(name)) {
        rb_yaml_key_error(item, r->errors,
                          RB_TEXT_FMT " is written by ringback itself: drop it",
                          RB_TEXT_ARG(name));
    } else if (rb_headers_find(headers, name.at)) {
        rb_yaml_key_error(item, r->errors,
                          RB_TEXT_FMT " stands here twice (case is the same to HTTP)",
                          RB_TEXT_ARG(name));
    } else {
        struct rb_header *header = &headers->items[headers->count];
        header->name = rb_text_copy(name);
        if (!header->name) {
            rb_yaml_error(item, r->errors, "out of memory");
            return;
        }
        headers->count++;
        header->value = rb_template_compile(item, RB_PLACE_HEADER, &r->names, r->errors);
    }
}

void rb_headers_read(struct rb_reading *r, const struct rb_yaml *node,
                     struct rb_headers *headers) {
    if (!rb_value_is(node, RB_YAML_MAPPING, r->errors))
        return;
    if (node->count > RB_REQUEST_HEADERS_MAX) {
        rb_yaml_error(node, r->errors, "more than %d headers", RB_REQUEST_HEADERS_MAX);
        return;
    }
    headers->items = calloc(node->count + 1, sizeof *headers->items);
    if (!headers->items) {
        rb_yaml_error(node, r->errors, "out of memory");
        return;
    }
    for (size_t i = 0; i < node->count; i++)
        read_header(r, &node->items[i], headers);
}

void rb_headers_fini(struct rb_headers *headers) {
    for (size_t i = 0; i < headers->count; i++) {
        free(headers->items[i].name);
        rb_template_free(headers->items[i].value);
    }
    free(headers->items);
}
