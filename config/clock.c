/* The clocks of the system, in the units that the rest counts in. */
#include "config/clock.h"

#include <time.h>

/* clock_gettime can't fail for these two clocks with a valid pointer. */
static struct timespec read_clock(clockid_t id) {
    struct timespec t = {0, 0};
    clock_gettime(id, &t);
    return t;
}

int64_t rb_clock_ms(void) {
    struct timespec t = read_clock(CLOCK_MONOTONIC);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t rb_clock_unix_ms(void) {
    struct timespec t = read_clock(CLOCK_REALTIME);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t rb_clock_us(void) {
    struct timespec t = read_clock(CLOCK_MONOTONIC);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}
