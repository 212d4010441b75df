/* Reading history: pages of streams, a bounded number at a time on the command link. */
#ifndef RB_NOTIFIER_FEED_READ_H
#define RB_NOTIFIER_FEED_READ_H

#include <ev.h>

#include "jobs/keys.h"
#include "jobs/link.h"
#include "notifier/channel.h"

struct rb_reader;

/* page_max: the largest count that will be asked for. NULL when out of memory. */
struct rb_reader *rb_reader_new(struct ev_loop *loop, struct rb_link *link,
                                const struct rb_keys *keys, struct rb_channels *channels,
                                unsigned page_max);
/* The link has been freed before, so that nothing is out. NULL is legal. */
void rb_reader_free(struct rb_reader *reader);

/* RB_OK: answered by exactly one rb_channel_page, never from inside. What fails (also
 * RB_NOMEM, which is not answered) is tried again by the channels when the link comes up,
 * or when it is up after a while. */
RB_MUST_CHECK enum rb_status rb_reader_read(struct rb_reader *reader,
                                            const struct rb_reading *reading,
                                            struct rb_group *group);

#endif
