/* From libyaml's document to our tree: copies the shape, borrows the text, and refuses
 * what a configuration has no use for. Questions about the tree are in yaml_node.c. */
#include "config/yaml.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "config/buffer.h"
#include "config/file.h"

#define MAX_FILE_BYTES (1024 * 1024)
#define MAX_DEPTH 32
#define MAX_NODES 100000

/* The root comes first, so that a pointer to it is a pointer to the tree. Keys and
 * scalars point into the document, which lives as long; so an alias costs a node and no
 * text. */
struct tree {
    struct rb_yaml root;
    yaml_document_t document;
    char *file;
};

struct walk {
    yaml_document_t *document;
    const char *file;
    struct rb_errors *errors;
    size_t visits;
};

static enum rb_status node_error(struct walk *w, const yaml_node_t *node,
                                 const char *text) {
    rb_errors_add(w->errors, w->file, (int)node->start_mark.line + 1,
                  (int)node->start_mark.column + 1, "%s", text);
    return RB_INVALID;
}

static struct rb_text scalar_text(const yaml_node_t *node) {
    return rb_text((const char *)node->data.scalar.value, node->data.scalar.length);
}

static bool scalar_quoted(const yaml_node_t *node) {
    return node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
}

static bool null_word(struct rb_text text) {
    return text.len == 0 || rb_text_is(text, "~") || rb_text_is(text, "null") ||
           rb_text_is(text, "Null") || rb_text_is(text, "NULL");
}

/* The tag that libyaml gives to a node without one. */
static bool usual_tag(const yaml_node_t *node) {
    static const char *const usual[] = {
        [YAML_NO_NODE] = "",
        [YAML_SCALAR_NODE] = YAML_STR_TAG,
        [YAML_SEQUENCE_NODE] = YAML_SEQ_TAG,
        [YAML_MAPPING_NODE] = YAML_MAP_TAG,
    };
    return !node->tag || strcmp((const char *)node->tag, usual[node->type]) == 0;
}

static enum rb_status check_tag(struct walk *w, const yaml_node_t *node) {
    return usual_tag(node) ? RB_OK : node_error(w, node, "tags (!…) are not supported");
}

static enum rb_status set_key(struct walk *w, struct rb_yaml *item, int index) {
    const yaml_node_t *key = yaml_document_get_node(w->document, index);
    if (key->type != YAML_SCALAR_NODE)
        return node_error(w, key, "expected a string as key");
    if (check_tag(w, key) != RB_OK)
        return RB_INVALID;
    struct rb_text text = scalar_text(key);
    if (!scalar_quoted(key) && null_word(text))
        return node_error(w, key, "expected a string as key, got nothing");
    if (!scalar_quoted(key) && rb_text_is(text, "<<"))
        return node_error(w, key,
                          "merge keys (<<) are not supported: write the keys out");
    if (memchr(text.at, '\0', text.len))
        return node_error(w, key, "a key must not hold NUL");
    item->key = text;
    item->key_line = (int)key->start_mark.line + 1;
    item->key_column = (int)key->start_mark.column + 1;
    return RB_OK;
}

/* Equal keys become neighbours, in the order of the file. */
static int by_key(const void *a, const void *b) {
    const struct rb_yaml *x = *(const struct rb_yaml *const *)a;
    const struct rb_yaml *y = *(const struct rb_yaml *const *)b;
    size_t len = x->key.len < y->key.len ? x->key.len : y->key.len;
    int order = memcmp(x->key.at, y->key.at, len);
    if (order == 0 && x->key.len != y->key.len)
        order = x->key.len < y->key.len ? -1 : 1;
    if (order == 0 && x != y)
        order = x < y ? -1 : 1;
    return order;
}

static enum rb_status check_duplicates(struct walk *w, const struct rb_yaml *mapping) {
    if (mapping->count < 2)
        return RB_OK;
    const struct rb_yaml **sorted = malloc(mapping->count * sizeof *sorted);
    if (!sorted)
        return RB_NOMEM;
    for (size_t i = 0; i < mapping->count; i++)
        sorted[i] = &mapping->items[i];
    qsort(sorted, mapping->count, sizeof *sorted, by_key);
    enum rb_status status = RB_OK;
    for (size_t i = 1; i < mapping->count; i++) {
        if (!rb_text_equal(sorted[i]->key, sorted[i - 1]->key))
            continue;
        rb_yaml_key_error(sorted[i], w->errors,
                          "duplicate key \"" RB_TEXT_FMT "\", first at line %d",
                          RB_TEXT_ARG(sorted[i]->key), sorted[i - 1]->key_line);
        status = RB_INVALID;
    }
    free(sorted);
    return status;
}

static enum rb_status walk(struct walk *w, int index, int depth, struct rb_yaml *out);

static enum rb_status walk_mapping(struct walk *w, const yaml_node_t *node, int depth,
                                   struct rb_yaml *out) {
    const yaml_node_pair_t *pairs = node->data.mapping.pairs.start;
    size_t count = (size_t)(node->data.mapping.pairs.top - pairs);
    out->kind = RB_YAML_MAPPING;
    if (count == 0)
        return RB_OK;
    out->items = calloc(count, sizeof *out->items);
    if (!out->items)
        return RB_NOMEM;
    for (size_t i = 0; i < count; i++) {
        out->count++;
        enum rb_status status = set_key(w, &out->items[i], pairs[i].key);
        if (status == RB_OK)
            status = walk(w, pairs[i].value, depth + 1, &out->items[i]);
        if (status != RB_OK)
            return status;
    }
    return check_duplicates(w, out);
}

static enum rb_status walk_sequence(struct walk *w, const yaml_node_t *node, int depth,
                                    struct rb_yaml *out) {
    const yaml_node_item_t *items = node->data.sequence.items.start;
    size_t count = (size_t)(node->data.sequence.items.top - items);
    out->kind = RB_YAML_SEQUENCE;
    if (count == 0)
        return RB_OK;
    out->items = calloc(count, sizeof *out->items);
    if (!out->items)
        return RB_NOMEM;
    for (size_t i = 0; i < count; i++) {
        out->count++;
        enum rb_status status = walk(w, items[i], depth + 1, &out->items[i]);
        if (status != RB_OK)
            return status;
    }
    return RB_OK;
}

/* Aliases make the document a graph, perhaps with cycles: depth and visits bound both. */
static enum rb_status walk(struct walk *w, int index, int depth, struct rb_yaml *out) {
    const yaml_node_t *node = yaml_document_get_node(w->document, index);
    out->file = w->file;
    out->line = (int)node->start_mark.line + 1;
    out->column = (int)node->start_mark.column + 1;
    if (depth > MAX_DEPTH)
        return node_error(w, node, "nested more than 32 deep");
    if (++w->visits > MAX_NODES)
        return node_error(w, node, "more than 100000 nodes, aliases counted each time");
    if (check_tag(w, node) != RB_OK)
        return RB_INVALID;
    switch (node->type) {
    case YAML_SCALAR_NODE:
        out->kind = RB_YAML_SCALAR;
        out->text = scalar_text(node);
        out->quoted = scalar_quoted(node);
        return RB_OK;
    case YAML_SEQUENCE_NODE:
        return walk_sequence(w, node, depth, out);
    case YAML_MAPPING_NODE:
        return walk_mapping(w, node, depth, out);
    case YAML_NO_NODE:
        break;
    }
    return node_error(w, node, "unexpected node");
}

/* libyaml tells where a byte is wrong by its offset alone. */
static void place_of_offset(struct rb_text text, size_t offset, int *line, int *column) {
    *line = *column = 1;
    for (size_t i = 0; i < offset && i < text.len; i++) {
        if (text.at[i] == '\n') {
            ++*line;
            *column = 1;
        } else if (((unsigned char)text.at[i] & 0xc0) != 0x80) {
            ++*column;
        }
    }
}

static enum rb_status parser_error(const yaml_parser_t *parser, const char *name,
                                   struct rb_text text, struct rb_errors *errors) {
    int line = (int)parser->problem_mark.line + 1;
    int column = (int)parser->problem_mark.column + 1;
    const char *problem = parser->problem ? parser->problem : "not well-formed";
    switch (parser->error) {
    case YAML_MEMORY_ERROR:
        rb_errors_add(errors, name, 0, 0, "out of memory");
        return RB_NOMEM;
    case YAML_READER_ERROR:
        place_of_offset(text, parser->problem_offset, &line, &column);
        rb_errors_add(errors, name, line, column, "YAML: %s", problem);
        return RB_INVALID;
    default:
        break;
    }
    if (parser->context)
        rb_errors_add(errors, name, line, column, "YAML: %s (%s, line %d)", problem,
                      parser->context, (int)parser->context_mark.line + 1);
    else
        rb_errors_add(errors, name, line, column, "YAML: %s", problem);
    return RB_INVALID;
}

static enum rb_status refuse_second_document(yaml_parser_t *parser, const char *name,
                                             struct rb_text text,
                                             struct rb_errors *errors) {
    yaml_document_t next;
    if (!yaml_parser_load(parser, &next))
        return parser_error(parser, name, text, errors);
    enum rb_status status = RB_OK;
    if (yaml_document_get_root_node(&next)) {
        rb_errors_add(errors, name, (int)next.start_mark.line + 1,
                      (int)next.start_mark.column + 1,
                      "a second document starts here; a file holds one");
        status = RB_INVALID;
    }
    yaml_document_delete(&next);
    return status;
}

static enum rb_status build(struct tree *tree, struct rb_errors *errors) {
    struct walk w = {&tree->document, tree->file, errors, 0};
    const yaml_node_t *root = yaml_document_get_root_node(&tree->document);
    tree->root.kind = RB_YAML_MAPPING;
    tree->root.file = tree->file;
    tree->root.line = tree->root.column = 1;
    /* Nothing but comments, or `---` alone. */
    if (!root || (root->type == YAML_SCALAR_NODE && usual_tag(root) &&
                  !scalar_quoted(root) && null_word(scalar_text(root))))
        return RB_OK;
    return walk(&w, 1, 1, &tree->root);
}

enum rb_status rb_yaml_parse(const char *name, struct rb_text text, struct rb_yaml **root,
                             struct rb_errors *errors) {
    yaml_parser_t parser;
    enum rb_status status;

    *root = NULL;
    if (text.len > MAX_FILE_BYTES) {
        rb_errors_add(errors, name, 0, 0, "larger than 1 MiB");
        return RB_TOO_LARGE;
    }
    struct tree *tree = calloc(1, sizeof *tree);
    char *file = rb_text_copy(rb_text_of(name));
    if (!tree || !file || !yaml_parser_initialize(&parser)) {
        free(tree);
        free(file);
        rb_errors_add(errors, name, 0, 0, "out of memory");
        return RB_NOMEM;
    }
    tree->file = file;
    /* libyaml would count the byte order mark as a column. */
    if (rb_text_starts(text, RB_TEXT("\xef\xbb\xbf")))
        text = rb_text(text.at + 3, text.len - 3);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.at ? text.at : ""),
                                 text.len);
    if (!yaml_parser_load(&parser, &tree->document)) {
        status = parser_error(&parser, name, text, errors);
        memset(&tree->document, 0, sizeof tree->document);
    } else {
        status = build(tree, errors);
        if (status == RB_OK)
            status = refuse_second_document(&parser, name, text, errors);
        else if (status == RB_NOMEM)
            rb_errors_add(errors, name, 0, 0, "out of memory");
    }
    yaml_parser_delete(&parser);
    if (status != RB_OK) {
        rb_yaml_free(&tree->root);
        return status;
    }
    *root = &tree->root;
    return RB_OK;
}

enum rb_status rb_yaml_load(const char *path, struct rb_yaml **root,
                            struct rb_errors *errors) {
    struct rb_buffer content;
    rb_buffer_init(&content, MAX_FILE_BYTES + RB_FILE_STEP_BYTES);
    *root = NULL;
    const char *why;
    enum rb_status status = rb_file_read(path, MAX_FILE_BYTES, &content, &why);
    if (status == RB_SYSTEM)
        rb_errors_add(errors, path, 0, 0, "can't be read: %s", why);
    else if (status == RB_TOO_LARGE)
        rb_errors_add(errors, path, 0, 0, "larger than 1 MiB");
    else if (status == RB_NOMEM)
        rb_errors_add(errors, path, 0, 0, "out of memory");
    else
        status = rb_yaml_parse(path, rb_buffer_view(&content), root, errors);
    rb_buffer_fini(&content);
    return status;
}

static void free_items(struct rb_yaml *node) {
    for (size_t i = 0; i < node->count; i++)
        free_items(&node->items[i]);
    free(node->items);
}

void rb_yaml_free(struct rb_yaml *root) {
    if (!root)
        return;
    struct tree *tree = (struct tree *)root;
    free_items(root);
    if (tree->document.nodes.start)
        yaml_document_delete(&tree->document);
    free(tree->file);
    free(tree);
}
