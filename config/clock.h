/* The only two places that ask the clock. Logic takes `now_ms` as a parameter; callers on
 * a loop pass rb_clock_ms() once a turn. */
#ifndef RB_CONFIG_CLOCK_H
#define RB_CONFIG_CLOCK_H

#include <stdint.h>

int64_t rb_clock_ms(void);      /* monotonic, for durations */
int64_t rb_clock_unix_ms(void); /* wall clock, for timestamps that people read */
int64_t rb_clock_us(void);      /* monotonic microseconds, for latency figures */

#endif
