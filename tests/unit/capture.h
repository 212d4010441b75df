/* Catches what a piece of code writes to a stream's descriptor, for tests of output. */
#ifndef RB_TESTS_CAPTURE_H
#define RB_TESTS_CAPTURE_H

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct capture {
    int fd;    /* 1 or 2 */
    int saved; /* where it led before */
    int file;
};

static inline struct capture capture_start(int fd) {
    fflush(NULL);
    struct capture c = {fd, dup(fd), memfd_create("capture", 0)};
    if (c.saved < 0 || c.file < 0 || dup2(c.file, fd) != fd)
        abort();
    return c;
}

/* The bytes and a NUL, cut at size - 1. Returns how many there were. */
static inline size_t capture_end(struct capture *c, char *out, size_t size) {
    fflush(NULL);
    if (dup2(c->saved, c->fd) != c->fd)
        abort();
    ssize_t len = pread(c->file, out, size - 1, 0);
    out[len > 0 ? len : 0] = '\0';
    off_t all = lseek(c->file, 0, SEEK_END);
    close(c->saved);
    close(c->file);
    return (size_t)all;
}

#endif
