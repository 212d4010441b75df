/* Reads the `request:` of a definition. */
#include <stdlib.h>

#include "jobs/request_template.h"
#include "jobs/section.h"
#include "jobs/yaml_value.h"

static void read_method(struct rb_reading *r, const struct rb_yaml *node,
                        struct rb_request_template *t) {
    static const char *const methods[] = {"GET",    "HEAD",    "POST",  "PUT", "PATCH",
                                          "DELETE", "OPTIONS", "QUERY", NULL};
    struct rb_text name;
    bool body = t->body.json || t->body.form || t->body.text;
    t->method = rb_text_copy(node ? node->text : body ? RB_TEXT("POST") : RB_TEXT("GET"));
    if (!t->method)
        rb_errors_add(r->errors, r->definition->file, 0, 0, "out of memory");
    if (!node || !rb_value_text(node, &name, r->errors))
        return;
    size_t i = 0;
    while (methods[i] && !rb_text_is(name, methods[i]))
        i++;
    const char *nearest = methods[i] ? NULL : rb_text_nearest(name, methods);
    if (!methods[i])
        rb_yaml_error(
            node, r->errors,
            "expected GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS or QUERY, got "
            "\"" RB_TEXT_FMT "\"%s%s%s",
            RB_TEXT_ARG(name), nearest ? "; did you mean \"" : "", nearest ? nearest : "",
            nearest ? "\"?" : "");
    else if (body && i < 2)
        rb_yaml_error(node, r->errors, "a %s has no body", methods[i]);
}

void rb_read_request(struct rb_reading *r, const struct rb_yaml *node) {
    static const char *const known[] = {"method", "url",  "query", "headers",
                                        "json",   "form", "body",  NULL};
    static const char *const needed[] = {"url", NULL};
    struct rb_request_template *t = calloc(1, sizeof *t);
    r->definition->request = t;
    if (!t) {
        rb_yaml_error(node, r->errors, "out of memory");
        return;
    }
    if (!rb_section_open(node, known, needed, r->errors))
        return;
    const struct rb_yaml *query = rb_yaml_get(node, "query");
    const struct rb_yaml *headers = rb_yaml_get(node, "headers");
    if (rb_yaml_get(node, "url"))
        rb_request_url_read(r, rb_yaml_get(node, "url"), t);
    if (query)
        rb_fields_read(r, query, RB_PLACE_QUERY, &t->parameters);
    if (headers)
        rb_headers_read(r, headers, &t->headers);
    rb_body_read(r, node, t);
    read_method(r, rb_yaml_get(node, "method"), t);
}

void rb_request_template_free(struct rb_request_template *t) {
    if (!t)
        return;
    free(t->method);
    free(t->origin);
    rb_template_free(t->path);
    rb_template_free(t->query);
    rb_fields_fini(&t->parameters);
    rb_headers_fini(&t->headers);
    rb_body_fini(&t->body);
    free(t);
}
