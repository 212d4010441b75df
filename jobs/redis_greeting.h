/* What is said on a new connection before it is of use: AUTH, SELECT, ROLE where
 * Sentinels named it (they may be behind), PING, which tells whether Redis is ready
 * (LOADING, MASTERDOWN, NOAUTH), and CLIENT SETNAME. */
#ifndef RB_JOBS_REDIS_GREETING_H
#define RB_JOBS_REDIS_GREETING_H

#include <hiredis/hiredis.h>

#include "config/buffer.h"
#include "jobs/redis_address.h"

enum rb_greeting_step {
    RB_GREETING_AUTH,
    RB_GREETING_SELECT,
    RB_GREETING_ROLE,
    RB_GREETING_READY,
    RB_GREETING_NAME,
    RB_GREETING_DONE
};

/* Appends the commands and sets the step whose answer comes first. */
RB_MUST_CHECK enum rb_status rb_greeting_write(const struct rb_redis_address *address,
                                               const char *name, struct rb_buffer *out,
                                               enum rb_greeting_step *first);

/* Judges the answer to *step and moves it on. RB_OK; RB_REFUSED when the password is
 * wrong or one is needed; RB_UNAVAILABLE for every other refusal, also when it is no
 * master. */
RB_MUST_CHECK enum rb_status rb_greeting_judge(const struct rb_redis_address *address,
                                               const struct redisReply *reply,
                                               enum rb_greeting_step *step);

#endif
