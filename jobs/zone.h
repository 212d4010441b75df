/* Time zones by their IANA name, read from the system's TZif files (RFC 8536). libc knows
 * one zone a process (TZ), and changing it for a moment is a race; this reader has no
 * state. */
#ifndef RB_JOBS_ZONE_H
#define RB_JOBS_ZONE_H

#include <stdint.h>

#include "config/status.h"
#include "config/text.h"

struct rb_zone;

#define RB_ZONE_FOLDER "/usr/share/zoneinfo"

/* "Europe/Berlin"; "UTC" needs no file. RB_INVALID when the name can't be one, or the
 * file breaks its format; RB_NOT_FOUND without such a file; RB_SYSTEM, RB_NOMEM. */
RB_MUST_CHECK enum rb_status rb_zone_load(const char *folder, struct rb_text name,
                                          struct rb_zone **zone);
/* The bytes of a TZif file. RB_INVALID or RB_NOMEM. */
RB_MUST_CHECK enum rb_status rb_zone_parse(struct rb_text bytes, struct rb_zone **zone);
void rb_zone_free(struct rb_zone *zone);

/* A stretch of time with one offset: local = unix + offset_s. */
struct rb_zone_span {
    int64_t start_s; /* unix, included; INT64_MIN = always */
    int64_t end_s;   /* unix, not included; INT64_MAX = for ever */
    int32_t offset_s;
};

/* The span that holds the moment. Neighbours may have the same offset (a zone changed its
 * name alone). */
struct rb_zone_span rb_zone_at(const struct rb_zone *zone, int64_t unix_s);

#endif
