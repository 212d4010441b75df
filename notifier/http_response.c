/* Heads, whole answers, problem documents and chunks. */
#include "notifier/http_response.h"

#include <string.h>
#include <time.h>

#define NUMBER_LEN 20 /* digits of the largest */
/* A head's bytes beside what the caller brings: its own words and two numbers. */
#define BESIDE 128

const char *rb_http_reason(int status) {
    static const struct {
        int status;
        const char *reason;
    } known[] = {
        {100, "Continue"},
        {101, "Switching Protocols"},
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].status == status)
            return known[i].reason;
    return "Unknown";
}

struct rb_text rb_http_date(int64_t unix_s, char out[RB_HTTP_DATE_LEN + 1]) {
    time_t when = (time_t)unix_s;
    struct tm at;
    gmtime_r(&when, &at);
    /* The names of days and months are English: no program here leaves the "C" locale. */
    size_t len =
        strftime(out, RB_HTTP_DATE_LEN + 1, "Date: %a, %d %b %Y %T GMT\r\n", &at);
    return rb_text(out, len);
}

/* RFC 9110 §6.4.1: informational answers, 204 and 304 have no content to speak of. */
static bool is_bodiless(int status) {
    return status < 200 || status == 204 || status == 304;
}

static char *put(char *to, struct rb_text text) {
    if (text.len > 0)
        memcpy(to, text.at, text.len);
    return to + text.len;
}

static char *put_number(char *to, uint64_t value) {
    char digits[NUMBER_LEN];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    return put(to, rb_text(digits + at, sizeof digits - at));
}

void rb_http_head(struct rb_buffer *out, int status, const char *content_type,
                  int64_t body_len, bool keep_alive, struct rb_text date,
                  struct rb_text fields) {
    struct rb_text reason = rb_text_of(rb_http_reason(status));
    struct rb_text type = rb_text_of(is_bodiless(status) ? NULL : content_type);
    char *start =
        rb_buffer_reserve(out, BESIDE + reason.len + date.len + type.len + fields.len);
    char *to = start;
    if (!start)
        return;
    to = put(to, RB_TEXT("HTTP/1.1 "));
    to = put_number(to, (uint64_t)status);
    to = put(to, RB_TEXT(" "));
    to = put(to, reason);
    to = put(to, RB_TEXT("\r\n"));
    to = put(to, date);
    if (type.at) {
        to = put(to, RB_TEXT("Content-Type: "));
        to = put(to, type);
        to = put(to, RB_TEXT("\r\n"));
    }
    if (body_len >= 0 && !is_bodiless(status)) {
        to = put(to, RB_TEXT("Content-Length: "));
        to = put_number(to, (uint64_t)body_len);
        to = put(to, RB_TEXT("\r\n"));
    }
    if (!keep_alive)
        to = put(to, RB_TEXT("Connection: close\r\n"));
    to = put(to, fields);
    to = put(to, RB_TEXT("\r\n"));
    rb_buffer_commit(out, (size_t)(to - start));
}

void rb_http_answer(struct rb_buffer *out, int status, const char *content_type,
                    struct rb_text body, bool keep_alive, bool head_only,
                    struct rb_text date, struct rb_text fields) {
    /* RFC 9110 §8.6: HEAD tells the length that GET would have, or none. */
    int64_t len = head_only && body.len == 0 ? -1 : (int64_t)body.len;
    rb_http_head(out, status, content_type, len, keep_alive, date, fields);
    if (!head_only && !is_bodiless(status))
        rb_buffer_text(out, body);
}

void rb_http_problem(struct rb_buffer *out, int status, const char *detail,
                     bool keep_alive, bool head_only, struct rb_text date,
                     struct rb_text fields) {
    struct rb_buffer body;
    rb_buffer_init(&body, (size_t)64 * 1024);
    rb_buffer_printf(&body, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d",
                     rb_http_reason(status), status);
    if (detail) {
        rb_buffer_string(&body, ",\"detail\":");
        rb_buffer_json(&body, rb_text_of(detail));
    }
    rb_buffer_char(&body, '}');
    if (body.status == RB_OK)
        rb_http_answer(out, status, "application/problem+json", rb_buffer_view(&body),
                       keep_alive, head_only, date, fields);
    else /* the status alone says enough when there is no memory for more */
        rb_http_head(out, status, NULL, 0, keep_alive, date, fields);
    rb_buffer_fini(&body);
}

void rb_http_chunk(struct rb_buffer *out, struct rb_text data) {
    if (data.len == 0) {
        rb_buffer_string(out, "0\r\n\r\n");
        return;
    }
    char size[2 * sizeof data.len + 2];
    size_t at = sizeof size;
    size[--at] = '\n';
    size[--at] = '\r';
    for (size_t rest = data.len; rest > 0; rest /= 16)
        size[--at] = "0123456789abcdef"[rest % 16];
    rb_buffer_add(out, size + at, sizeof size - at);
    rb_buffer_text(out, data);
    rb_buffer_string(out, "\r\n");
}
