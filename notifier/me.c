/* Names of private channels. */
#include "notifier/me.h"

#include <string.h>

#include "config/process.h"
#include "jobs/base64.h"

#define PREFIX "me:"
#define PREFIX_LEN (sizeof PREFIX - 1)

void rb_me_make(char out[RB_ME_LEN + 1]) {
    const uint64_t bits[2] = {rb_process_random(), rb_process_random()};
    struct rb_buffer name;
    memcpy(out, PREFIX, PREFIX_LEN);
    rb_buffer_init(&name, RB_ME_LEN);
    rb_base64url(&name, rb_text((const char *)bits, sizeof bits));
    if (name.len == RB_ME_LEN - PREFIX_LEN)
        memcpy(out + PREFIX_LEN, name.at, name.len);
    else /* no memory: as many random digits of another kind */
        rb_process_random_hex(out + PREFIX_LEN, (RB_ME_LEN - PREFIX_LEN) / 2);
    out[RB_ME_LEN] = '\0';
    rb_buffer_fini(&name);
}

bool rb_me_is(struct rb_text name) {
    if (name.len != RB_ME_LEN || !rb_text_starts(name, rb_text_of(PREFIX)))
        return false;
    for (size_t i = PREFIX_LEN; i < name.len; i++) {
        char c = name.at[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
              (c >= '0' && c <= '9') || c == '-' || c == '_'))
            return false;
    }
    return true;
}
