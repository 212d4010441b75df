/* What a live connection was let in with: its grant, and the session that it belongs to.
 * The grant's end is kept in mind here: the client is warned before and ended then. */
#ifndef RB_NOTIFIER_PASS_H
#define RB_NOTIFIER_PASS_H

#include <stdbool.h>
#include <sys/queue.h>

#include "config/text.h"
#include "notifier/grant.h"
#include "notifier/hook.h"

struct rb_connection;
struct rb_pass;

/* Gives the connection a pass in place of the one it has. grant: NULL = anything, for
 * ever; taken even on failure. RB_NOMEM. */
RB_MUST_CHECK enum rb_status rb_pass_give(struct rb_connection *c, struct rb_grant *grant,
                                          struct rb_text session);
/* Keeps on whose behalf the web app was asked, since this client may ask for more. The
 * channels are left out. RB_NOMEM. */
RB_MUST_CHECK enum rb_status rb_pass_remember(struct rb_connection *c,
                                              const struct rb_hook_question *visitor);
const struct rb_hook_question *rb_pass_visitor(const struct rb_connection *c); /* NULL */
/* It ends then at the latest (unix ms; 0 = nothing new). */
void rb_pass_limit(struct rb_connection *c, int64_t expires);

/* Something under way for this connection: `drop` frees it when the pass goes first; else
 * its owner takes it off the list. RB_TOO_LARGE: enough is under way. */
struct rb_later {
    LIST_ENTRY(rb_later) entry;
    void (*drop)(struct rb_later *later);
};
RB_MUST_CHECK enum rb_status rb_pass_later(struct rb_connection *c,
                                           struct rb_later *later);

/* Another grant for the same client; taken. Channels that it hears and that are not among
 * the new one's are revoked. */
void rb_pass_renew(struct rb_connection *c, struct rb_grant *grant);
/* The connection is going. */
void rb_pass_drop(struct rb_connection *c);

/* True for a connection without a pass: it was let in for good. Private channels are
 * heard by who knows them. */
bool rb_pass_hears(const struct rb_connection *c, struct rb_text channel);
bool rb_pass_enqueues(const struct rb_connection *c, struct rb_text service);
struct rb_text rb_pass_session(const struct rb_connection *c); /* "" = none */
struct rb_text rb_pass_subject(const struct rb_connection *c); /* likewise */

/* Ends what the connection hears on this channel: the event `revoked`, and the connection
 * is closed when it hears no other or can't go on without. */
void rb_pass_revoke(struct rb_connection *c, struct rb_text channel);
/* Ends all that it hears. */
void rb_pass_revoke_all(struct rb_connection *c);

#endif
