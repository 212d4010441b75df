/* Writing commands as Redis reads them: arrays of bulk strings (RESP2,
 * https://redis.io/docs/reference/protocol-spec). Straight into a bounded buffer, without
 * an allocation a command. */
#ifndef RB_JOBS_REDIS_COMMAND_H
#define RB_JOBS_REDIS_COMMAND_H

#include "config/buffer.h"

/* Bytes that "$<len>\r\n…\r\n" or "*<n>\r\n" take at most beside the text itself. */
#define RB_REDIS_FRAME 25
#define RB_REDIS_DIGITS 20 /* of a number, at most */

/* All write at `to`, where there is room enough, and return the place behind. */
char *rb_redis_put_array(char *to, size_t count);
char *rb_redis_put_bulk(char *to, struct rb_text text);
char *rb_redis_put_number(char *to, size_t number); /* as a bulk string */

/* Appends a whole command or nothing. RB_NOMEM or RB_TOO_LARGE; neither sticks. */
RB_MUST_CHECK enum rb_status rb_redis_command_add(struct rb_buffer *out, size_t argc,
                                                  const struct rb_text *argv);

/* rb_buffer_reserve whose failure does not stick: NULL and the reason in *status. */
char *rb_redis_reserve(struct rb_buffer *out, size_t len, enum rb_status *status);

#endif
