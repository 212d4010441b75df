/* Hearing channels from a console: a message only says that there is something new; what
 * it is is read from the stream, from where this channel's last event stood, so that
 * nothing is missed and nothing comes twice, whatever happens to the connections. */
#ifndef RB_JOBS_CLI_HEARING_H
#define RB_JOBS_CLI_HEARING_H

#include "jobs/cli/cli.h"

struct rb_hearing;

/* All from the loop. */
struct rb_hearing_events {
    /* json is the event with its id. */
    void (*on_event)(void *ctx, struct rb_text channel, struct rb_stream_id id,
                     struct rb_text json);
    /* Events between `since` and `resume` can't be had any more. */
    void (*on_gap)(void *ctx, struct rb_text channel, struct rb_stream_id since,
                   struct rb_stream_id resume);
    /* An app's own PUBLISH: any bytes. */
    void (*on_raw)(void *ctx, struct rb_text channel, struct rb_text payload);
    void (*on_state)(void *ctx, bool up, const char *why);
};

/* Uses cli->link, and a subscriber of its own. NULL when out of memory. */
struct rb_hearing *rb_hearing_new(struct rb_cli *cli,
                                  const struct rb_hearing_events *events, void *ctx);
void rb_hearing_free(struct rb_hearing *hearing);

/* `since` 0-0: everything kept. RB_NOMEM; RB_INVALID when it is no channel's name. To
 * hear one twice is legal and changes nothing. */
RB_MUST_CHECK enum rb_status rb_hearing_add(struct rb_hearing *hearing,
                                            struct rb_text channel,
                                            struct rb_stream_id since);
/* False when it is not heard. Not from inside on_event and on_gap. */
bool rb_hearing_remove(struct rb_hearing *hearing, struct rb_text channel);

size_t rb_hearing_count(const struct rb_hearing *hearing);
struct rb_text rb_hearing_name(const struct rb_hearing *hearing, size_t index);

/* Runs the loop until the channel's last id is known: where to hear from when only what
 * comes from now on counts. False after telling why not. */
bool rb_hearing_now(struct rb_cli *cli, struct rb_text channel, struct rb_stream_id *id);

/* "ID" or "now"; false when the text is neither. */
bool rb_hearing_since(struct rb_cli *cli, const char *text, struct rb_text channel,
                      struct rb_stream_id *id);

#endif
