/* What a job asks of its service, as a digest: two jobs with the same one get the same
 * answer. It is made of the service, of the request (or requests) as rendered, with the
 * names of secrets in place of their values, and of what of the answer is the result; so
 * no secret can be found in it, nor guessed by it. */
#ifndef RB_JOBS_QUESTION_H
#define RB_JOBS_QUESTION_H

#include "jobs/definition.h"

#define RB_QUESTION_DIGEST 32 /* hex digits: the first half of a SHA-256 */

/* Writes the digest, NUL-terminated. RB_INVALID, RB_TOO_LARGE or RB_NOMEM, as
 * rb_definition_render: the job asks nothing then. */
RB_MUST_CHECK enum rb_status rb_question_digest(const struct rb_definition *definition,
                                                const struct rb_job *job,
                                                struct rb_text channel,
                                                const json_t *params,
                                                char digest[RB_QUESTION_DIGEST + 1]);

#endif
