/* Regular files, opened and read. */
#include "config/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* NULL when it may be read. */
static const char *refusal(int fd) {
    struct stat file;
    if (fstat(fd, &file) != 0)
        return strerror(errno);
    if (S_ISDIR(file.st_mode))
        return strerror(EISDIR);
    return S_ISREG(file.st_mode) ? NULL : "not a regular file";
}

/* To open a FIFO waits for who writes to it, unless one does not block. */
int rb_file_open(const char *path, const char **why) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    *why = fd < 0 ? strerror(errno) : refusal(fd);
    if (fd >= 0 && *why) {
        close(fd);
        return -1;
    }
    return fd;
}

static enum rb_status read_all(int fd, size_t max_bytes, struct rb_buffer *content) {
    size_t before = content->len;
    for (;;) {
        char *to = rb_buffer_reserve(content, RB_FILE_STEP_BYTES);
        if (!to)
            return content->status;
        ssize_t got = read(fd, to, RB_FILE_STEP_BYTES);
        if (got == 0)
            return content->len - before > max_bytes ? RB_TOO_LARGE : RB_OK;
        if (got > 0)
            rb_buffer_commit(content, (size_t)got);
        else if (errno != EINTR)
            return RB_SYSTEM;
    }
}

enum rb_status rb_file_read(const char *path, size_t max_bytes, struct rb_buffer *content,
                            const char **why) {
    int fd = rb_file_open(path, why);
    if (fd < 0)
        return RB_SYSTEM;
    enum rb_status status = read_all(fd, max_bytes, content);
    if (status == RB_SYSTEM)
        *why = strerror(errno);
    close(fd);
    return status;
}
