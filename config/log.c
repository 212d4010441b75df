/* Log lines: built on the stack, so that they come out when memory is short, and written
 * with one write(2), so that lines of several processes never mix. */
#include "config/log.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "config/clock.h"

#define LINE_MAX_BYTES 4096
#define VALUE_MAX_BYTES 1024 /* so that one long value leaves room for the others */
#define TAIL_BYTES 8         /* the cut mark, a quote, a brace, the newline */
#define CUT "\xe2\x80\xa6"

static struct {
    const char *program;
    enum rb_log_level level;
    enum rb_log_format format;
} sink = {NULL, RB_LOG_INFO, RB_LOG_TEXT};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

struct line {
    size_t len;
    bool json;
    char at[LINE_MAX_BYTES];
};

void rb_log_setup(const char *program, enum rb_log_level level,
                  enum rb_log_format format) {
    sink.program = program;
    sink.level = level;
    sink.format = format;
}

bool rb_log_on(enum rb_log_level level) { return level >= sink.level; }

/* Callers have made sure that it fits. */
static void put(struct line *l, const char *bytes, size_t len) {
    memcpy(l->at + l->len, bytes, len);
    l->len += len;
}

/* "," and the quoted key, or " " and the key; false when there is no room for the key and
 * a number. */
static bool put_key(struct line *l, const char *key) {
    size_t len = strlen(key);
    if (l->len + len + 40 + TAIL_BYTES > sizeof l->at)
        return false;
    if (l->len > (l->json ? 1u : 0u))
        put(l, l->json ? "," : " ", 1);
    if (l->json)
        put(l, "\"", 1);
    put(l, key, len);
    put(l, l->json ? "\":" : "=", l->json ? 2 : 1);
    return true;
}

/* What a logfmt reader would misunderstand, or a terminal obey, goes between quotes. */
static bool needs_quotes(struct rb_text value) {
    if (value.len == 0 || !rb_text_utf8(value))
        return true;
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.at[i];
        bool c1 = c == 0xc2 && (unsigned char)value.at[i + 1] < 0xa0;
        if (c <= ' ' || c == '=' || c == '"' || c == 0x7f || c1)
            return true;
    }
    return false;
}

static void put_text(struct line *l, struct rb_text value) {
    size_t end = sizeof l->at - TAIL_BYTES;
    if (end > l->len + VALUE_MAX_BYTES)
        end = l->len + VALUE_MAX_BYTES;
    bool quoted = l->json || needs_quotes(value);
    if (quoted)
        put(l, "\"", 1);
    while (value.len > 0) {
        char out[RB_JSON_STEP];
        size_t len, step;
        if (quoted) {
            step = rb_text_json_step(value, out, &len);
        } else {
            step = len = rb_text_utf8_step(value);
            memcpy(out, value.at, len);
        }
        if (l->len + len > end) {
            put(l, CUT, sizeof CUT - 1);
            break;
        }
        put(l, out, len);
        value = rb_text(value.at + step, value.len - step);
    }
    if (quoted)
        put(l, "\"", 1);
}

static void put_field(struct line *l, const struct rb_log_field *field) {
    char number[32];
    int len = 0;
    if (!put_key(l, field->key))
        return;
    switch (field->type) {
    case RB_LOG_FIELD_TEXT:
        put_text(l, field->text);
        return;
    case RB_LOG_FIELD_INT:
        len = snprintf(number, sizeof number, "%lld", (long long)field->number);
        break;
    case RB_LOG_FIELD_DOUBLE:
        if (!isfinite(field->real))
            len = snprintf(number, sizeof number, "null");
        else
            len = snprintf(number, sizeof number, "%.6g", field->real);
        break;
    }
    put(l, number, (size_t)len);
}

static struct rb_text timestamp(char out[32]) {
    int64_t now_ms = rb_clock_unix_ms();
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    size_t len = strftime(out, 24, "%Y-%m-%dT%H:%M:%S", &utc);
    len += (size_t)snprintf(out + len, 8, ".%03dZ", (int)(now_ms % 1000));
    return rb_text(out, len);
}

void rb_log_write(enum rb_log_level level, const char *event,
                  const struct rb_log_field *fields, size_t count) {
    int saved_errno = errno;
    char time_text[32];
    struct line l;
    l.len = 0;
    l.json = sink.format == RB_LOG_JSON;
    if (l.json)
        put(&l, "{", 1);
    put_field(&l, &RB_T("ts", timestamp(time_text)));
    put_field(&l, &RB_S("level", level_names[level]));
    put_field(&l, &RB_S("event", event));
    if (sink.program)
        put_field(&l, &RB_S("program", sink.program));
    for (size_t i = 0; i < count; i++)
        put_field(&l, &fields[i]);
    put(&l, l.json ? "}\n" : "\n", l.json ? 2 : 1);

    /* A log that can't be written must not stop what it tells about. */
    ssize_t written;
    do
        written = write(STDERR_FILENO, l.at, l.len);
    while (written < 0 && errno == EINTR);
    errno = saved_errno;
}

bool rb_log_allow(struct rb_log_limit *limit, int64_t now_ms, unsigned *held) {
    int64_t second = now_ms / 1000;
    if (second != limit->second) {
        limit->second = second;
        limit->lines = 0;
    }
    if (limit->lines >= RB_LOG_BURST) {
        limit->held++;
        return false;
    }
    limit->lines++;
    *held = limit->held;
    limit->held = 0;
    return true;
}
