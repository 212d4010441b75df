/* The Lua scripts of jobs/scripts/, carried inside the programs. Each file's head says
 * its keys, arguments and answer. */
#ifndef RB_JOBS_SCRIPTS_H
#define RB_JOBS_SCRIPTS_H

#include <stddef.h>

struct rb_script {
    const char *name;   /* "claim" … with its ending, e.g. "claim.lua" */
    const char *source; /* NUL-terminated */
    size_t len;
    const char *sha1; /* 40 hex digits, for EVALSHA */
};

extern const struct rb_script rb_script_claim;
extern const struct rb_script rb_script_heartbeat;
extern const struct rb_script rb_script_settle;
extern const struct rb_script rb_script_giveback;
extern const struct rb_script rb_script_note;
extern const struct rb_script rb_script_park;
extern const struct rb_script rb_script_promote;
extern const struct rb_script rb_script_reap;
extern const struct rb_script rb_script_bury;
extern const struct rb_script rb_script_cancel;
extern const struct rb_script rb_script_enqueue_once;
extern const struct rb_script rb_script_hasten;
extern const struct rb_script rb_script_exhume;
extern const struct rb_script rb_script_unmark;
extern const struct rb_script rb_script_pause;
extern const struct rb_script rb_script_publish;
extern const struct rb_script rb_script_rate;
extern const struct rb_script rb_script_receipt;
extern const struct rb_script rb_script_slots;
extern const struct rb_script rb_script_cache_ask;
extern const struct rb_script rb_script_cache_put;
extern const struct rb_script rb_script_once;
extern const struct rb_script rb_script_tick;

#endif
