/* A POSIX extended regular expression (regex(7)) that is safe to run on what visitors
 * type: bounded in size, without back references (which can take time exponential in the
 * text). Bytes are compared, not characters: `.` is one byte. */
#ifndef RB_JOBS_PATTERN_H
#define RB_JOBS_PATTERN_H

#include "config/status.h"
#include "config/text.h"

struct rb_pattern;

/* NULL with a sentence in *error: not a pattern, longer than 512 bytes, or more than
 * 10,000 atoms once repetitions like {1,64} are written out. */
struct rb_pattern *rb_pattern_new(struct rb_text text, struct rb_error *error);
void rb_pattern_free(struct rb_pattern *pattern);

/* Is there a match anywhere in the string (use ^ and $ for all of it)? RB_OK, RB_INVALID
 * or RB_NOMEM. */
RB_MUST_CHECK enum rb_status rb_pattern_match(const struct rb_pattern *pattern,
                                              const char *string);

const char *rb_pattern_text(const struct rb_pattern *pattern);

#endif
