/* What the lists of the admin listener have in common: limits and patterns. */
#ifndef RB_NOTIFIER_ADMIN_QUERY_H
#define RB_NOTIFIER_ADMIN_QUERY_H

#include <stdbool.h>
#include <stdint.h>

#include "config/buffer.h"
#include "config/text.h"

/* ?limit=: `standard` where it is not given; false when it is not 1 … most. */
bool rb_admin_limit(struct rb_text query, uint64_t standard, uint64_t most,
                    uint64_t *limit);

/* A channel's name, or the beginning of names and "*"; "*" alone is every one's. */
bool rb_admin_is_pattern(struct rb_text text);

/* Appends a pattern for Redis (SCAN … MATCH) that means these bytes and nothing else. */
void rb_admin_glob_escape(struct rb_buffer *out, struct rb_text text);

#endif
