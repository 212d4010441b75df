/* The dates of HTTP: RFC 9110 §5.6.7, all three forms that a recipient must understand.
 */
#ifndef RB_JOBS_HTTP_DATE_H
#define RB_JOBS_HTTP_DATE_H

#include <stdint.h>

#include "config/status.h"
#include "config/text.h"

/* The whole text must be the date: IMF-fixdate ("Sun, 06 Nov 1994 08:49:37 GMT"), RFC 850
 * ("Sunday, 06-Nov-94 08:49:37 GMT") or asctime ("Sun Nov  6 08:49:37 1994"). now_s
 * (unix) settles a year of two digits: what would lie more than 50 years ahead is past.
 * The day's name must be one, it is not compared with the date. RB_INVALID else. */
RB_MUST_CHECK enum rb_status rb_http_date_parse(struct rb_text text, int64_t now_s,
                                                int64_t *unix_s);

#endif
