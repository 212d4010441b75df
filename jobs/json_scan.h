/* Reading JSON (RFC 8259) in place: is it valid, and where in it is a value. Nothing is
 * copied, so that what passes through keeps its bytes: digits of numbers, order and
 * duplicates of members. Strict: UTF-8 only, no byte order mark, nothing behind the
 * value. Iterative, in constant memory; nesting beyond RB_JSON_DEPTH is refused. */
#ifndef RB_JOBS_JSON_SCAN_H
#define RB_JOBS_JSON_SCAN_H

#include <stdbool.h>

#include "config/buffer.h"
#include "config/status.h"
#include "config/text.h"

/* As deep as PHP's json_decode goes by default: what is deeper, many readers refuse. */
#define RB_JSON_DEPTH 512

/* The whole text must be one value: RB_OK, or RB_INVALID with a sentence that tells the
 * byte (from 1) and what was expected there. error may be NULL. */
RB_MUST_CHECK enum rb_status rb_json_check(struct rb_text json, struct rb_error *error);

/* Goes through the members of an object or the elements of an array, checking as it
 * goes. */
struct rb_json_walk {
    struct rb_text rest;
    char end;     /* '}' or ']' */
    bool started; /* something was taken: a comma comes before the next */
};

/* RB_INVALID when the text does not begin with '{' or '['. */
RB_MUST_CHECK enum rb_status rb_json_walk(struct rb_text json, struct rb_json_walk *walk);

/* The next one: key is the JSON string with its quotes (empty in an array), value the
 * value's bytes. RB_OK, RB_NOT_FOUND behind the last (walk->rest is what follows the
 * closing bracket and space), RB_INVALID. */
RB_MUST_CHECK enum rb_status rb_json_next(struct rb_json_walk *walk, struct rb_text *key,
                                          struct rb_text *value);

/* Is the JSON string (with its quotes), once read, this text? False when it is none. */
bool rb_json_string_is(struct rb_text string, struct rb_text text);

/* The bytes between the quotes of a string in which nothing is escaped; false else. */
bool rb_json_plain_string(struct rb_text value, struct rb_text *text);

/* Appends checked JSON as one line: line ends between tokens become spaces, all other
 * bytes stay. (Within strings a raw line end is not JSON.) */
void rb_json_line(struct rb_buffer *out, struct rb_text json);

#endif
