/* Escaping a value for the place where it is put (enum rb_place of template.h). */
#ifndef RB_JOBS_ESCAPE_H
#define RB_JOBS_ESCAPE_H

#include "config/buffer.h"
#include "jobs/template.h"

/* Appends the UTF-8 text escaped for `place`. NULL, or what of it can't stand there: a
 * phrase that follows "must not hold". */
const char *rb_escape(struct rb_buffer *out, enum rb_place place, struct rb_text text);

#endif
