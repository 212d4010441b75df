/* The pace of publishing. */
#include "notifier/publish_pace.h"

#define SECOND_US INT64_C(1000000)

int64_t rb_publish_pace(struct rb_publish_pace *pace, int64_t rate, uint64_t count,
                        int64_t now_ms) {
    int64_t now_us = now_ms * 1000;
    if (rate == 0)
        return 0;
    if (pace->paid_us < now_us)
        pace->paid_us = now_us;
    int64_t over_us = pace->paid_us - now_us + SECOND_US / rate - SECOND_US;
    if (over_us > 0)
        return (over_us + 999) / 1000;
    pace->paid_us += (int64_t)count * SECOND_US / rate;
    return 0;
}
