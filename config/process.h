/* What a daemon does about itself: file limits, signals, systemd's notifications. */
#ifndef RB_CONFIG_PROCESS_H
#define RB_CONFIG_PROCESS_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/status.h"
#include "config/text.h"

/* Raises RLIMIT_NOFILE to the hard limit and returns how many descriptors may be open
 * now. Ignores SIGPIPE. Makes sure that 0, 1 and 2 are open. */
int64_t rb_process_prepare(void);

/* sd_notify(3) over $NOTIFY_SOCKET, e.g. "READY=1\nSTATUS=…"; does nothing outside
 * systemd. */
void rb_process_notify(const char *state);

/* For the supervisor: from now on rb_process_notify of this process sends to `fd`, a
 * socket to the parent, which hears READY=1 and WATCHDOG=1 and speaks to systemd for all.
 */
void rb_process_notify_through(int fd);

/* Half of $WATCHDOG_USEC in ms when systemd watches this process, else 0: send
 * "WATCHDOG=1" that often, from the loop, so that a hung loop is seen. */
int64_t rb_process_watchdog_ms(void);

/* A socket that a service manager opened for us and passed, sd_listen_fds(3): the nth
 * (from 0) of those with this FileDescriptorName, close-on-exec and not blocking; -1 when
 * there are not so many. Of the process that was started alone, not of its children. */
int rb_process_passed(struct rb_text name, int nth);

/* SIGTERM, SIGINT → on_stop (a second one of them calls it again: hurry), SIGHUP →
 * on_reload (may be NULL: ignored), as watchers that do not keep the loop alive. */
struct rb_signals {
    ev_signal term, interrupt, hangup;
    void (*on_stop)(void *ctx);
    void (*on_reload)(void *ctx);
    void *ctx;
};
void rb_signals_start(struct rb_signals *signals, struct ev_loop *loop,
                      void (*on_stop)(void *ctx), void (*on_reload)(void *ctx),
                      void *ctx);
/* From here on they are ignored: who ends already is not to be killed while it tidies up,
 * which would turn its exit code into a signal's. */
void rb_signals_stop(struct rb_signals *signals, struct ev_loop *loop);

/* A random text of 2 × bytes hex digits and a NUL, from getrandom(2); bytes ≤ 32. */
void rb_process_random_hex(char *out, size_t bytes);
uint64_t rb_process_random(void);

#endif
