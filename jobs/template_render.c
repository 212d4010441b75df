/* Renders a template's pieces for one job. */
#include "jobs/escape.h"
#include "jobs/json_write.h"
#include "jobs/template_piece.h"

/* "${secret.token}" as it stands in a sentence; values never do. */
static const char *prefix_of(const struct rb_piece *piece) {
    return piece->kind == RB_PIECE_PARAM    ? ""
           : piece->kind == RB_PIECE_SECRET ? "secret."
                                            : "job.";
}

static enum rb_status put_text(const struct rb_piece *piece, struct rb_text text,
                               struct rb_buffer *out, struct rb_error *error) {
    const char *refused = rb_escape(out, piece->place, text);
    if (refused)
        return rb_error_set(error, NULL, 0, 0, "\"%s%s\" must not hold %s",
                            prefix_of(piece), piece->text, refused);
    return out->status;
}

enum rb_status rb_piece_put(const struct rb_piece *piece, const json_t *value,
                            struct rb_buffer *out, struct rb_error *error) {
    struct rb_buffer digits;
    switch (json_typeof(value)) {
    case JSON_STRING:
        return put_text(piece,
                        rb_text(json_string_value(value), json_string_length(value)), out,
                        error);
    case JSON_INTEGER:
    case JSON_REAL:
        rb_buffer_init(&digits, 40);
        rb_json_write_number(&digits, value);
        enum rb_status status = digits.status;
        if (status == RB_OK)
            status = put_text(piece, rb_buffer_view(&digits), out, error);
        rb_buffer_fini(&digits);
        return status;
    case JSON_TRUE:
        return put_text(piece, RB_TEXT("true"), out, error);
    case JSON_FALSE:
        return put_text(piece, RB_TEXT("false"), out, error);
    case JSON_NULL:
        return out->status;
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    return rb_error_set(error, NULL, 0, 0, "\"%s\" is %s and can't stand within text",
                        piece->text, json_is_array(value) ? "an array" : "an object");
}

static enum rb_status put_piece(const struct rb_piece *piece,
                                const struct rb_template_values *values,
                                struct rb_buffer *out, struct rb_error *error) {
    const json_t *value = NULL;
    switch (piece->kind) {
    case RB_PIECE_LITERAL:
        rb_buffer_add(out, piece->text, piece->len);
        return out->status;
    case RB_PIECE_PARAM:
        value = json_object_get(values->params, piece->text);
        break;
    case RB_PIECE_SECRET:
        value = json_object_get(values->secrets, piece->text);
        break;
    case RB_PIECE_JOB_ID:
        return put_text(piece, values->job_id, out, error);
    case RB_PIECE_SERVICE:
        return put_text(piece, values->service, out, error);
    case RB_PIECE_CHANNEL:
        return put_text(piece, values->channel, out, error);
    }
    return value ? rb_piece_put(piece, value, out, error) : out->status;
}

/* "." and "..", also written as %2e: servers and proxies resolve them. */
static bool dots(struct rb_text segment) {
    size_t count = 0;
    while (segment.len > 0) {
        size_t step = segment.at[0] == '.' ? 1
                      : segment.len >= 3 && segment.at[0] == '%' &&
                              segment.at[1] == '2' && (segment.at[2] | 0x20) == 'e'
                          ? 3
                          : 0;
        if (step == 0 || ++count > 2)
            return false;
        segment = rb_text(segment.at + step, segment.len - step);
    }
    return count > 0;
}

bool rb_template_has_dots(struct rb_text path) {
    while (path.len > 0) {
        const char *slash = memchr(path.at, '/', path.len);
        size_t len = slash ? (size_t)(slash - path.at) : path.len;
        if (dots(rb_text(path.at, len)))
            return true;
        len += slash ? 1 : 0;
        path = rb_text(path.at + len, path.len - len);
    }
    return false;
}

/* Would the segment end here with nothing in it? DELETE /users/${id} must not become
 * DELETE /users/. */
static bool empty_segment(const struct rb_template *t, size_t piece,
                          const struct rb_buffer *out, size_t begin) {
    bool last = piece + 1 == t->count || (t->pieces[piece + 1].kind == RB_PIECE_LITERAL &&
                                          t->pieces[piece + 1].text[0] == '/');
    return last && (out->len == begin || out->at[out->len - 1] == '/');
}

enum rb_status rb_template_render(const struct rb_template *template,
                                  const struct rb_template_values *values,
                                  struct rb_buffer *out, struct rb_error *error) {
    size_t begin = out->len;
    bool path = template->place == RB_PLACE_PATH;
    for (size_t i = 0; i < template->count; i++) {
        const struct rb_piece *piece = &template->pieces[i];
        enum rb_status status = put_piece(piece, values, out, error);
        if (status != RB_OK)
            return status;
        if (path && piece->kind != RB_PIECE_LITERAL &&
            empty_segment(template, i, out, begin))
            return rb_error_set(
                error, NULL, 0, 0,
                "\"%s%s\" is empty, and so would be a segment of the path",
                prefix_of(piece), piece->text);
    }
    if (path && out->len > begin &&
        rb_template_has_dots(rb_text(out->at + begin, out->len - begin)))
        return rb_error_set(error, NULL, 0, 0,
                            "a segment of the path would be \".\" or \"..\"");
    return out->status;
}

static const struct rb_piece *only_param(const struct rb_template *template) {
    if (template->count != 1 || template->pieces[0].kind != RB_PIECE_PARAM)
        return NULL;
    return &template->pieces[0];
}

const json_t *rb_template_whole(const struct rb_template *template,
                                const struct rb_template_values *values) {
    const struct rb_piece *piece = only_param(template);
    if (!piece || piece->filtered)
        return NULL;
    return json_object_get(values->params, piece->text);
}

bool rb_template_is_absent(const struct rb_template *template,
                           const struct rb_template_values *values) {
    const struct rb_piece *piece = only_param(template);
    return piece && !json_object_get(values->params, piece->text);
}

bool rb_template_is_constant(const struct rb_template *template) {
    for (size_t i = 0; i < template->count; i++)
        if (template->pieces[i].kind != RB_PIECE_LITERAL)
            return false;
    return true;
}

bool rb_template_has_secret(const struct rb_template *template) {
    for (size_t i = 0; i < template->count; i++)
        if (template->pieces[i].kind == RB_PIECE_SECRET)
            return true;
    return false;
}
