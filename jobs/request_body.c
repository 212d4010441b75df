/* The body of a request: `json:`, `form:` or `body:`. */
#include <stdlib.h>

#include "jobs/request_template.h"
#include "jobs/yaml_value.h"

static bool holds(struct rb_text text, const char *word) {
    struct rb_text w = rb_text_of(word);
    for (size_t i = 0; i + w.len <= text.len; i++)
        if (rb_text_equal_nocase(rb_text(text.at + i, w.len), w))
            return true;
    return false;
}

/* In a text body a value is escaped as the Content-Type says, where that is fixed. */
static enum rb_place place_of(const struct rb_headers *headers) {
    const struct rb_header *header = rb_headers_find(headers, "Content-Type");
    enum rb_place place = RB_PLACE_TEXT;
    if (!header || !header->value || !rb_template_is_constant(header->value))
        return place;
    struct rb_template_values none = {0};
    struct rb_buffer type;
    rb_buffer_init(&type, 1024);
    if (rb_template_render(header->value, &none, &type, NULL) == RB_OK) {
        struct rb_text rest = rb_buffer_view(&type), media = {NULL, 0};
        if (rb_text_next(&rest, ';', &media))
            media = rb_text_trim(media);
        place = holds(media, "json")                    ? RB_PLACE_JSON
                : holds(media, "xml")                   ? RB_PLACE_XML
                : holds(media, "x-www-form-urlencoded") ? RB_PLACE_FORM
                                                        : RB_PLACE_TEXT;
    }
    rb_buffer_fini(&type);
    return place;
}

void rb_body_read(struct rb_reading *r, const struct rb_yaml *node,
                  struct rb_request_template *t) {
    const struct rb_yaml *json = rb_yaml_get(node, "json");
    const struct rb_yaml *form = rb_yaml_get(node, "form");
    const struct rb_yaml *body = rb_yaml_get(node, "body");
    if ((json != NULL) + (form != NULL) + (body != NULL) > 1) {
        rb_yaml_key_error(body ? body : form, r->errors,
                          "a request has one of json, form and body");
        return;
    }
    if (json)
        t->body.json = rb_json_template_compile(r, json);
    if (form) {
        t->body.form = calloc(1, sizeof *t->body.form);
        if (t->body.form)
            rb_fields_read(r, form, RB_PLACE_FORM, t->body.form);
        else
            rb_yaml_error(form, r->errors, "out of memory");
    }
    if (body)
        t->body.text =
            rb_template_compile(body, place_of(&t->headers), &r->names, r->errors);
}

void rb_body_fini(struct rb_body *body) {
    rb_json_template_free(body->json);
    if (body->form)
        rb_fields_fini(body->form);
    free(body->form);
    rb_template_free(body->text);
}

const char *rb_body_type(const struct rb_body *body) {
    return body->json   ? "application/json"
           : body->form ? "application/x-www-form-urlencoded"
           : body->text ? "text/plain; charset=utf-8"
                        : NULL;
}

enum rb_status rb_body_render(const struct rb_body *body,
                              const struct rb_template_values *values,
                              struct rb_buffer *out, struct rb_error *error) {
    if (body->json)
        return rb_json_template_render(body->json, values, out, error);
    if (body->form)
        return rb_fields_render(body->form, RB_PLACE_FORM, values, '\0', out, error);
    return rb_template_render(body->text, values, out, error);
}
