/* A digest of several texts, each with its length, so that "ab","c" is not "a","bc". */
#ifndef RB_NOTIFIER_FINGERPRINT_H
#define RB_NOTIFIER_FINGERPRINT_H

#include "config/status.h"
#include "config/text.h"

#define RB_FINGERPRINT 32 /* hex digits: the first half of a SHA-256 */

/* NUL-terminated. RB_NOMEM. */
RB_MUST_CHECK enum rb_status rb_fingerprint(size_t count, const struct rb_text *parts,
                                            char hex[RB_FINGERPRINT + 1]);

#endif
