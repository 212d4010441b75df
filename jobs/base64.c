/* Three bytes become four characters. */
#include "jobs/base64.h"

void rb_base64(struct rb_buffer *out, struct rb_text bytes) {
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
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
    rb_buffer_commit(out, groups * 4);
}
