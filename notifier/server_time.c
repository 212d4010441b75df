/* When a process does what could be done at any time: chance, beats, the date. */
#include "config/clock.h"
#include "notifier/server_core.h"
#include "notifier/slab.h"

#define BEATS_TOGETHER 256 /* a millisecond or two, in turns of RB_TIMERS_AT_ONCE */

/* xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators").
 */
uint64_t rb_server_random(struct rb_server *server, uint64_t below) {
    uint64_t x = server->random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    server->random = x;
    return (x * UINT64_C(2685821657736338717) >> 32) % below;
}

int64_t rb_server_jitter(struct rb_server *server, int64_t delay_ms) {
    int64_t tenth = delay_ms / 10;
    if (tenth <= 0)
        return delay_ms;
    return delay_ms - tenth +
           (int64_t)rb_server_random(server, (uint64_t)(2 * tenth + 1));
}

int64_t rb_server_beat(struct rb_server *server) {
    int64_t interval = server->settings->notifier.ping_interval;
    int64_t delay = rb_server_jitter(server, interval);
    int64_t count = (int64_t)rb_slab_count(server->connections) + 1;
    int64_t grain = RB_TIMER_TICK_MS, most = interval / 32;
    if (most > interval * BEATS_TOGETHER / count)
        most = interval * BEATS_TOGETHER / count;
    /* Powers of two: whoever begins when there are more or fewer still meets the others.
     */
    while (grain * 2 <= most)
        grain *= 2;
    return delay - (server->now_ms + delay) % grain;
}

struct rb_text rb_server_date(struct rb_server *server) {
    struct rb_server_private *p = server->private;
    int64_t now_s = rb_clock_unix_ms() / 1000;
    if (p->date_s != now_s)
        rb_http_date(now_s, p->date);
    p->date_s = now_s;
    return rb_text_of(p->date);
}
