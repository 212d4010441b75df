/* Files of configuration, read as a whole: regular ones only, so that a pipe or a device
 * in their place is told, and never waited for. */
#ifndef RB_CONFIG_FILE_H
#define RB_CONFIG_FILE_H

#include <stddef.h>

#include "config/buffer.h"
#include "config/status.h"

/* A descriptor to read from, or -1; *why then says why not, as the end of a sentence
 * ("can't be read: …"), until the next call of anything that sets errno. */
int rb_file_open(const char *path, const char **why);

/* Appends what is in the file. `content` must have room for max_bytes and
 * RB_FILE_STEP_BYTES more. RB_OK, RB_SYSTEM (*why as above), RB_TOO_LARGE (more than
 * max_bytes), RB_NOMEM. */
#define RB_FILE_STEP_BYTES 4096
RB_MUST_CHECK enum rb_status rb_file_read(const char *path, size_t max_bytes,
                                          struct rb_buffer *content, const char **why);

#endif
