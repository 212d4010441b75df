/* A job on its way: the bytes that the web app pushed, behind one line of what the
 * workers know of it. Lists `retry`, `due`, `held` and `dead` hold envelopes; `queue`
 * holds bare jobs.
 *
 *     rb1 id=9f2c…-17 queue=default deliveries=1 at=1700000000000 [more=…]\n{"service":…
 *
 * Fields are separated by one space; their order is free; unknown ones are kept. In a
 * value, bytes below 0x21, '%', '=' and 0x7f and above are percent-encoded (RFC 3986
 * §2.1); id and queue are names (name.h) and stand as they are. The Lua scripts read and
 * write the same line. */
#ifndef RB_JOBS_ENVELOPE_H
#define RB_JOBS_ENVELOPE_H

#include <stdbool.h>
#include <stdint.h>

#include "config/buffer.h"
#include "config/status.h"

/* Borrowed from the envelope's text. */
struct rb_envelope {
    struct rb_text fields; /* the whole first line behind "rb1 ", without the newline */
    struct rb_text id; /* made at the first claim; the job's id when it has none itself */
    struct rb_text queue;
    int64_t deliveries; /* how often it was handed to a worker before this time */
    int64_t attempts;   /* calls made so far, by retries that were parked */
    int64_t at;         /* unix ms of the first claim */
    int64_t until;      /* unix ms when the time of all its calls ends; 0: not begun */
    struct rb_text job; /* the bytes that were pushed, whatever they are */
};

/* RB_INVALID when the line is not an envelope's: id or queue missing, twice or no names,
 * a count that is none, a field without a value. *envelope is then empty. */
RB_MUST_CHECK enum rb_status rb_envelope_parse(struct rb_text text,
                                               struct rb_envelope *envelope);

/* Any field by name, still percent-encoded; false when absent. */
bool rb_envelope_field(const struct rb_envelope *envelope, const char *name,
                       struct rb_text *value);

/* Writes "rb1 " + fields known here + newline + job. Unknown fields are not copied;
 * attempts is left out when 0. */
void rb_envelope_write(struct rb_buffer *out, const struct rb_envelope *envelope);

/* Percent-encodes and decodes one value. RB_INVALID on a broken escape. */
void rb_envelope_encode(struct rb_buffer *out, struct rb_text value);
RB_MUST_CHECK enum rb_status rb_envelope_decode(struct rb_buffer *out,
                                                struct rb_text value);

#endif
