/* name=value&name=value: the `query:` and the `form:` of a request. */
#include <stdlib.h>

#include "jobs/escape.h"
#include "jobs/request_template.h"
#include "jobs/template_piece.h"
#include "jobs/yaml_value.h"

static bool fixed_name(struct rb_reading *r, const struct rb_yaml *item) {
    for (size_t i = 0; i + 1 < item->key.len; i++) {
        if (item->key.at[i] == '$' && item->key.at[i + 1] == '{') {
            rb_yaml_key_error(item, r->errors, "${…} can't stand in a name");
            return false;
        }
    }
    return true;
}

static char *escaped_name(enum rb_place place, struct rb_text name) {
    struct rb_buffer out;
    rb_buffer_init(&out, 3 * name.len);
    const char *refused = rb_escape(&out, place, name);
    char *escaped = refused ? NULL : rb_buffer_detach(&out, NULL);
    rb_buffer_fini(&out);
    return escaped;
}

static void read_field(struct rb_reading *r, const struct rb_yaml *item,
                       enum rb_place place, struct rb_field *field) {
    size_t count = rb_value_count(item);
    field->name = escaped_name(place, item->key);
    field->values = calloc(count + 1, sizeof(struct rb_template *));
    if (!field->name || !field->values) {
        rb_yaml_error(item, r->errors, "out of memory");
        return;
    }
    for (size_t i = 0; i < count; i++)
        field->values[field->count++] =
            rb_template_compile_value(rb_value_at(item, i), place, &r->names, r->errors);
}

void rb_fields_read(struct rb_reading *r, const struct rb_yaml *node, enum rb_place place,
                    struct rb_fields *fields) {
    if (!rb_value_is(node, RB_YAML_MAPPING, r->errors))
        return;
    fields->items = calloc(node->count + 1, sizeof *fields->items);
    if (!fields->items) {
        rb_yaml_error(node, r->errors, "out of memory");
        return;
    }
    for (size_t i = 0; i < node->count; i++)
        if (fixed_name(r, &node->items[i]))
            read_field(r, &node->items[i], place, &fields->items[fields->count++]);
}

void rb_fields_fini(struct rb_fields *fields) {
    for (size_t i = 0; i < fields->count; i++) {
        struct rb_field *field = &fields->items[i];
        for (size_t v = 0; v < field->count; v++)
            rb_template_free(field->values[v]);
        free(field->values);
        free(field->name);
    }
    free(fields->items);
}

struct writer {
    enum rb_place place;
    const struct rb_template_values *values;
    char separator; /* what comes before the next pair; '\0' = nothing */
    struct rb_buffer *out;
    struct rb_error *error;
};

static void open_pair(struct writer *w, const struct rb_field *field) {
    if (w->separator)
        rb_buffer_char(w->out, w->separator);
    w->separator = '&';
    rb_buffer_string(w->out, field->name);
    rb_buffer_char(w->out, '=');
}

/* A parameter that is a list gives a pair for each element. */
static enum rb_status render_list(struct writer *w, const struct rb_field *field,
                                  const json_t *list) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct rb_piece element = {RB_PIECE_PARAM, w->place, false, field->name, 0};
        open_pair(w, field);
        enum rb_status status =
            rb_piece_put(&element, json_array_get(list, i), w->out, w->error);
        if (status != RB_OK)
            return status;
    }
    return w->out->status;
}

static enum rb_status render_value(struct writer *w, const struct rb_field *field,
                                   const struct rb_template *value) {
    const json_t *whole = rb_template_whole(value, w->values);
    if (rb_template_is_absent(value, w->values))
        return RB_OK;
    if (json_is_array(whole))
        return render_list(w, field, whole);
    open_pair(w, field);
    return rb_template_render(value, w->values, w->out, w->error);
}

enum rb_status rb_fields_render(const struct rb_fields *fields, enum rb_place place,
                                const struct rb_template_values *values, char first,
                                struct rb_buffer *out, struct rb_error *error) {
    struct writer w = {place, values, first, out, error};
    for (size_t i = 0; i < fields->count; i++) {
        const struct rb_field *field = &fields->items[i];
        for (size_t v = 0; v < field->count; v++) {
            enum rb_status status = render_value(&w, field, field->values[v]);
            if (status != RB_OK)
                return status;
        }
    }
    return out->status;
}
