/* How many events a second may be published (notifier.publish_rate). A request is let in
 * when one event more would be within a second's worth of what is not paid for yet, and
 * then publishes all it has: a batch larger than the rate makes the next one wait. It is
 * the generic cell rate algorithm (ITU-T I.371). */
#ifndef RB_NOTIFIER_PUBLISH_PACE_H
#define RB_NOTIFIER_PUBLISH_PACE_H

#include <stdint.h>

struct rb_publish_pace {
    int64_t paid_us; /* when all that was published is paid for; begins as 0 */
};

/* 0: `count` may be published, and are counted. Else in how many ms to ask again.
 * rate: events a second; 0 = no limit. */
int64_t rb_publish_pace(struct rb_publish_pace *pace, int64_t rate, uint64_t count,
                        int64_t now_ms);

#endif
