/* The `json:` of a request: a tree in which constants keep the type that YAML gives them,
 * a leaf that is just ${n} keeps the parameter's, and any other text becomes a string. */
#include <stdlib.h>

#include "jobs/json_write.h"
#include "jobs/request_template.h"
#include "jobs/yaml_value.h"

struct rb_json_template {
    char *key; /* of a member of an object */
    enum { JSON_NODE_OBJECT, JSON_NODE_ARRAY, JSON_NODE_CONSTANT, JSON_NODE_TEXT } kind;
    json_t *constant;
    struct rb_template *text;
    struct rb_json_template *items;
    size_t count;
};

static bool has_reference(struct rb_text text) {
    for (size_t i = 0; i + 1 < text.len; i++)
        if (text.at[i] == '$' && text.at[i + 1] == '{')
            return true;
    return false;
}

static void read_node(struct rb_reading *r, const struct rb_yaml *node,
                      struct rb_json_template *out);

static void read_items(struct rb_reading *r, const struct rb_yaml *node,
                       struct rb_json_template *out) {
    out->items = calloc(node->count + 1, sizeof *out->items);
    if (!out->items) {
        rb_yaml_error(node, r->errors, "out of memory");
        return;
    }
    for (size_t i = 0; i < node->count; i++) {
        const struct rb_yaml *item = &node->items[i];
        struct rb_json_template *child = &out->items[out->count++];
        if (node->kind == RB_YAML_MAPPING) {
            child->key = rb_text_copy(item->key);
            if (!child->key)
                rb_yaml_error(item, r->errors, "out of memory");
            if (has_reference(item->key))
                rb_yaml_key_error(item, r->errors, "${…} can't stand in a name");
        }
        read_node(r, item, child);
    }
}

static void read_node(struct rb_reading *r, const struct rb_yaml *node,
                      struct rb_json_template *out) {
    if (node->kind != RB_YAML_SCALAR) {
        out->kind = node->kind == RB_YAML_MAPPING ? JSON_NODE_OBJECT : JSON_NODE_ARRAY;
        read_items(r, node, out);
    } else if (has_reference(node->text)) {
        out->kind = JSON_NODE_TEXT;
        out->text = rb_template_compile(node, RB_PLACE_TEXT, &r->names, r->errors);
    } else {
        out->kind = JSON_NODE_CONSTANT;
        out->constant = rb_value_json(node, r->errors);
    }
}

struct rb_json_template *rb_json_template_compile(struct rb_reading *r,
                                                  const struct rb_yaml *node) {
    struct rb_json_template *root = calloc(1, sizeof *root);
    if (root)
        read_node(r, node, root);
    else
        rb_yaml_error(node, r->errors, "out of memory");
    return root;
}

static void node_fini(struct rb_json_template *node) {
    for (size_t i = 0; i < node->count; i++)
        node_fini(&node->items[i]);
    free(node->items);
    free(node->key);
    json_decref(node->constant);
    rb_template_free(node->text);
}

void rb_json_template_free(struct rb_json_template *json) {
    if (json)
        node_fini(json);
    free(json);
}

static enum rb_status render_text(const struct rb_template *text,
                                  const struct rb_template_values *values,
                                  struct rb_buffer *out, struct rb_error *error) {
    const json_t *whole = rb_template_whole(text, values);
    if (whole) {
        rb_json_write(out, whole);
        return out->status;
    }
    if (rb_template_is_absent(text, values)) {
        rb_buffer_string(out, "null");
        return out->status;
    }
    struct rb_buffer string;
    rb_buffer_init(&string, RB_REQUEST_MAX_BYTES);
    enum rb_status status = rb_template_render(text, values, &string, error);
    if (status == RB_OK) {
        rb_buffer_json(out, rb_buffer_view(&string));
        status = out->status;
    }
    rb_buffer_fini(&string);
    return status;
}

static enum rb_status render_items(const struct rb_json_template *node,
                                   const struct rb_template_values *values,
                                   struct rb_buffer *out, struct rb_error *error) {
    bool object = node->kind == JSON_NODE_OBJECT;
    bool first = true;
    rb_buffer_char(out, object ? '{' : '[');
    for (size_t i = 0; i < node->count; i++) {
        const struct rb_json_template *item = &node->items[i];
        /* A member is left out; an element would move those behind it. */
        if (object && item->kind == JSON_NODE_TEXT &&
            rb_template_is_absent(item->text, values))
            continue;
        if (!first)
            rb_buffer_char(out, ',');
        first = false;
        if (object) {
            rb_buffer_json(out, rb_text_of(item->key));
            rb_buffer_char(out, ':');
        }
        enum rb_status status = rb_json_template_render(item, values, out, error);
        if (status != RB_OK)
            return status;
    }
    rb_buffer_char(out, object ? '}' : ']');
    return out->status;
}

enum rb_status rb_json_template_render(const struct rb_json_template *json,
                                       const struct rb_template_values *values,
                                       struct rb_buffer *out, struct rb_error *error) {
    if (json->kind == JSON_NODE_TEXT)
        return render_text(json->text, values, out, error);
    if (json->kind != JSON_NODE_CONSTANT)
        return render_items(json, values, out, error);
    rb_json_write(out, json->constant);
    return out->status;
}
