/* A bounded builder: bytes are added, the ceiling given at birth holds, and the first
 * failure sticks, so that a writer adds a hundred pieces and checks once. */
#ifndef RB_CONFIG_BUFFER_H
#define RB_CONFIG_BUFFER_H

#include <stdint.h>

#include "config/status.h"
#include "config/text.h"

struct rb_buffer {
    char *at; /* always has room for a NUL at at[len] once anything was added */
    size_t len;
    size_t room;
    size_t limit;          /* bytes, without the NUL */
    enum rb_status status; /* RB_OK, RB_NOMEM or RB_TOO_LARGE; sticks until _clear */
};

void rb_buffer_init(struct rb_buffer *b, size_t limit_bytes); /* allocates nothing */
void rb_buffer_fini(struct rb_buffer *b);

/* Keeps the memory, forgets the bytes and the failure. */
void rb_buffer_clear(struct rb_buffer *b);

/* Each adds all of it or, when that fails, nothing. */
void rb_buffer_add(struct rb_buffer *b, const void *bytes, size_t len);
void rb_buffer_text(struct rb_buffer *b, struct rb_text text);
void rb_buffer_string(struct rb_buffer *b, const char *string);
void rb_buffer_char(struct rb_buffer *b, char c);
void rb_buffer_int(struct rb_buffer *b, int64_t value);
void rb_buffer_uint(struct rb_buffer *b, uint64_t value);
void rb_buffer_printf(struct rb_buffer *b, const char *format, ...) RB_PRINTF(2, 3);

/* The text as a JSON string with its quotes (RFC 8259 §7). Bytes that are not UTF-8
 * become U+FFFD, so that the result is always valid JSON. */
void rb_buffer_json(struct rb_buffer *b, struct rb_text text);

/* Makes room for `len` more bytes and returns where they go, or NULL (status set). The
 * caller writes up to len bytes there and then calls _commit with how many it wrote. */
char *rb_buffer_reserve(struct rb_buffer *b, size_t len);
void rb_buffer_commit(struct rb_buffer *b, size_t len);

/* Drops the first `len` bytes. */
void rb_buffer_consume(struct rb_buffer *b, size_t len);

static inline struct rb_text rb_buffer_view(const struct rb_buffer *b) {
    return (struct rb_text){b->at, b->len};
}

/* Hands the NUL-terminated bytes to the caller, who frees them; the buffer is empty
 * after. NULL when the buffer failed. */
char *rb_buffer_detach(struct rb_buffer *b, size_t *len);

#endif
