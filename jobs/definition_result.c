/* `result:`: what counts as an answer, and what of it is passed on. */
#include <stdlib.h>

#include "jobs/definition_section.h"
#include "jobs/json_pointer.h"
#include "jobs/section.h"
#include "jobs/yaml_value.h"

#define MAX_BYTES (256 * 1024)
#define MAX_BYTES_MOST (16 * 1024 * 1024)

/* 204, or 2xx for all of a class. */
static void add_statuses(struct rb_reading *r, const struct rb_yaml *node) {
    bool *success = r->definition->result.success;
    struct rb_text text;
    int64_t status;
    if (!rb_value_text(node, &text, r->errors))
        return;
    if (text.len == 3 && text.at[0] >= '2' && text.at[0] <= '5' &&
        rb_text_equal_nocase(rb_text(text.at + 1, 2), RB_TEXT("xx"))) {
        for (int i = 0; i < 100; i++)
            success[(text.at[0] - '0') * 100 + i] = true;
    } else if (rb_text_int64(text, &status) == RB_OK && status >= 200 &&
               status <= RB_DEFINITION_STATUS_MAX) {
        success[status] = true;
    } else {
        rb_yaml_error(node, r->errors,
                      "expected an HTTP status from 200 to 599 or a class like 2xx, got "
                      "\"" RB_TEXT_FMT "\"",
                      RB_TEXT_ARG(text));
    }
}

static void read_success(struct rb_reading *r, const struct rb_yaml *node) {
    size_t count = node ? rb_value_count(node) : 0;
    for (size_t i = 0; i < count; i++)
        add_statuses(r, rb_value_at(node, i));
    if (node && count == 0)
        rb_yaml_error(node, r->errors, "expected at least one status");
    for (int i = 200; i < 300 && !node; i++)
        r->definition->result.success[i] = true;
}

static void add_selection(struct rb_reading *r, const struct rb_yaml *node, bool named) {
    struct rb_definition *d = r->definition;
    struct rb_selection *s = &d->result.select[d->result.select_count];
    struct rb_text pointer;
    if (!rb_value_text(node, &pointer, r->errors))
        return;
    if (!rb_json_is_pointer(pointer)) {
        rb_yaml_error(node, r->errors,
                      "expected a JSON Pointer like /data/quote or /items/0, got "
                      "\"" RB_TEXT_FMT "\"",
                      RB_TEXT_ARG(pointer));
        return;
    }
    s->name = named ? rb_text_copy(node->key) : NULL;
    s->pointer = rb_text_copy(pointer);
    d->result.select_count++;
    if ((named && !s->name) || !s->pointer)
        rb_yaml_error(node, r->errors, "out of memory");
}

/* One pointer, or a mapping of names to pointers, which makes a new object. */
static void read_select(struct rb_reading *r, const struct rb_yaml *node) {
    bool named = node->kind == RB_YAML_MAPPING;
    size_t count = named ? node->count : 1;
    if (count == 0 || node->kind == RB_YAML_SEQUENCE) {
        rb_yaml_error(node, r->errors,
                      "expected a JSON Pointer, or a mapping of names to JSON Pointers");
        return;
    }
    r->definition->result.select = calloc(count, sizeof *r->definition->result.select);
    if (!r->definition->result.select) {
        rb_yaml_error(node, r->errors, "out of memory");
        return;
    }
    for (size_t i = 0; i < count; i++)
        add_selection(r, named ? &node->items[i] : node, named);
}

void rb_read_result(struct rb_reading *r, const struct rb_yaml *node) {
    static const char *const known[] = {"success", "select", "max_bytes", NULL};
    r->definition->result.max_bytes = MAX_BYTES;
    if (node && !rb_section_open(node, known, NULL, r->errors))
        return;
    read_success(r, rb_yaml_get(node, "success"));
    if (rb_yaml_get(node, "select"))
        read_select(r, rb_yaml_get(node, "select"));
    if (rb_yaml_get(node, "max_bytes"))
        rb_value_bytes(rb_yaml_get(node, "max_bytes"), 1, MAX_BYTES_MOST,
                       &r->definition->result.max_bytes, r->errors);
}

void rb_result_free(struct rb_definition *definition) {
    for (size_t i = 0; i < definition->result.select_count; i++) {
        free(definition->result.select[i].name);
        free(definition->result.select[i].pointer);
    }
    free(definition->result.select);
}
