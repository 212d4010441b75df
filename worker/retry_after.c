/* Reading Retry-After off a transfer that has ended. */
#include "worker/retry_after.h"

#include "config/clock.h"
#include "jobs/http_date.h"
#include "jobs/retry_policy.h"

static struct rb_text header_of(CURL *easy, const char *name) {
    struct curl_header *header;
    if (curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
        return rb_text(NULL, 0);
    return rb_text_of(header->value);
}

/* A date is counted from the service's own one, where it tells that: clocks differ. */
int64_t rb_retry_after(CURL *easy) {
    struct rb_text field = header_of(easy, "Retry-After");
    int64_t here_s = rb_clock_unix_ms() / 1000, there_s;
    if (field.len == 0)
        return RB_RETRY_NO_WISH;
    if (rb_http_date_parse(header_of(easy, "Date"), here_s, &there_s) != RB_OK)
        there_s = here_s;
    return rb_retry_after_ms(field, there_s);
}
