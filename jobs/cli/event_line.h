/* An event as a line for people, <time> <channel> <event> <json>, or as JSON alone. */
#ifndef RB_JOBS_CLI_EVENT_LINE_H
#define RB_JOBS_CLI_EVENT_LINE_H

#include <stdbool.h>

#include "config/buffer.h"

struct rb_event_line {
    bool json;     /* nothing but JSON, one object a line */
    bool terminal; /* it is shown on one: nothing may reach it that it would obey */
    bool colour;
};

/* How lines are written to stdout: a terminal gets colours, unless $NO_COLOR says
 * otherwise or it is a dumb one. */
struct rb_event_line rb_event_line_for_stdout(bool json);

/* Appends the line with its end; ms is unix time. */
void rb_event_line(const struct rb_event_line *style, struct rb_buffer *out,
                   struct rb_text channel, uint64_t ms, struct rb_text event,
                   struct rb_text json);

#endif
