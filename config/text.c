/* Reading of borrowed text: comparing, splitting, numbers, durations, sizes, UTF-8. */
#include "config/text.h"

#include <stdlib.h>

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

bool rb_text_equal_nocase(struct rb_text a, struct rb_text b) {
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (a.at[i] != b.at[i] && lower(a.at[i]) != lower(b.at[i]))
            return false;
    return true;
}

bool rb_text_starts(struct rb_text text, struct rb_text prefix) {
    return text.len >= prefix.len &&
           (prefix.len == 0 || memcmp(text.at, prefix.at, prefix.len) == 0);
}

struct rb_text rb_text_trim(struct rb_text text) {
    while (text.len > 0 && (text.at[0] == ' ' || text.at[0] == '\t')) {
        text.at++;
        text.len--;
    }
    while (text.len > 0 &&
           (text.at[text.len - 1] == ' ' || text.at[text.len - 1] == '\t'))
        text.len--;
    return text;
}

bool rb_text_next(struct rb_text *rest, char separator, struct rb_text *part) {
    if (rest->len == 0)
        return false;
    const char *end = memchr(rest->at, separator, rest->len);
    size_t len = end ? (size_t)(end - rest->at) : rest->len;
    *part = rb_text(rest->at, len);
    size_t used = end ? len + 1 : len;
    *rest = rb_text(rest->at + used, rest->len - used);
    return true;
}

char *rb_text_copy(struct rb_text text) {
    char *copy = malloc(text.len + 1);
    if (!copy)
        return NULL;
    if (text.len > 0)
        memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    return copy;
}

void rb_text_lower(char *text) {
    for (; text && *text; text++)
        *text = lower(*text);
}

enum rb_status rb_text_uint64(struct rb_text text, uint64_t *value) {
    if (text.len == 0)
        return RB_INVALID;
    uint64_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return RB_INVALID;
        unsigned digit = (unsigned)(text.at[i] - '0');
        /* Nineteen digits always fit. */
        if (i >= 19 && n > (UINT64_MAX - digit) / 10)
            return RB_INVALID;
        n = n * 10 + digit;
    }
    *value = n;
    return RB_OK;
}

enum rb_status rb_text_int64(struct rb_text text, int64_t *value) {
    bool negative = text.len > 0 && text.at[0] == '-';
    if (negative)
        text = rb_text(text.at + 1, text.len - 1);
    uint64_t n;
    if (rb_text_uint64(text, &n) != RB_OK || n > (uint64_t)INT64_MAX + negative)
        return RB_INVALID;
    /* -(n - 1) - 1 reaches INT64_MIN without leaving the type. */
    *value = !negative ? (int64_t)n : n == 0 ? 0 : -(int64_t)(n - 1) - 1;
    return RB_OK;
}

struct unit {
    const char *name;
    int64_t factor;
};

/* "1.5" in units of `factor`. What is no whole number of the smallest unit is refused, so
 * that nothing is rounded behind the operator's back. */
static enum rb_status scale(struct rb_text number, int64_t factor, int64_t *value) {
    struct rb_text rest = number, whole_text, fraction_text = {NULL, 0};
    uint64_t whole, fraction = 0;
    uint64_t unit = (uint64_t)factor, divisor = 1;

    if (!rb_text_next(&rest, '.', &whole_text) ||
        rb_text_uint64(whole_text, &whole) != RB_OK)
        return RB_INVALID;
    if (whole_text.len < number.len) {
        fraction_text = rest;
        if (fraction_text.len > 6 || rb_text_uint64(fraction_text, &fraction) != RB_OK)
            return RB_INVALID;
        for (size_t i = 0; i < fraction_text.len; i++)
            divisor *= 10;
    }
    /* Six digits times the largest factor (2^40) stay below 2^64. */
    if (fraction * unit % divisor != 0)
        return RB_INVALID;
    uint64_t part = fraction * unit / divisor;
    if (whole > ((uint64_t)INT64_MAX - part) / unit)
        return RB_INVALID;
    *value = (int64_t)(whole * unit + part);
    return RB_OK;
}

static enum rb_status with_unit(struct rb_text text, const struct unit *units,
                                int64_t *value) {
    size_t digits = 0;
    while (digits < text.len &&
           ((text.at[digits] >= '0' && text.at[digits] <= '9') || text.at[digits] == '.'))
        digits++;
    struct rb_text number = rb_text(text.at, digits);
    struct rb_text unit = rb_text(text.at + digits, text.len - digits);
    for (; units->name; units++)
        if (rb_text_is(unit, units->name))
            return scale(number, units->factor, value);
    return RB_INVALID;
}

enum rb_status rb_text_duration_ms(struct rb_text text, int64_t *ms) {
    static const struct unit units[] = {
        {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {NULL, 0},
    };
    if (rb_text_is(text, "0")) {
        *ms = 0;
        return RB_OK;
    }
    return text.len == 0 ? RB_INVALID : with_unit(text, units, ms);
}

enum rb_status rb_text_bytes(struct rb_text text, int64_t *bytes) {
    static const struct unit units[] = {
        {"", 1},
        {"B", 1},
        {"kB", 1000},
        {"MB", 1000000},
        {"GB", 1000000000},
        {"KiB", 1024},
        {"MiB", 1024 * 1024},
        {"GiB", 1024 * 1024 * 1024},
        {"TiB", INT64_C(1024) * 1024 * 1024 * 1024},
        {NULL, 0},
    };
    return text.len == 0 ? RB_INVALID : with_unit(text, units, bytes);
}

enum rb_status rb_text_bool(struct rb_text text, bool *value) {
    static const char *const yes[] = {"true", "yes", "on"};
    static const char *const no[] = {"false", "no", "off"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        bool is_yes = rb_text_is(text, yes[i]);
        if (is_yes || rb_text_is(text, no[i])) {
            *value = is_yes;
            return RB_OK;
        }
    }
    return RB_INVALID;
}

#define NEAREST_MAX 64

static unsigned least(unsigned a, unsigned b) { return a < b ? a : b; }

/* Optimal string alignment: insert, delete, replace, and swap of two neighbours count one
 * each; upper and lower case are the same. Both texts are at most NEAREST_MAX long. */
static unsigned distance(struct rb_text a, struct rb_text b) {
    unsigned rows[3][NEAREST_MAX + 1];
    unsigned *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b.len; j++)
        above[j] = before[j] = (unsigned)j;
    for (size_t i = 1; i <= a.len; i++) {
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b.len; j++) {
            unsigned differs = lower(a.at[i - 1]) != lower(b.at[j - 1]);
            row[j] = least(least(above[j] + 1, row[j - 1] + 1), above[j - 1] + differs);
            if (i > 1 && j > 1 && lower(a.at[i - 1]) == lower(b.at[j - 2]) &&
                lower(a.at[i - 2]) == lower(b.at[j - 1]))
                row[j] = least(row[j], before[j - 2] + 1);
        }
        unsigned *spare = before;
        before = above;
        above = row;
        row = spare;
    }
    return above[b.len];
}

const char *rb_text_nearest(struct rb_text text, const char *const *words) {
    if (text.len == 0 || text.len > NEAREST_MAX)
        return NULL;
    /* A third of the word may be wrong, at least one letter and at most three. */
    unsigned limit = text.len < 6 ? 1 : text.len < 9 ? 2 : 3;
    const char *nearest = NULL;
    for (; *words; words++) {
        struct rb_text word = rb_text_of(*words);
        if (word.len > NEAREST_MAX)
            continue;
        unsigned d = distance(text, word);
        if (d <= limit && d < text.len) {
            nearest = *words;
            if (d == 0)
                break;
            limit = d - 1;
        }
    }
    return nearest;
}

size_t rb_text_utf8_step(struct rb_text text) {
    if (text.len == 0)
        return 0;
    const unsigned char *s = (const unsigned char *)text.at;
    if (s[0] < 0x80)
        return 1;
    /* Table 3-7 of the Unicode standard: the second byte's range depends on the first. */
    size_t len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || text.len < len)
        return 0;
    unsigned char low = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
    if (s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if (s[i] < 0x80 || s[i] > 0xbf)
            return 0;
    return len;
}

/* How many bytes at the front are ASCII for sure; eight are looked at in one go. */
static size_t ascii_words(struct rb_text text) {
    size_t len = 0;
    uint64_t word;
    for (; len + sizeof word <= text.len; len += sizeof word) {
        memcpy(&word, text.at + len, sizeof word);
        if (word & UINT64_C(0x8080808080808080))
            break;
    }
    return len;
}

bool rb_text_utf8(struct rb_text text) {
    while (text.len > 0) {
        size_t step = ascii_words(text);
        if (step == 0)
            step = rb_text_utf8_step(text);
        if (step == 0)
            return false;
        text = rb_text(text.at + step, text.len - step);
    }
    return true;
}

size_t rb_text_json_step(struct rb_text text, char out[RB_JSON_STEP], size_t *out_len) {
    static const char hex[] = "0123456789abcdef";
    static const char named[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    unsigned char c = (unsigned char)text.at[0];
    size_t step = rb_text_utf8_step(text);

    for (const char *n = named; c < 0x80 && *n; n += 2) {
        if ((unsigned char)*n == c) {
            out[0] = '\\';
            out[1] = n[1];
            *out_len = 2;
            return 1;
        }
    }
    /* RFC 8259 asks for the first 32 only; DEL and U+0080…U+009F would steer a terminal.
     */
    bool c1 = step == 2 && c == 0xc2 && (unsigned char)text.at[1] < 0xa0;
    if (c < 0x20 || c == 0x7f || c1) {
        unsigned char code = c1 ? (unsigned char)text.at[1] : c;
        memcpy(out, "\\u00", 4);
        out[4] = hex[code >> 4];
        out[5] = hex[code & 15];
        *out_len = 6;
        return step;
    }
    if (step == 0) {
        memcpy(out, "\xef\xbf\xbd", 3);
        *out_len = 3;
        return 1;
    }
    memcpy(out, text.at, step);
    *out_len = step;
    return step;
}
