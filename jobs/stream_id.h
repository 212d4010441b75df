/* The id of an entry in a Redis stream, "<ms>-<seq>", which is also the id of an event
 * and a client's cursor. 0-0 stands before the first entry. */
#ifndef RB_JOBS_STREAM_ID_H
#define RB_JOBS_STREAM_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "config/status.h"
#include "config/text.h"

struct rb_stream_id {
    uint64_t ms;
    uint64_t seq;
};

#define RB_STREAM_ID_MAX 41 /* characters, without the NUL */

/* The whole text must be "<ms>-<seq>", decimal, no signs, no leading zeros: RB_INVALID.
 */
RB_MUST_CHECK enum rb_status rb_stream_id_parse(struct rb_text text,
                                                struct rb_stream_id *id);
/* Writes at most RB_STREAM_ID_MAX characters and a NUL; returns how many characters. */
size_t rb_stream_id_write(struct rb_stream_id id, char out[RB_STREAM_ID_MAX + 1]);

static inline int rb_stream_id_compare(struct rb_stream_id a, struct rb_stream_id b) {
    if (a.ms != b.ms)
        return a.ms < b.ms ? -1 : 1;
    return a.seq < b.seq ? -1 : a.seq > b.seq;
}

static inline bool rb_stream_id_is_zero(struct rb_stream_id id) {
    return id.ms == 0 && id.seq == 0;
}

#endif
