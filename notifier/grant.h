/* What a client may do, as a token or the web app said: which channels it may hear, which
 * services it may ask, until when. A plain value in one block, shared by reference; a
 * live connection keeps it for as long as it waits. */
#ifndef RB_NOTIFIER_GRANT_H
#define RB_NOTIFIER_GRANT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/status.h"
#include "config/text.h"

#define RB_GRANT_NAMES 1024 /* channels and services together */

struct rb_grant;

/* Reads the members `channels` and `enqueue` (lists of strings; an absent one allows
 * nothing), `sub` (a string) and `exp` (NumericDate). A channel is a name, or one with
 * "*" at its end that stands for any rest; "@session" stands for session:<session>, and
 * for nothing when the session is empty. A service is a name or "*".
 *
 * RB_INVALID with a sentence in *problem (static text); RB_NOMEM. */
RB_MUST_CHECK enum rb_status rb_grant_read(const json_t *claims, struct rb_text session,
                                           struct rb_grant **grant, const char **problem);
/* Exactly these channels, without an end. RB_NOMEM gives NULL. */
struct rb_grant *rb_grant_of(const struct rb_text *channels, size_t count);

struct rb_grant *rb_grant_ref(struct rb_grant *grant);
void rb_grant_unref(struct rb_grant *grant); /* NULL is legal */

bool rb_grant_hears(const struct rb_grant *grant, struct rb_text channel);
bool rb_grant_enqueues(const struct rb_grant *grant, struct rb_text service);
int64_t rb_grant_expires(const struct rb_grant *grant);        /* unix ms; 0 = never */
struct rb_text rb_grant_subject(const struct rb_grant *grant); /* "" = none */

#endif
