/* A job: what a web app pushes, read strictly from its JSON (design: service, params,
 * channel, id, at, expires, run_at, unique, trace). */
#ifndef RB_JOBS_JOB_H
#define RB_JOBS_JOB_H

#include <jansson.h>
#include <stdint.h>

#include "config/buffer.h"
#include "config/status.h"

#define RB_JOB_MAX_BYTES (1024 * 1024)

/* Absent members are NULL or 0. Owned by the caller between _parse and _fini. */
struct rb_job {
    char *id;        /* a name, see name.h */
    char *service;   /* a name of at most 64 bytes */
    json_t *params;  /* an object; never NULL after RB_OK */
    char *channel;   /* a channel name */
    int64_t at;      /* unix ms: when it was asked */
    int64_t expires; /* unix ms: nobody waits after it */
    int64_t run_at;  /* unix ms: not before it */
    char *unique;    /* a name */
    char *trace;     /* W3C traceparent */
};

/* RB_OK, RB_INVALID, RB_TOO_LARGE (over RB_JOB_MAX_BYTES) or RB_NOMEM, with a sentence in
 * *error that names the member and what was expected. After any of them *job is
 * initialized and holds what could be read (a broken job may still have told its id and
 * its channel, so that somebody can be told), and _fini must be called. Duplicate and
 * unknown members, wrong types and anything behind the object are RB_INVALID. */
RB_MUST_CHECK enum rb_status rb_job_parse(struct rb_text json, struct rb_job *job,
                                          struct rb_error *error);
void rb_job_fini(struct rb_job *job);

/* The job as compact JSON, members in the order of struct rb_job, absent ones left out.
 */
void rb_job_write(const struct rb_job *job, struct rb_buffer *out);

#endif
