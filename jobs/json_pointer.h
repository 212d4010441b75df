/* JSON Pointer (RFC 6901) over raw JSON: what is picked keeps its bytes. */
#ifndef RB_JOBS_JSON_POINTER_H
#define RB_JOBS_JSON_POINTER_H

#include <stdbool.h>

#include "config/status.h"
#include "config/text.h"

/* "" or "/a/0/b~1c": each part behind a slash, "~" only as "~0" or "~1". */
bool rb_json_is_pointer(struct rb_text pointer);

/* The value at the pointer, as a span of `json`, which must have passed rb_json_check. Of
 * members with one name the last counts, as in JSON.parse. RB_OK or RB_NOT_FOUND. */
RB_MUST_CHECK enum rb_status rb_json_find(struct rb_text json, struct rb_text pointer,
                                          struct rb_text *value);

#endif
