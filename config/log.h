/* Structured log lines on stderr: a stable event name and typed fields.
 *
 *     rb_log(RB_LOG_INFO, "worker.started", RB_S("id", id), RB_I("max_in_flight", 1000));
 *     ts=2026-01-02T03:04:05.678Z level=info event=worker.started id=… max_in_flight=1000
 *
 * One line is one write(2), at most 4 KiB; longer values are cut with "…". */
#ifndef RB_CONFIG_LOG_H
#define RB_CONFIG_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "config/text.h"

enum rb_log_level { RB_LOG_DEBUG, RB_LOG_INFO, RB_LOG_WARN, RB_LOG_ERROR };
enum rb_log_format { RB_LOG_TEXT, RB_LOG_JSON };

struct rb_log_field {
    const char *key;
    enum { RB_LOG_FIELD_TEXT, RB_LOG_FIELD_INT, RB_LOG_FIELD_DOUBLE } type;
    struct rb_text text;
    int64_t number;
    double real;
};

#define RB_S(k, v) ((struct rb_log_field){.key = (k), .text = rb_text_of(v)})
#define RB_T(k, v) ((struct rb_log_field){.key = (k), .text = (v)})
#define RB_I(k, v)                                                                       \
    ((struct rb_log_field){.key = (k), .type = RB_LOG_FIELD_INT, .number = (int64_t)(v)})
#define RB_D(k, v)                                                                       \
    ((struct rb_log_field){.key = (k), .type = RB_LOG_FIELD_DOUBLE, .real = (v)})

/* Evaluates its fields only when the level is on. */
#define rb_log(level, event, ...)                                                        \
    do {                                                                                 \
        if (rb_log_on(level)) {                                                          \
            const struct rb_log_field rb_fields_[] = {{0}, __VA_ARGS__};                 \
            rb_log_write((level), (event), rb_fields_ + 1,                               \
                         sizeof rb_fields_ / sizeof rb_fields_[0] - 1);                  \
        }                                                                                \
    } while (0)

bool rb_log_on(enum rb_log_level level);
void rb_log_write(enum rb_log_level level, const char *event,
                  const struct rb_log_field *fields, size_t count);

/* The sink is the process's: set once at start and again on reload. Before the first
 * call: info, text. `program` is put on each line as program=…; it must outlive the
 * log. */
void rb_log_setup(const char *program, enum rb_log_level level,
                  enum rb_log_format format);

/* For lines that a peer can cause: at most `burst` lines a second for each struct; what
 * was held back is counted and told as suppressed=… on the next line let through.
 *
 *     if (rb_log_allow(&limit, now_ms, &held))
 *         rb_log(RB_LOG_WARN, "http.bad_request", RB_S("why", why),
 *                RB_I("suppressed", held)); */
struct rb_log_limit {
    int64_t second; /* the running second */
    unsigned lines; /* let through in it */
    unsigned held;  /* held back since the last line */
};
#define RB_LOG_BURST 10
bool rb_log_allow(struct rb_log_limit *limit, int64_t now_ms, unsigned *held);

#endif
