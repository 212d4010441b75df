/* Borrowed text: pointer and length, not terminated. And the few readings of it that
 * every room needs: numbers, durations, sizes, the nearest of some words. */
#ifndef RB_CONFIG_TEXT_H
#define RB_CONFIG_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "config/status.h"

struct rb_text {
    const char *at; /* may be NULL when len is 0 */
    size_t len;
};

#define RB_TEXT(literal) ((struct rb_text){"" literal, sizeof(literal) - 1})

/* RB_TEXT_FMT and RB_TEXT_ARG print a text with printf: "%.*s". */
#define RB_TEXT_FMT "%.*s"
#define RB_TEXT_ARG(t) (int)((t).len > 4096 ? 4096 : (t).len), ((t).at ? (t).at : "")

static inline struct rb_text rb_text(const char *at, size_t len) {
    return (struct rb_text){at, len};
}

/* A NULL string gives the empty text. */
static inline struct rb_text rb_text_of(const char *string) {
    return (struct rb_text){string, string ? strlen(string) : 0};
}

static inline bool rb_text_equal(struct rb_text a, struct rb_text b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static inline bool rb_text_is(struct rb_text a, const char *string) {
    return rb_text_equal(a, rb_text_of(string));
}

bool rb_text_equal_nocase(struct rb_text a, struct rb_text b); /* ASCII only */
bool rb_text_starts(struct rb_text text, struct rb_text prefix);
struct rb_text rb_text_trim(struct rb_text text); /* spaces and tabs at both ends */

/* Takes the part before the first `separator` off the front of *rest; false when *rest
 * was at its end. "a,b" gives "a", then "b", then false; "" gives false at once, and so
 * nothing stands behind a separator at the end. */
bool rb_text_next(struct rb_text *rest, char separator, struct rb_text *part);

/* A heap copy with a NUL behind it; NULL when out of memory. The caller frees it. */
char *rb_text_copy(struct rb_text text);
void rb_text_lower(char *text); /* in place, ASCII only; NULL is legal */

/* The whole text must be the number. RB_INVALID on anything else and on overflow. */
RB_MUST_CHECK enum rb_status rb_text_int64(struct rb_text text, int64_t *value);
RB_MUST_CHECK enum rb_status rb_text_uint64(struct rb_text text, uint64_t *value);

/* "250ms", "2s", "1.5s", "5m", "1h", "7d" → milliseconds; a bare "0" is 0. RB_INVALID
 * else. */
RB_MUST_CHECK enum rb_status rb_text_duration_ms(struct rb_text text, int64_t *ms);

/* "4096", "256KiB", "1.5MiB", "2GiB", "64kB" (1000) → bytes. RB_INVALID else. */
RB_MUST_CHECK enum rb_status rb_text_bytes(struct rb_text text, int64_t *bytes);

/* true, false, yes, no, on, off. RB_INVALID on anything else. */
RB_MUST_CHECK enum rb_status rb_text_bool(struct rb_text text, bool *value);

/* The word nearest to `text` by edit distance, or NULL when none is near enough to be a
 * slip of the finger. words ends with NULL. */
const char *rb_text_nearest(struct rb_text text, const char *const *words);

/* True when the bytes are UTF-8 (RFC 3629): no surrogates, nothing overlong. */
bool rb_text_utf8(struct rb_text text);

/* Bytes of the well-formed UTF-8 sequence that the text starts with; 0 when there is
 * none. */
size_t rb_text_utf8_step(struct rb_text text);

/* Writes the first character of a non-empty text as it stands within a JSON string
 * (escaped where it must be; U+FFFD for a byte that is not UTF-8) and returns how many
 * bytes it took. */
#define RB_JSON_STEP 6
size_t rb_text_json_step(struct rb_text text, char out[RB_JSON_STEP], size_t *out_len);

#endif
