/* The bounded builder: grows by doubling up to its ceiling, and remembers its first
 * failure. */
#include "config/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM 64

void rb_buffer_init(struct rb_buffer *b, size_t limit_bytes) {
    /* One below SIZE_MAX leaves the sum with the NUL within the type. */
    *b = (struct rb_buffer){.limit = limit_bytes < SIZE_MAX ? limit_bytes : SIZE_MAX - 1};
}

void rb_buffer_fini(struct rb_buffer *b) {
    free(b->at);
    rb_buffer_init(b, b->limit);
}

void rb_buffer_clear(struct rb_buffer *b) {
    b->len = 0;
    b->status = RB_OK;
    if (b->at)
        b->at[0] = '\0';
}

/* The ceiling may have been lowered since the room was made. */
static bool fits(const struct rb_buffer *b, size_t len) {
    return b->status == RB_OK && len < b->room - b->len && b->len + len <= b->limit;
}

char *rb_buffer_reserve(struct rb_buffer *b, size_t len) {
    if (fits(b, len))
        return b->at + b->len;
    if (b->status != RB_OK)
        return NULL;
    if (len > b->limit - b->len) {
        b->status = RB_TOO_LARGE;
        return NULL;
    }
    size_t needed = b->len + len + 1;
    if (needed > b->room) {
        size_t room = b->room > 0 ? b->room : FIRST_ROOM;
        while (room < needed)
            room = room > SIZE_MAX / 2 ? needed : room * 2;
        if (room > b->limit + 1)
            room = b->limit + 1;
        char *at = realloc(b->at, room);
        if (!at) {
            b->status = RB_NOMEM;
            return NULL;
        }
        b->at = at;
        b->room = room;
    }
    return b->at + b->len;
}

void rb_buffer_commit(struct rb_buffer *b, size_t len) {
    if (b->status != RB_OK || !b->at)
        return;
    b->len += len;
    b->at[b->len] = '\0';
}

void rb_buffer_add(struct rb_buffer *b, const void *bytes, size_t len) {
    char *to = rb_buffer_reserve(b, len);
    if (!to)
        return;
    if (len > 0)
        memcpy(to, bytes, len);
    rb_buffer_commit(b, len);
}

void rb_buffer_text(struct rb_buffer *b, struct rb_text text) {
    rb_buffer_add(b, text.at, text.len);
}

void rb_buffer_string(struct rb_buffer *b, const char *string) {
    rb_buffer_add(b, string, strlen(string));
}

void rb_buffer_char(struct rb_buffer *b, char c) {
    if (!fits(b, 1)) {
        rb_buffer_add(b, &c, 1);
        return;
    }
    b->at[b->len++] = c;
    b->at[b->len] = '\0';
}

static void add_number(struct rb_buffer *b, bool negative, uint64_t value) {
    char digits[21];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    if (negative)
        digits[--at] = '-';
    rb_buffer_add(b, digits + at, sizeof digits - at);
}

void rb_buffer_uint(struct rb_buffer *b, uint64_t value) { add_number(b, false, value); }

void rb_buffer_int(struct rb_buffer *b, int64_t value) {
    add_number(b, value < 0, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void rb_buffer_printf(struct rb_buffer *b, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    char *to = len < 0 ? NULL : rb_buffer_reserve(b, (size_t)len);
    if (to) {
        vsnprintf(to, (size_t)len + 1, format, again);
        rb_buffer_commit(b, (size_t)len);
    } else if (len < 0 && b->status == RB_OK) {
        b->status = RB_NOMEM;
    }
    va_end(again);
    va_end(args);
}

static bool plain(unsigned char c) {
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

void rb_buffer_json(struct rb_buffer *b, struct rb_text text) {
    size_t before = b->len;
    rb_buffer_char(b, '"');
    for (size_t i = 0; i < text.len && b->status == RB_OK;) {
        size_t run = i;
        while (run < text.len && plain((unsigned char)text.at[run]))
            run++;
        if (run > i) {
            rb_buffer_add(b, text.at + i, run - i);
            i = run;
            continue;
        }
        char out[RB_JSON_STEP];
        size_t len;
        i += rb_text_json_step(rb_text(text.at + i, text.len - i), out, &len);
        rb_buffer_add(b, out, len);
    }
    rb_buffer_char(b, '"');
    /* All or nothing, like every other add. */
    if (b->status != RB_OK && b->len != before) {
        b->len = before;
        b->at[before] = '\0';
    }
}

void rb_buffer_consume(struct rb_buffer *b, size_t len) {
    if (len == 0 || !b->at)
        return;
    if (len > b->len)
        len = b->len;
    memmove(b->at, b->at + len, b->len - len);
    b->len -= len;
    b->at[b->len] = '\0';
}

char *rb_buffer_detach(struct rb_buffer *b, size_t *len) {
    rb_buffer_add(b, "", 0); /* an empty buffer gives an empty string */
    if (b->status != RB_OK)
        return NULL;
    char *at = b->at;
    if (len)
        *len = b->len;
    rb_buffer_init(b, b->limit);
    return at;
}
