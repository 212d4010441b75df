/* Questions to all processes of all notifiers on this Redis, of what each of them knows
 * of its own clients: they go out by pub/sub on a name that each hears, the answers come
 * back on the asker's. Questions and answers are JSON objects and of bounded size. */
#ifndef RB_NOTIFIER_SURVEY_H
#define RB_NOTIFIER_SURVEY_H

#include <jansson.h>
#include <stdbool.h>

#include "config/buffer.h"
#include "config/status.h"
#include "config/text.h"

/* Answers that have not come after so long are not waited for. */
#define RB_SURVEY_MS 1000
#define RB_SURVEY_QUESTION_BYTES 4096
#define RB_SURVEY_ANSWER_BYTES ((size_t)1024 * 1024) /* of one process */
#define RB_SURVEY_OPEN 16 /* questions of a process at a time */

struct rb_server;
struct rb_survey;

/* Hears and answers from now on. NULL when out of memory. Freed after the feed. */
struct rb_survey *rb_survey_new(struct rb_server *server);
void rb_survey_free(struct rb_survey *survey); /* NULL is legal */

/* What each process said, as an array of objects, borrowed for the call. RB_OK, or why
 * the question did not go out. complete: every process that heard it has answered. */
typedef void rb_survey_fn(void *ctx, enum rb_status status, const json_t *answers,
                          bool complete);

/* question: an object with "ask". fn is called exactly once, from the loop; at once only
 * when there is no memory, or too much is asked (RB_TOO_LARGE). */
void rb_survey_ask(struct rb_survey *survey, struct rb_text question, rb_survey_fn *fn,
                   void *ctx);

/* What this process answers: each writes one object. */
void rb_survey_connections(struct rb_server *server, const json_t *question,
                           struct rb_buffer *out); /* admin_connections.c */
void rb_survey_drop(struct rb_server *server, const json_t *question,
                    struct rb_buffer *out); /* admin_connections.c */
void rb_survey_channels(struct rb_server *server, const json_t *question,
                        struct rb_buffer *out); /* admin_channels.c */

/* A member's text; "" when there is none. */
struct rb_text rb_survey_text(const json_t *object, const char *name);

#endif
