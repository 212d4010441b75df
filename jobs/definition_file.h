/* Files that a definition names: a path (a relative one starts at the definition's own
 * folder), or what systemd's LoadCredential= hands over (systemd.exec(5)). */
#ifndef RB_JOBS_DEFINITION_FILE_H
#define RB_JOBS_DEFINITION_FILE_H

#include "config/buffer.h"
#include "jobs/definition_section.h"

enum rb_file_kind { RB_FILE_PATH, RB_FILE_CREDENTIAL };

/* Reads the file that the node names, at most max_bytes, into *content, which is
 * initialized here and is the caller's to _forget, whatever is returned. False when it
 * could not be read; an error was added at the node. */
bool rb_definition_read_file(struct rb_reading *r, const struct rb_yaml *source,
                             enum rb_file_kind kind, size_t max_bytes,
                             struct rb_buffer *content);
/* Wipes it and gives the memory back. */
void rb_definition_forget(struct rb_buffer *content);

#endif
