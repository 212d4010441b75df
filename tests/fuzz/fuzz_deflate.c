/* permessage-deflate: offers, messages that claim to be compressed, and there and back.
 */
#include <stdint.h>
#include <stdlib.h>

#include "notifier/deflate.h"

#define MAX_MESSAGE 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void offer(struct rb_text text) {
    struct rb_deflate_terms terms = rb_deflate_choose_of(text);
    if (terms.window != 0 && (terms.window < 8 || terms.window > 15))
        abort();
    if (!terms.named && terms.window != 0 && terms.window != 15)
        abort();
}

/* What is not whole stays so, and never is it more than allowed. */
static void restore(struct rb_deflate *deflate, struct rb_text packed) {
    struct rb_text small, large;
    enum rb_status few = rb_deflate_restore(deflate, packed, MAX_MESSAGE / 16, &small);
    if (few == RB_OK && small.len > MAX_MESSAGE / 16)
        abort();
    enum rb_status many = rb_deflate_restore(deflate, packed, MAX_MESSAGE, &large);
    if (many == RB_OK && large.len > MAX_MESSAGE)
        abort();
    if ((few == RB_OK) != (many == RB_OK && large.len <= MAX_MESSAGE / 16))
        abort();
}

static void there_and_back(struct rb_deflate *deflate, struct rb_text plain) {
    struct rb_buffer frame;
    struct rb_text got;
    rb_buffer_init(&frame, plain.len + RB_WS_HEADER_MAX);
    rb_deflate_frame(deflate, &frame, RB_WS_BINARY, plain);
    if (frame.status != RB_OK)
        abort();
    size_t head = (unsigned char)frame.at[1] < 126    ? 2
                  : (unsigned char)frame.at[1] == 126 ? 4
                                                      : 10;
    got = rb_text(frame.at + head, frame.len - head);
    if (((unsigned char)frame.at[0] & 0x40) != 0 &&
        rb_deflate_restore(deflate, got, plain.len, &got) != RB_OK)
        abort();
    if (!rb_text_equal(got, plain))
        abort();
    rb_buffer_fini(&frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct rb_deflate *deflate; /* one for all, as in the process */
    struct rb_text text = rb_text((const char *)data, size);
    if (!deflate && !(deflate = rb_deflate_new()))
        abort();
    if (size == 0)
        return 0;
    offer(text);
    restore(deflate, text);
    there_and_back(deflate, text);
    return 0;
}
