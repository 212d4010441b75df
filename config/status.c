/* Names of the statuses, and mistakes with their place. */
#include "config/status.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const char *const texts[] = {
    [RB_OK] = "ok",
    [RB_NOMEM] = "out of memory",
    [RB_INVALID] = "invalid",
    [RB_TOO_LARGE] = "too large",
    [RB_NOT_FOUND] = "not found",
    [RB_SYSTEM] = "system error",
    [RB_UNAVAILABLE] = "not connected",
    [RB_TIMEOUT] = "no answer in time",
    [RB_REFUSED] = "refused by the peer",
    [RB_FENCED] = "the lease lapsed",
    [RB_CANCELLED] = "cancelled",
};
static_assert(sizeof texts / sizeof texts[0] == RB_STATUSES, "each status has its text");

const char *rb_status_text(enum rb_status status) {
    return (unsigned)status < RB_STATUSES ? texts[status] : "unknown status";
}

/* What an operator types or a peer sends ends up in a message and then on a terminal:
 * control bytes must not get there. A cut leaves no half of a UTF-8 sequence behind. */
static void tidy(char *text, size_t size, int wanted) {
    if (wanted >= 0 && (size_t)wanted >= size) {
        size_t end = size - 1, back = end;
        while (back > 0 && end - back < 4 &&
               ((unsigned char)text[back - 1] & 0xc0) == 0x80)
            back--;
        if (back > 0 && (unsigned char)text[back - 1] >= 0xc0) {
            unsigned char lead = (unsigned char)text[back - 1];
            size_t whole = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
            if (end - (back - 1) < whole)
                text[back - 1] = '\0';
        }
    }
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
}

static void fill(struct rb_error *error, const char *file, int line, int column,
                 const char *format, va_list args) RB_PRINTF(5, 0);
static void fill(struct rb_error *error, const char *file, int line, int column,
                 const char *format, va_list args) {
    int wanted = snprintf(error->file, sizeof error->file, "%s", file ? file : "");
    tidy(error->file, sizeof error->file, wanted);
    error->line = line;
    error->column = column;
    error->text[0] = '\0';
    wanted = vsnprintf(error->text, sizeof error->text, format, args);
    tidy(error->text, sizeof error->text, wanted);
}

enum rb_status rb_error_set(struct rb_error *error, const char *file, int line,
                            int column, const char *format, ...) {
    if (error) {
        va_list args;
        va_start(args, format);
        fill(error, file, line, column, format, args);
        va_end(args);
    }
    return RB_INVALID;
}

void rb_errors_add(struct rb_errors *errors, const char *file, int line, int column,
                   const char *format, ...) {
    if (errors->count < RB_ERRORS_KEPT) {
        va_list args;
        va_start(args, format);
        fill(&errors->kept[errors->count], file, line, column, format, args);
        va_end(args);
    }
    errors->count++;
}

void rb_error_print(const struct rb_error *e) {
    if (e->line > 0 && e->column > 0)
        fprintf(stderr, "%s:%d:%d: %s\n", e->file, e->line, e->column, e->text);
    else if (e->line > 0)
        fprintf(stderr, "%s:%d: %s\n", e->file, e->line, e->text);
    else if (e->file[0])
        fprintf(stderr, "%s: %s\n", e->file, e->text);
    else
        fprintf(stderr, "%s\n", e->text);
}

void rb_errors_print(const struct rb_errors *errors) {
    size_t kept = errors->count < RB_ERRORS_KEPT ? errors->count : RB_ERRORS_KEPT;
    for (size_t i = 0; i < kept; i++)
        rb_error_print(&errors->kept[i]);
    if (errors->count > kept)
        fprintf(stderr, "and %zu more mistakes\n", errors->count - kept);
}
