/* How the sections of a service definition read their members. Each looks up `key` in the
 * section, leaves *value alone when the key is absent (so that it holds the default), and
 * adds an error at the place when what stands there is not what was expected. */
#ifndef RB_JOBS_SECTION_H
#define RB_JOBS_SECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "config/yaml.h"

/* Adds an error unless the section is a mapping with known keys only and with all of
 * `needed` (which may be NULL). False when it is no mapping, so that there is nothing to
 * read. Both lists end with NULL. */
bool rb_section_open(const struct rb_yaml *section, const char *const *known,
                     const char *const *needed, struct rb_errors *errors);

void rb_section_duration(const struct rb_yaml *section, const char *key, int64_t min_ms,
                         int64_t max_ms, int64_t *ms, struct rb_errors *errors);
void rb_section_int(const struct rb_yaml *section, const char *key, int64_t min,
                    int64_t max, int64_t *value, struct rb_errors *errors);
void rb_section_bool(const struct rb_yaml *section, const char *key, bool *value,
                     struct rb_errors *errors);
/* "50" or "50%", from 1 to 100. */
void rb_section_percent(const struct rb_yaml *section, const char *key, int64_t *percent,
                        struct rb_errors *errors);

#endif
