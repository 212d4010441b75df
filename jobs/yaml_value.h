/* What a node of a definition says, as a value. Each adds what was expected to `errors`
 * and then answers false or NULL. */
#ifndef RB_JOBS_YAML_VALUE_H
#define RB_JOBS_YAML_VALUE_H

#include <jansson.h>
#include <stdint.h>

#include "config/yaml.h"

/* Any scalar that is not null; no NUL inside. */
bool rb_value_text(const struct rb_yaml *node, struct rb_text *text,
                   struct rb_errors *errors);
/* The same, copied. */
char *rb_value_string(const struct rb_yaml *node, struct rb_errors *errors);
bool rb_value_bool(const struct rb_yaml *node, bool *value, struct rb_errors *errors);
bool rb_value_int(const struct rb_yaml *node, int64_t min, int64_t max, int64_t *value,
                  struct rb_errors *errors);
bool rb_value_duration(const struct rb_yaml *node, int64_t min_ms, int64_t max_ms,
                       int64_t *ms, struct rb_errors *errors);
bool rb_value_bytes(const struct rb_yaml *node, int64_t min, int64_t max, int64_t *bytes,
                    struct rb_errors *errors);

/* A tree as JSON, as YAML 1.2 reads it: what is quoted is a string; null, true, false and
 * JSON's numbers are those; all else is a string. What YAML reads as a number and JSON
 * can't write (007, 0x1F, .5) is refused: it must be quoted or spelled out. */
json_t *rb_value_json(const struct rb_yaml *node, struct rb_errors *errors);

/* "a mapping" and the like: adds "expected <kind>, got …" when the node is another. */
bool rb_value_is(const struct rb_yaml *node, enum rb_yaml_kind kind,
                 struct rb_errors *errors);

/* What a list holds; a single value counts as a list of one. */
size_t rb_value_count(const struct rb_yaml *node);
const struct rb_yaml *rb_value_at(const struct rb_yaml *node, size_t i);

/* Names of parameters and secrets: [A-Za-z_][A-Za-z0-9_-]{0,63}. */
bool rb_value_is_name(const struct rb_yaml *node, const char *what,
                      struct rb_errors *errors);

#endif
