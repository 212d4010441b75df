/* The `request:` of a definition, compiled: for the request*.c files alone. */
#ifndef RB_JOBS_REQUEST_TEMPLATE_H
#define RB_JOBS_REQUEST_TEMPLATE_H

#include "jobs/definition_section.h"
#include "jobs/template.h"

/* name=value&name=value, of a query or a form. */
struct rb_field {
    char *name; /* escaped */
    struct rb_template **values;
    size_t count;
};

struct rb_fields {
    struct rb_field *items;
    size_t count;
};

struct rb_header {
    char *name;
    struct rb_template *value;
};

struct rb_headers {
    struct rb_header *items;
    size_t count;
};

struct rb_json_template; /* request_json.c */

/* At most one of them is set. */
struct rb_body {
    struct rb_json_template *json;
    struct rb_fields *form;
    struct rb_template *text;
};

struct rb_request_template {
    char *method;
    char *origin;              /* "https://host:port" */
    struct rb_template *path;  /* with its first slash */
    struct rb_template *query; /* of the url; NULL when it has no '?' */
    struct rb_fields parameters;
    struct rb_headers headers;
    struct rb_body body;
};

/* Each reads its part of `request:` into t and adds mistakes to r->errors. */
void rb_request_url_read(struct rb_reading *r, const struct rb_yaml *node,
                         struct rb_request_template *t);
/* host[:port]: NULL, or what is wrong with it. */
const char *rb_request_check_authority(struct rb_text authority);
void rb_fields_read(struct rb_reading *r, const struct rb_yaml *node, enum rb_place place,
                    struct rb_fields *fields);
void rb_headers_read(struct rb_reading *r, const struct rb_yaml *node,
                     struct rb_headers *headers);
/* request: itself, with one of json, form and body; after the headers. */
void rb_body_read(struct rb_reading *r, const struct rb_yaml *node,
                  struct rb_request_template *t);
struct rb_json_template *rb_json_template_compile(struct rb_reading *r,
                                                  const struct rb_yaml *node);

void rb_fields_fini(struct rb_fields *fields);
void rb_headers_fini(struct rb_headers *headers);
void rb_body_fini(struct rb_body *body);
void rb_json_template_free(struct rb_json_template *json);

const struct rb_header *rb_headers_find(const struct rb_headers *headers,
                                        const char *name);

/* Each appends its part to `out`; see rb_template_render for what can go wrong. */
RB_MUST_CHECK enum rb_status rb_fields_render(const struct rb_fields *fields,
                                              enum rb_place place,
                                              const struct rb_template_values *values,
                                              char first, struct rb_buffer *out,
                                              struct rb_error *error);
RB_MUST_CHECK enum rb_status
rb_json_template_render(const struct rb_json_template *json,
                        const struct rb_template_values *values, struct rb_buffer *out,
                        struct rb_error *error);
RB_MUST_CHECK enum rb_status rb_body_render(const struct rb_body *body,
                                            const struct rb_template_values *values,
                                            struct rb_buffer *out,
                                            struct rb_error *error);
/* The type of a body when the headers say none; NULL without a body. */
const char *rb_body_type(const struct rb_body *body);

#endif
