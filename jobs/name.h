/* The names that cross the wire: channels, queues, jobs, services, events. */
#ifndef RB_JOBS_NAME_H
#define RB_JOBS_NAME_H

#include <stdbool.h>

#include "config/text.h"

#define RB_CHANNEL_MAX 128
#define RB_NAME_MAX 64
#define RB_JOB_ID_MAX 128

bool rb_name_byte(char c);                    /* [A-Za-z0-9_.:@=~-] */
bool rb_name_is_channel(struct rb_text text); /* those, {1,128} */
/* @me and @session stand for a visitor's own channel where he asks for it; they are the
 * names of none, and whatever was published on them nobody would hear. */
bool rb_name_is_stand_in(struct rb_text channel);
extern const char rb_name_stand_in[]; /* says so */
/* What logs may show of it: `session:` and `me:` of channels whose rest is a secret. */
struct rb_text rb_name_shown(struct rb_text channel);
bool rb_name_is_job_id(struct rb_text text);  /* the same characters, {1,128} */
bool rb_name_is_queue(struct rb_text text);   /* the same characters, {1,64} */
bool rb_name_is_service(struct rb_text text); /* [a-z0-9][a-z0-9_-]{0,63} */
bool rb_name_is_event(struct rb_text text);   /* [A-Za-z0-9_.-]{1,64} */

#endif
