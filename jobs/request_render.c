/* From a definition and a job to the request that is sent. */
#include <stdlib.h>
#include <strings.h>

#include "jobs/request_template.h"

#define DEFAULT_HEADERS 2
#define USUAL_BYTES 500 /* few requests are longer, and need another block */

/* All strings of a request stand in one block behind it. */
struct block {
    struct rb_request request;
    unsigned refs;
    char *bytes;
    char *headers[];
};

struct rendering {
    const struct rb_request_template *t;
    struct rb_template_values values;
    struct rb_buffer out;
    struct rb_error *error;
    size_t url, body;
    size_t headers[RB_REQUEST_HEADERS_MAX + DEFAULT_HEADERS];
    size_t header_count;
};

static enum rb_status render_url(struct rendering *r) {
    const struct rb_request_template *t = r->t;
    r->url = r->out.len;
    rb_buffer_string(&r->out, t->origin);
    enum rb_status status = rb_template_render(t->path, &r->values, &r->out, r->error);
    if (status == RB_OK && t->query) {
        rb_buffer_char(&r->out, '?');
        status = rb_template_render(t->query, &r->values, &r->out, r->error);
    }
    if (status == RB_OK)
        status = rb_fields_render(&t->parameters, RB_PLACE_QUERY, &r->values,
                                  t->query ? '&' : '?', &r->out, r->error);
    if (status == RB_OK && r->out.len - r->url > RB_REQUEST_URL_MAX_BYTES)
        status = RB_TOO_LARGE;
    rb_buffer_char(&r->out, '\0');
    return status;
}

static void default_header(struct rendering *r, const char *name, const char *value) {
    if (!value || rb_headers_find(&r->t->headers, name))
        return;
    r->headers[r->header_count++] = r->out.len;
    rb_buffer_string(&r->out, name);
    rb_buffer_string(&r->out, ": ");
    rb_buffer_string(&r->out, value);
    rb_buffer_char(&r->out, '\0');
}

/* A header with nothing in it is left out, as it is when its parameter isn't given. */
static enum rb_status render_header(struct rendering *r, const struct rb_header *header) {
    size_t begin = r->out.len;
    rb_buffer_string(&r->out, header->name);
    rb_buffer_string(&r->out, ": ");
    size_t value = r->out.len;
    enum rb_status status =
        rb_template_render(header->value, &r->values, &r->out, r->error);
    if (status != RB_OK)
        return status;
    if (r->out.len == value)
        r->out.len = begin;
    else
        r->headers[r->header_count++] = begin;
    if (r->out.len != begin)
        rb_buffer_char(&r->out, '\0');
    return r->out.status;
}

static enum rb_status render_headers(struct rendering *r) {
    for (size_t i = 0; i < r->t->headers.count; i++) {
        enum rb_status status = render_header(r, &r->t->headers.items[i]);
        if (status != RB_OK)
            return status;
    }
    default_header(r, "Content-Type", rb_body_type(&r->t->body));
    default_header(r, "User-Agent", "ringback/" RINGBACK_VERSION);
    return r->out.status;
}

static enum rb_status render_all(struct rendering *r) {
    rb_buffer_string(&r->out, r->t->method);
    rb_buffer_char(&r->out, '\0');
    enum rb_status status = render_url(r);
    if (status == RB_OK)
        status = render_headers(r);
    r->body = r->out.len;
    if (status == RB_OK && rb_body_type(&r->t->body))
        status = rb_body_render(&r->t->body, &r->values, &r->out, r->error);
    return status == RB_OK ? r->out.status : status;
}

static struct rb_request *assemble(struct rendering *r) {
    struct block *block =
        malloc(sizeof *block + (r->header_count + 1) * sizeof block->headers[0]);
    size_t len;
    char *bytes = block ? rb_buffer_detach(&r->out, &len) : NULL;
    if (!bytes) {
        free(block);
        return NULL;
    }
    block->refs = 1;
    block->bytes = bytes;
    for (size_t i = 0; i < r->header_count; i++)
        block->headers[i] = bytes + r->headers[i];
    block->headers[r->header_count] = NULL;
    bool body = rb_body_type(&r->t->body) != NULL;
    block->request = (struct rb_request){
        .method = bytes,
        .url = bytes + r->url,
        .headers = block->headers,
        .body = body ? bytes + r->body : NULL,
        .body_len = body ? len - r->body : 0,
    };
    return &block->request;
}

enum rb_status rb_definition_render(const struct rb_definition *definition,
                                    const struct rb_job *job, struct rb_text channel,
                                    const json_t *params, struct rb_request **request,
                                    struct rb_error *error) {
    struct rendering r = {
        .t = definition->request,
        .values = {params, definition->secrets, rb_text_of(job->id),
                   rb_text_of(definition->service), channel},
        .error = error,
    };
    rb_buffer_init(&r.out, RB_REQUEST_MAX_BYTES);
    rb_buffer_reserve(&r.out, USUAL_BYTES);
    enum rb_status status = render_all(&r);
    *request = status == RB_OK ? assemble(&r) : NULL;
    if (status == RB_OK && !*request)
        status = RB_NOMEM;
    if (status == RB_TOO_LARGE)
        rb_error_set(error, NULL, 0, 0, "the request would be too large");
    else if (status == RB_NOMEM)
        rb_error_set(error, NULL, 0, 0, "%s", rb_status_text(status));
    rb_buffer_fini(&r.out);
    return status;
}

/* The request is the first member of its block. */
struct rb_request *rb_request_ref(struct rb_request *request) {
    ((struct block *)(void *)request)->refs++;
    return request;
}

void rb_request_free(struct rb_request *request) {
    struct block *block = (struct block *)(void *)request;
    if (!block || --block->refs > 0)
        return;
    free(block->bytes);
    free(block);
}
