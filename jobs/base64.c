/* Three bytes become four characters, and back. */
#include "jobs/base64.h"

static const char standard[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void encode(struct rb_buffer *out, struct rb_text bytes, const char *digits,
                   bool padded) {
    size_t groups = bytes.len / 3 + (bytes.len % 3 != 0);
    char *to = rb_buffer_reserve(out, groups > SIZE_MAX / 4 ? SIZE_MAX : groups * 4);
    if (!to)
        return;
    for (size_t i = 0; i < bytes.len; i += 3, to += 4) {
        size_t left = bytes.len - i;
        unsigned group = (unsigned)(unsigned char)bytes.at[i] << 16;
        if (left > 1)
            group |= (unsigned)(unsigned char)bytes.at[i + 1] << 8;
        if (left > 2)
            group |= (unsigned char)bytes.at[i + 2];
        to[0] = digits[group >> 18];
        to[1] = digits[group >> 12 & 63];
        to[2] = left > 1 ? digits[group >> 6 & 63] : '=';
        to[3] = left > 2 ? digits[group & 63] : '=';
    }
    size_t padding = bytes.len % 3 != 0 ? 3 - bytes.len % 3 : 0;
    rb_buffer_commit(out, groups * 4 - (padded ? 0 : padding));
}

void rb_base64(struct rb_buffer *out, struct rb_text bytes) {
    encode(out, bytes, standard, true);
}

void rb_base64url(struct rb_buffer *out, struct rb_text bytes) {
    encode(out, bytes, url, false);
}

/* The value of a digit of the URL alphabet, or -1. */
static int digit_of(char c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '-')
        return 62;
    return c == '_' ? 63 : -1;
}

enum rb_status rb_base64url_read(struct rb_text text, struct rb_buffer *out) {
    unsigned bits = 0, held = 0;
    size_t len = 0;
    if (text.len % 4 == 1)
        return RB_INVALID;
    char *to = rb_buffer_reserve(out, text.len / 4 * 3 + text.len % 4 * 3 / 4);
    if (!to)
        return out->status;
    for (size_t i = 0; i < text.len; i++) {
        int digit = digit_of(text.at[i]);
        if (digit < 0)
            return RB_INVALID;
        held = held << 6 | (unsigned)digit;
        bits += 6;
        if (bits < 8)
            continue;
        bits -= 8;
        to[len++] = (char)(held >> bits);
        held &= (1u << bits) - 1;
    }
    if (held != 0)
        return RB_INVALID;
    rb_buffer_commit(out, len);
    return RB_OK;
}
