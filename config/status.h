/* What a function answers when it can fail, and where a mistake in a text stands. */
#ifndef RB_CONFIG_STATUS_H
#define RB_CONFIG_STATUS_H

#include <stdarg.h>
#include <stddef.h>

#define RB_MUST_CHECK __attribute__((warn_unused_result))
#define RB_PRINTF(text, first) __attribute__((format(printf, text, first)))

enum rb_status {
    RB_OK = 0,
    RB_NOMEM,       /* an allocation failed */
    RB_INVALID,     /* the input breaks its grammar or its schema */
    RB_TOO_LARGE,   /* a ceiling given at birth would be passed */
    RB_NOT_FOUND,   /* nothing by that name */
    RB_SYSTEM,      /* a system call failed; errno tells which way */
    RB_UNAVAILABLE, /* the peer is not connected; the request was not sent, or its fate is
                       unknown */
    RB_TIMEOUT,     /* no answer in time; its fate is unknown */
    RB_REFUSED,     /* the peer answered with an error */
    RB_FENCED,      /* the lease lapsed: what this worker holds belongs to others now */
    RB_CANCELLED,   /* the owner let go before the answer came */
    RB_STATUSES
};

/* A lower-case phrase, e.g. "out of memory"; never NULL. */
const char *rb_status_text(enum rb_status status);

/* One mistake. line and column count from 1; 0 = unknown. Texts are cut where they are
 * too long, and control bytes in them become "?". */
struct rb_error {
    char file[256];
    int line;
    int column;
    char text[512];
};

/* Sets *error (which may be NULL) and returns RB_INVALID, so that a parser can say
 * `return rb_error_set(error, …)`. file may be NULL. */
enum rb_status rb_error_set(struct rb_error *error, const char *file, int line,
                            int column, const char *format, ...) RB_PRINTF(5, 6);

/* Mistakes found in one pass over configuration files: the first RB_ERRORS_KEPT are kept,
 * all are counted, so that an operator mends a file in one round. */
#define RB_ERRORS_KEPT 20
struct rb_errors {
    size_t count;
    struct rb_error kept[RB_ERRORS_KEPT];
};

void rb_errors_add(struct rb_errors *errors, const char *file, int line, int column,
                   const char *format, ...) RB_PRINTF(5, 6);

/* Prints it as "file:line:column: text" on stderr. */
void rb_error_print(const struct rb_error *error);
/* Prints each as "file:line:column: text" on stderr, and how many more there were. */
void rb_errors_print(const struct rb_errors *errors);

#endif
