/* Numbered events, so many a second, in turn on each channel: what --publish does. */
#ifndef RB_JOBS_CLI_LOAD_PUBLISH_H
#define RB_JOBS_CLI_LOAD_PUBLISH_H

#include "jobs/cli/cli.h"

struct rb_load_publisher {
    struct rb_cli *cli;
    const char *channel; /* {n} in it: the channel's number */
    uint32_t channels;
    int64_t rate;
    char run[17]; /* tells its events from those of others */
    struct ev_timer timer;
    int64_t begun_us;
    uint64_t sent, published, failed;
    char why[128]; /* of the last failure */
};

void rb_load_publisher_start(struct rb_load_publisher *publisher);
void rb_load_publisher_stop(struct rb_load_publisher *publisher);

/* Is it an event of this run? Then its number on its channel and when it was sent. */
bool rb_load_published(const struct rb_load_publisher *publisher, struct rb_text json,
                       int64_t *number, int64_t *sent_us);

#endif
