/* Pausing queues and services. From a paused queue nothing is claimed; jobs of a paused
 * service are put aside for a moment when they are claimed, again and again. What a
 * worker has in hand goes on. It lasts until it is resumed, whatever restarts. */
#ifndef RB_JOBS_PAUSE_H
#define RB_JOBS_PAUSE_H

#include "jobs/keys.h"
#include "jobs/link.h"

enum rb_pausable { RB_PAUSE_QUEUE, RB_PAUSE_SERVICE };

/* The reply is 1, or 0 when nothing changed. The name must be one. */
void rb_pause(struct rb_link *link, const struct rb_keys *keys, enum rb_pausable what,
              struct rb_text name, bool paused, rb_link_reply_fn *fn, void *ctx);

/* Is it among these, the array that a claim (or SMEMBERS) gave? NULL: none is. */
bool rb_pause_has(const struct redisReply *paused, enum rb_pausable what,
                  struct rb_text name);

#endif
