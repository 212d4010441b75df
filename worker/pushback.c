/* Backing off from a service that refuses. */
#include "worker/pushback.h"

#define ONE 256
#define FIRST_PAUSE_MS 250
#define MAX_PAUSE_MS 5000 /* that nobody asked for */
#define MAX_DOUBLINGS 5

static int64_t pause_ms(const struct rb_pushback *p, uint32_t random) {
    int doublings = p->refusals < MAX_DOUBLINGS ? p->refusals : MAX_DOUBLINGS;
    int64_t pause = (int64_t)FIRST_PAUSE_MS << doublings;
    if (pause > MAX_PAUSE_MS)
        pause = MAX_PAUSE_MS;
    /* The upper half at random: a pause of nearly nothing would be none. */
    return pause / 2 + (int64_t)((uint64_t)(pause / 2 + 1) * random >> 32);
}

bool rb_pushback_refused(struct rb_pushback *p, int64_t now_ms, int64_t started_ms,
                         int64_t asked_ms, int64_t running, uint32_t random) {
    bool news = p->window_x256 == 0 || started_ms > p->refused_ms;
    int64_t until_ms = now_ms + (asked_ms >= 0 ? asked_ms
                                 : news        ? pause_ms(p, random)
                                               : 0);
    if (until_ms > p->until_ms)
        p->until_ms = until_ms;
    if (!news)
        return false;
    if (p->window_x256 == 0)
        p->full_x256 = running * ONE;
    p->window_x256 = running * ONE / 2;
    if (p->window_x256 < ONE)
        p->window_x256 = ONE;
    p->refused_ms = now_ms;
    p->refusals++;
    return true;
}

void rb_pushback_answered(struct rb_pushback *p) {
    if (p->window_x256 == 0)
        return;
    p->refusals = 0;
    /* One more for every window of answers. */
    p->window_x256 += ONE * ONE / p->window_x256;
    if (p->window_x256 > p->full_x256)
        *p = (struct rb_pushback){.until_ms = p->until_ms};
}

int64_t rb_pushback_wait_ms(const struct rb_pushback *p, int64_t now_ms) {
    return p->until_ms > now_ms ? p->until_ms - now_ms : 0;
}

int64_t rb_pushback_most(const struct rb_pushback *p) { return p->window_x256 / ONE; }
