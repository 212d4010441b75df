/* Writing HTTP/1.1 responses and problem details (RFC 9112, RFC 9457). */
#ifndef RB_NOTIFIER_HTTP_RESPONSE_H
#define RB_NOTIFIER_HTTP_RESPONSE_H

#include <stdbool.h>
#include <stdint.h>

#include "config/buffer.h"
#include "config/text.h"

/* "Not Found"; "Unknown" for codes we never send. */
const char *rb_http_reason(int status);

/* The line "Date: …" with its CRLF (RFC 9110 §5.6.7 and §6.6.1). */
#define RB_HTTP_DATE_LEN 37
struct rb_text rb_http_date(int64_t unix_s, char out[RB_HTTP_DATE_LEN + 1]);

/* The head: status line, `date` (as rb_http_date makes it, or ""), then `fields` (whole
 * lines, each with CRLF; may be ""). body_len < 0: no Content-Length (a stream: the
 * caller says Transfer-Encoding itself in `fields`). 204 and 304 never get one. */
void rb_http_head(struct rb_buffer *out, int status, const char *content_type,
                  int64_t body_len, bool keep_alive, struct rb_text date,
                  struct rb_text fields);

/* Head and body in one. head_only (HEAD): the length of the body, not the body; an empty
 * one is one that is not known. */
void rb_http_answer(struct rb_buffer *out, int status, const char *content_type,
                    struct rb_text body, bool keep_alive, bool head_only,
                    struct rb_text date, struct rb_text fields);

/* application/problem+json: {"type":"about:blank","title","status","detail"}. */
void rb_http_problem(struct rb_buffer *out, int status, const char *detail,
                     bool keep_alive, bool head_only, struct rb_text date,
                     struct rb_text fields);

/* One chunk of a chunked body; an empty text is the last chunk. */
void rb_http_chunk(struct rb_buffer *out, struct rb_text data);

#endif
