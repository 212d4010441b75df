/* Between the files of admission: admit.c decides by origin and token, admit_hook.c asks
 * the web app. */
#ifndef RB_NOTIFIER_ADMIT_CORE_H
#define RB_NOTIFIER_ADMIT_CORE_H

#include "notifier/admit.h"
#include "notifier/grant.h"

extern const struct rb_verdict rb_verdict_admitted, rb_verdict_not_named,
    rb_verdict_no_memory;

/* Does the grant name all channels of the wait? */
struct rb_verdict rb_admit_judge(const struct rb_grant *grant,
                                 const struct rb_wait *wait);
/* Gives the client's connection its pass. Takes the grant; NULL for anything. */
struct rb_verdict rb_admit_let_in(struct rb_exchange *exchange, struct rb_grant *grant);

void rb_admit_by_hook(struct rb_exchange *exchange, const struct rb_wait *wait,
                      rb_admitted_fn *fn);
/* The connection has its visitor. */
void rb_admit_more_by_hook(struct rb_connection *connection, struct rb_text channel,
                           struct rb_text name, struct rb_cursor cursor,
                           rb_admitted_more_fn *fn);

#endif
