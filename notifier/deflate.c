/* One deflater and one inflater, made when first needed and begun anew for each message.
 */
#include "notifier/deflate.h"

#include <stdlib.h>
#include <string.h>

#define ZLIB_CONST
#include <zlib.h>

#define WINDOW_MAX 15
#define MEMORY_LEVEL 8
#define STEP ((size_t)16 * 1024)        /* of what is restored */
#define BUFFER_KEPT ((size_t)64 * 1024) /* between two messages */

/* Ends each compressed message and is not sent (RFC 7692 §7.2.1). */
static const char tail[4] = {'\x00', '\x00', '\xff', '\xff'};

struct rb_deflate {
    z_stream packer, unpacker;
    bool packs, unpacks; /* it is made */
    struct rb_buffer packed, restored;
};

struct rb_deflate *rb_deflate_new(void) {
    return calloc(1, sizeof(struct rb_deflate));
}

void rb_deflate_free(struct rb_deflate *d) {
    if (!d)
        return;
    if (d->packs)
        deflateEnd(&d->packer);
    if (d->unpacks)
        inflateEnd(&d->unpacker);
    rb_buffer_fini(&d->packed);
    rb_buffer_fini(&d->restored);
    free(d);
}

bool rb_deflate_suits(unsigned window, size_t len) {
    return window > 0 && len >= RB_DEFLATE_MIN && len <= (size_t)1 << window;
}

static void begin(struct rb_buffer *b, size_t limit) {
    if (b->room > BUFFER_KEPT)
        rb_buffer_fini(b);
    rb_buffer_clear(b);
    b->limit = limit;
}

static bool make_packer(struct rb_deflate *d) {
    if (d->packs)
        return deflateReset(&d->packer) == Z_OK;
    d->packs = deflateInit2(&d->packer, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -WINDOW_MAX,
                            MEMORY_LEVEL, Z_DEFAULT_STRATEGY) == Z_OK;
    return d->packs;
}

/* False when it would not be shorter. */
static bool pack(struct rb_deflate *d, struct rb_text message, struct rb_text *packed) {
    size_t room = message.len + sizeof tail;
    if (message.len > UINT32_MAX / 2 || !make_packer(d))
        return false;
    begin(&d->packed, room);
    char *to = rb_buffer_reserve(&d->packed, room);
    if (!to)
        return false;
    z_stream *z = &d->packer;
    z->next_in = (const Bytef *)message.at;
    z->avail_in = (uInt)message.len;
    z->next_out = (Bytef *)to;
    z->avail_out = (uInt)room;
    /* Without room left the flush may not be whole. */
    if (deflate(z, Z_SYNC_FLUSH) != Z_OK || z->avail_in > 0 || z->avail_out == 0)
        return false;
    rb_buffer_commit(&d->packed, room - z->avail_out);
    *packed = rb_buffer_view(&d->packed);
    if (packed->len <= sizeof tail ||
        memcmp(packed->at + packed->len - sizeof tail, tail, sizeof tail) != 0)
        return false;
    packed->len -= sizeof tail;
    return packed->len < message.len;
}

void rb_deflate_frame(struct rb_deflate *d, struct rb_buffer *out,
                      enum rb_ws_opcode opcode, struct rb_text message) {
    struct rb_text packed;
    if (pack(d, message, &packed))
        rb_ws_compressed_frame(out, opcode, packed);
    else
        rb_ws_frame(out, opcode, message);
}

static bool make_unpacker(struct rb_deflate *d) {
    if (d->unpacks)
        return inflateReset(&d->unpacker) == Z_OK;
    d->unpacks = inflateInit2(&d->unpacker, -WINDOW_MAX) == Z_OK;
    return d->unpacks;
}

/* Where the inflater stands behind the bytes it was fed. */
enum place { WITHIN, BETWEEN_BLOCKS, BEHIND_THE_LAST };

/* One call of inflate. A block that calls itself the last ends a stream, not the message:
 * another stream may follow (RFC 7692 §7.2.3.4). */
static enum rb_status step(z_stream *z, enum place *place, bool *stuck) {
    int result = inflate(z, Z_SYNC_FLUSH);
    if (result == Z_STREAM_END) {
        *place = BEHIND_THE_LAST;
        return inflateReset(z) == Z_OK ? RB_OK : RB_NOMEM;
    }
    if (result == Z_OK)
        *place = (z->data_type & 128) != 0 ? BETWEEN_BLOCKS : WITHIN;
    *stuck = result == Z_BUF_ERROR;
    return result == Z_OK || *stuck ? RB_OK
           : result == Z_MEM_ERROR  ? RB_NOMEM
                                    : RB_INVALID;
}

/* The limit of d->restored is one beyond what is allowed, so that the byte too many is
 * seen. */
static enum rb_status unpack(struct rb_deflate *d, struct rb_text bytes,
                             enum place *place) {
    z_stream *z = &d->unpacker;
    struct rb_buffer *to = &d->restored;
    bool stuck = false;
    z->next_in = (const Bytef *)bytes.at;
    z->avail_in = (uInt)bytes.len;
    do {
        size_t room = to->limit - to->len < STEP ? to->limit - to->len : STEP;
        char *at = room > 0 ? rb_buffer_reserve(to, room) : NULL;
        if (!at)
            return room > 0 ? to->status : RB_TOO_LARGE;
        z->next_out = (Bytef *)at;
        z->avail_out = (uInt)room;
        enum rb_status status = step(z, place, &stuck);
        if (status != RB_OK)
            return status;
        rb_buffer_commit(to, room - z->avail_out);
    } while (!stuck && (z->avail_in > 0 || z->avail_out == 0));
    return to->len == to->limit ? RB_TOO_LARGE : RB_OK;
}

enum rb_status rb_deflate_restore(struct rb_deflate *d, struct rb_text packed,
                                  size_t max_message, struct rb_text *message) {
    enum place place = BETWEEN_BLOCKS;
    if (packed.len > UINT32_MAX || max_message >= UINT32_MAX)
        return RB_TOO_LARGE;
    if (!make_unpacker(d))
        return RB_NOMEM;
    begin(&d->restored, max_message + 1);
    /* Some send nothing for an empty message, and no tail is missing behind a last
     * block. */
    enum rb_status status = packed.len > 0 ? unpack(d, packed, &place) : RB_OK;
    if (status == RB_OK && packed.len > 0 && place != BEHIND_THE_LAST)
        status = unpack(d, rb_text(tail, sizeof tail), &place);
    if (status == RB_OK && place == WITHIN)
        status = RB_INVALID;
    *message = d->restored.len > 0 ? rb_buffer_view(&d->restored) : RB_TEXT("");
    return status;
}
