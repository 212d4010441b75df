/* What waits to be written to one client: references to shared frames, gathered into as
 * few writev(2) as there can be. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "notifier/connection.h"
#include "notifier/receipt.h"

#define FIRST_ROOM 6
#define GATHER 256 /* frames a call */

struct rb_out {
    size_t bytes; /* not yet written */
    uint32_t first, count, room;
    uint32_t offset; /* of the first frame, written already */
    struct rb_bytes *at[];
};

static struct rb_out *grow(struct rb_out *out) {
    if (out && out->first > out->room / 2) {
        memmove(out->at, out->at + out->first, out->count * sizeof(struct rb_bytes *));
        out->first = 0;
        return out;
    }
    uint32_t room = out ? out->room * 2 : FIRST_ROOM;
    struct rb_out *bigger =
        realloc(out, sizeof *out + (size_t)room * sizeof(struct rb_bytes *));
    if (!bigger)
        return NULL;
    if (!out)
        memset(bigger, 0, sizeof *bigger);
    bigger->room = room;
    return bigger;
}

enum rb_status rb_out_add(struct rb_out **out, struct rb_bytes *bytes) {
    struct rb_out *o = *out;
    if (bytes->len == 0)
        return RB_OK;
    if (!o || o->first + o->count == o->room) {
        o = grow(o);
        if (!o)
            return RB_NOMEM;
        *out = o;
    }
    o->at[o->first + o->count++] = rb_bytes_ref(bytes);
    o->bytes += bytes->len;
    return RB_OK;
}

void rb_out_receipt(struct rb_out *out, struct rb_receipt *receipt) {
    struct rb_bytes *last = out->at[out->first + out->count - 1];
    rb_receipt_unref(last->receipt);
    last->receipt = rb_receipt_ref(receipt);
}

size_t rb_out_bytes(const struct rb_out *out) { return out ? out->bytes : 0; }

static void drop_written(struct rb_out *out, size_t n) {
    out->bytes -= n;
    while (n > 0) {
        struct rb_bytes *first = out->at[out->first];
        size_t left = first->len - out->offset;
        if (n < left) {
            out->offset += (uint32_t)n;
            return;
        }
        n -= left;
        out->offset = 0;
        out->first++;
        out->count--;
        if (first->receipt)
            rb_receipt_written(first->receipt);
        rb_bytes_unref(first);
    }
}

static ssize_t write_some(const struct rb_out *out, int fd) {
    struct iovec parts[GATHER];
    uint32_t n = out->count < GATHER ? out->count : GATHER;
    for (uint32_t i = 0; i < n; i++) {
        struct rb_bytes *bytes = out->at[out->first + i];
        uint32_t skip = i == 0 ? out->offset : 0;
        parts[i] = (struct iovec){bytes->at + skip, bytes->len - skip};
    }
    const struct msghdr message = {.msg_iov = parts, .msg_iovlen = n};
    ssize_t written;
    do
        written = sendmsg(fd, &message, MSG_NOSIGNAL);
    while (written < 0 && errno == EINTR);
    return written;
}

enum rb_status rb_out_write(struct rb_out **out, int fd, size_t *written) {
    *written = 0;
    while (*out && (*out)->count > 0) {
        ssize_t n = write_some(*out, fd);
        if (n < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK ? RB_UNAVAILABLE : RB_SYSTEM;
        *written += (size_t)n;
        drop_written(*out, (size_t)n);
    }
    rb_out_free(*out);
    *out = NULL;
    return RB_OK;
}

size_t rb_out_gather(const struct rb_out *out, char *to, size_t room) {
    size_t len = 0;
    for (uint32_t i = 0; i < out->count && len < room; i++) {
        const struct rb_bytes *bytes = out->at[out->first + i];
        uint32_t skip = i == 0 ? out->offset : 0;
        size_t n = bytes->len - skip;
        if (n > room - len)
            n = room - len;
        memcpy(to + len, bytes->at + skip, n);
        len += n;
    }
    return len;
}

void rb_out_drop(struct rb_out **out, size_t len) {
    drop_written(*out, len);
    if ((*out)->count > 0)
        return;
    rb_out_free(*out);
    *out = NULL;
}

void rb_out_free(struct rb_out *out) {
    if (!out)
        return;
    for (uint32_t i = 0; i < out->count; i++)
        rb_bytes_unref(out->at[out->first + i]);
    free(out);
}
