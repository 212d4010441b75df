/* A YAML file as a tree in which each node knows its line and column, so that every later
 * complaint can point at the place. One document; duplicate keys, anchors with too many
 * visits, depth beyond 32 and more than 100,000 nodes are refused. Built on libyaml's
 * yaml_document_t. */
#ifndef RB_CONFIG_YAML_H
#define RB_CONFIG_YAML_H

#include <stdbool.h>

#include "config/status.h"
#include "config/text.h"

enum rb_yaml_kind { RB_YAML_SCALAR, RB_YAML_SEQUENCE, RB_YAML_MAPPING };

/* A plain value owned by its tree. Children of a sequence are items; of a mapping, items
 * whose `key` is set (keys are always scalars). In the order of the file. */
struct rb_yaml {
    enum rb_yaml_kind kind;
    const char *file; /* the name given to _parse; owned by the root */
    int line, column; /* of the value, from 1 */
    int key_line, key_column;
    struct rb_text key;  /* len 0 and at NULL outside of mappings; NUL-terminated */
    struct rb_text text; /* scalars; NUL-terminated, may hold NUL inside */
    bool quoted;         /* scalar written with quotes or as a block: always a string */
    struct rb_yaml *items;
    size_t count;
};

/* Both give a root that rb_yaml_free frees, or add to `errors` and return RB_INVALID
 * (syntax), RB_SYSTEM (file not readable), RB_TOO_LARGE (file over 1 MiB) or RB_NOMEM. An
 * empty document gives an empty mapping. */
RB_MUST_CHECK enum rb_status rb_yaml_load(const char *path, struct rb_yaml **root,
                                          struct rb_errors *errors);
RB_MUST_CHECK enum rb_status rb_yaml_parse(const char *name, struct rb_text text,
                                           struct rb_yaml **root,
                                           struct rb_errors *errors);
void rb_yaml_free(struct rb_yaml *root);

/* The child by key, or NULL (also when node is NULL or no mapping). */
const struct rb_yaml *rb_yaml_get(const struct rb_yaml *node, const char *key);

/* A plain null: ~, null, Null, NULL or nothing, unquoted. */
bool rb_yaml_is_null(const struct rb_yaml *node);

/* "a string", "a list", "a mapping", "nothing": for messages that say what was found. */
const char *rb_yaml_describe(const struct rb_yaml *node);

/* Adds an error at the node's value, or at its key. */
void rb_yaml_error(const struct rb_yaml *node, struct rb_errors *errors,
                   const char *format, ...) RB_PRINTF(3, 4);
void rb_yaml_key_error(const struct rb_yaml *node, struct rb_errors *errors,
                       const char *format, ...) RB_PRINTF(3, 4);

/* Adds an error for each key of the mapping that is not among `known` (ends with NULL),
 * with the nearest known key; an error when node is not a mapping. */
void rb_yaml_only(const struct rb_yaml *node, const char *const *known,
                  struct rb_errors *errors);

#endif
