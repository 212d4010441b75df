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

/* Most queues hold one frame for less than a turn. Such a one is no struct but the frame
 * itself, its address made odd, so that it costs no memory to queue it. */
#define ALONE 1u

static bool is_alone(const struct rb_out *out) { return ((uintptr_t)out & ALONE) != 0; }

static struct rb_out *alone(struct rb_bytes *bytes) {
    return (struct rb_out *)((uintptr_t)bytes | ALONE);
}

static struct rb_bytes *frame_of(const struct rb_out *out) {
    return (struct rb_bytes *)((uintptr_t)out & ~(uintptr_t)ALONE);
}

/* A queue with room for one more; NULL when out of memory, *out stays as it is. */
static struct rb_out *grow(struct rb_out *out) {
    if (is_alone(out)) {
        struct rb_out *first = malloc(sizeof *first + FIRST_ROOM * sizeof *first->at);
        if (!first)
            return NULL;
        *first =
            (struct rb_out){.bytes = frame_of(out)->len, .count = 1, .room = FIRST_ROOM};
        first->at[0] = frame_of(out);
        return first;
    }
    if (out->first + out->count < out->room)
        return out;
    if (out->first > out->room / 2) {
        memmove(out->at, out->at + out->first, out->count * sizeof *out->at);
        out->first = 0;
        return out;
    }
    uint32_t room = out->room * 2;
    struct rb_out *bigger = realloc(out, sizeof *out + room * sizeof *out->at);
    if (bigger)
        bigger->room = room;
    return bigger;
}

enum rb_status rb_out_add(struct rb_out **out, struct rb_bytes *bytes) {
    if (bytes->len == 0)
        return RB_OK;
    if (!*out) {
        *out = alone(rb_bytes_ref(bytes));
        return RB_OK;
    }
    struct rb_out *o = grow(*out);
    if (!o)
        return RB_NOMEM;
    o->at[o->first + o->count++] = rb_bytes_ref(bytes);
    o->bytes += bytes->len;
    *out = o;
    return RB_OK;
}

void rb_out_receipt(struct rb_out *out, struct rb_receipt *receipt) {
    struct rb_bytes *last =
        is_alone(out) ? frame_of(out) : out->at[out->first + out->count - 1];
    rb_receipt_unref(last->receipt);
    last->receipt = rb_receipt_ref(receipt);
}

size_t rb_out_bytes(const struct rb_out *out) {
    if (!out)
        return 0;
    return is_alone(out) ? frame_of(out)->len : out->bytes;
}

size_t rb_out_frames(const struct rb_out *out) {
    if (!out)
        return 0;
    return is_alone(out) ? 1 : out->count;
}

static void frame_written(struct rb_bytes *bytes) {
    if (bytes->receipt)
        rb_receipt_written(bytes->receipt);
    rb_bytes_unref(bytes);
}

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
        frame_written(first);
    }
}

enum rb_status rb_out_drop(struct rb_out **out, size_t len) {
    if (is_alone(*out) && len == frame_of(*out)->len) {
        frame_written(frame_of(*out));
        *out = NULL;
        return RB_OK;
    }
    if (is_alone(*out)) { /* what is left of a frame has a place to be told */
        struct rb_out *o = grow(*out);
        if (!o)
            return RB_NOMEM;
        *out = o;
    }
    drop_written(*out, len);
    if ((*out)->count == 0) {
        free(*out);
        *out = NULL;
    }
    return RB_OK;
}

static ssize_t gather(const struct rb_out *out, int fd) {
    struct iovec parts[GATHER];
    uint32_t n = out->count < GATHER ? out->count : GATHER;
    for (uint32_t i = 0; i < n; i++) {
        struct rb_bytes *bytes = out->at[out->first + i];
        uint32_t skip = i == 0 ? out->offset : 0;
        parts[i] = (struct iovec){bytes->at + skip, bytes->len - skip};
    }
    const struct msghdr message = {.msg_iov = parts, .msg_iovlen = n};
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}

/* One frame alone is less work for the kernel than a list of one. */
static ssize_t write_some(const struct rb_out *out, int fd) {
    ssize_t written;
    do
        written = is_alone(out)
                      ? send(fd, frame_of(out)->at, frame_of(out)->len, MSG_NOSIGNAL)
                      : gather(out, fd);
    while (written < 0 && errno == EINTR);
    return written;
}

enum rb_status rb_out_write(struct rb_out **out, int fd, size_t *written) {
    *written = 0;
    while (*out) {
        ssize_t n = write_some(*out, fd);
        if (n < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK ? RB_UNAVAILABLE : RB_SYSTEM;
        *written += (size_t)n;
        if (rb_out_drop(out, (size_t)n) != RB_OK)
            return RB_NOMEM;
    }
    return RB_OK;
}

static size_t copy_of(const struct rb_bytes *bytes, size_t skip, char *to, size_t room) {
    size_t n = bytes->len - skip < room ? bytes->len - skip : room;
    memcpy(to, bytes->at + skip, n);
    return n;
}

size_t rb_out_gather(const struct rb_out *out, char *to, size_t room) {
    if (is_alone(out))
        return copy_of(frame_of(out), 0, to, room);
    size_t len = 0;
    for (uint32_t i = 0; i < out->count && len < room; i++)
        len += copy_of(out->at[out->first + i], i == 0 ? out->offset : 0, to + len,
                       room - len);
    return len;
}

void rb_out_free(struct rb_out *out) {
    if (!out)
        return;
    if (is_alone(out)) {
        rb_bytes_unref(frame_of(out));
        return;
    }
    for (uint32_t i = 0; i < out->count; i++)
        rb_bytes_unref(out->at[out->first + i]);
    free(out);
}
