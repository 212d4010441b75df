/* The jobs that were given up: each is a member of a sorted set, an envelope that tells
 * why, by the time of its death. */
#ifndef RB_JOBS_DEAD_H
#define RB_JOBS_DEAD_H

#include <stdbool.h>

#include "config/buffer.h"
#include "jobs/job.h"
#include "jobs/keys.h"
#include "jobs/link.h"
#include "jobs/name.h"
#include "jobs/publish.h"

#define RB_DEAD_ENVELOPE_BYTES (RB_JOB_MAX_BYTES + 64 * 1024)
#define RB_DEAD_JSON_BYTES (8 * RB_DEAD_ENVELOPE_BYTES) /* of one, the job with it */

/* What a job came to, for its envelope: " channel=… end=… reason=… error=…". */
struct rb_dead_fate {
    struct rb_text channel;  /* that was told; "": nobody, and no `end` */
    struct rb_stream_id end; /* its terminal event there; 0-0: it never came out */
    const char *reason;      /* an error code, and … */
    const char *error;       /* … its sentence */
};
void rb_dead_write_fate(struct rb_buffer *out, const struct rb_dead_fate *fate);

/* Does the job have this id, its own or the one that was made at its claim? */
bool rb_dead_is(struct rb_text member, struct rb_text id);

/* {"died","id","queue","reason","error","deliveries"}; and what the job names itself,
 * each of it null where it does not: "job_id","service","channel"; or all of it: "job".
 */
enum rb_dead_detail { RB_DEAD_PLAIN, RB_DEAD_NAMES, RB_DEAD_JOB };
void rb_dead_write(struct rb_buffer *out, struct rb_text member, double died_ms,
                   enum rb_dead_detail detail);

/* What to queue so that it is as at its first claim, and where. It is asked for now: `at`
 * of the envelope, and of a job that has one, so that its time in the queue (the
 * definition's max_queue_time) counts anew; all other bytes of the job stay. RB_INVALID
 * when what is there is no envelope; RB_NOMEM. */
RB_MUST_CHECK enum rb_status rb_dead_revive(const struct rb_keys *keys,
                                            struct rb_text member, int64_t now_unix_ms,
                                            struct rb_buffer *envelope,
                                            struct rb_key *queue);

/* Where it is remembered that the job has ended, and when that was delivered. A retry
 * forgets both, so that the next terminal event can be heard as well: only if it is still
 * the end that this one of the dead came to, since two may retry it at once, and the
 * first one's job have ended again before the second comes to that. */
struct rb_dead_end {
    struct rb_key meta;                                 /* the hash, and … */
    char marker[sizeof RB_META_MARKER + RB_JOB_ID_MAX]; /* … its field */
    struct rb_text id; /* its value then, borrowed from the member; "": not known */
    char
        receipt[sizeof RB_META_RECEIPT + RB_JOB_ID_MAX]; /* the field that goes with it */
};

/* False when nobody was told. Where nothing is noted, that is whom the job names. */
bool rb_dead_end(const struct rb_keys *keys, struct rb_text member,
                 struct rb_dead_end *end);

/* Each by a script; the reply is 1, or 0 when somebody else was first. RB_INVALID with no
 * reply, from inside, for what can't be revived. */
void rb_dead_retry(struct rb_link *link, const struct rb_keys *keys,
                   struct rb_text member, int64_t now_unix_ms, rb_link_reply_fn *fn,
                   void *ctx);
void rb_dead_drop(struct rb_link *link, const struct rb_keys *keys, struct rb_text member,
                  rb_link_reply_fn *fn, void *ctx);

#endif
