/* What a template is made of: for template.c, which makes it, and template_render.c. */
#ifndef RB_JOBS_TEMPLATE_PIECE_H
#define RB_JOBS_TEMPLATE_PIECE_H

#include "jobs/template.h"

enum rb_piece_kind {
    RB_PIECE_LITERAL,
    RB_PIECE_PARAM,
    RB_PIECE_SECRET,
    RB_PIECE_JOB_ID,
    RB_PIECE_SERVICE,
    RB_PIECE_CHANNEL
};

struct rb_piece {
    enum rb_piece_kind kind;
    enum rb_place place; /* the template's, or the filter's */
    bool filtered;
    char *text; /* what is written, or the name */
    size_t len;
};

struct rb_template {
    enum rb_place place;
    struct rb_piece *pieces;
    size_t count;
};

/* Appends a value escaped for the piece's place; RB_INVALID as rb_template_render. */
RB_MUST_CHECK enum rb_status rb_piece_put(const struct rb_piece *piece,
                                          const json_t *value, struct rb_buffer *out,
                                          struct rb_error *error);

#endif
