/* One line of a batch of events: {"channel":"c","event":"name","data":…}. */
#ifndef RB_JOBS_PUBLISH_LINE_H
#define RB_JOBS_PUBLISH_LINE_H

#include "config/status.h"
#include "config/text.h"
#include "jobs/name.h"

struct rb_publish_line {
    char channel[RB_CHANNEL_MAX + 1];
    char event[RB_NAME_MAX + 1]; /* "message" where none is named */
    struct rb_text data;         /* JSON, within the line; "null" where there is none */
};

/* RB_INVALID with a sentence in *error. */
RB_MUST_CHECK enum rb_status rb_publish_line_parse(struct rb_text line,
                                                   struct rb_publish_line *parsed,
                                                   struct rb_error *error);

/* NULL when an app may publish an event of that name, else a sentence. */
const char *rb_publish_event_problem(struct rb_text name);

/* Takes the next line that is not blank off the front of *rest, without its end; `number`
 * is counted up by each line that is gone through. False behind the last. */
bool rb_publish_line_next(struct rb_text *rest, size_t *number, struct rb_text *line);

#endif
