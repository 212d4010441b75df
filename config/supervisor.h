/* One parent, n children, each with its own loop. The parent restarts a child that died
 * with backoff (100 ms doubled up to 10 s, back to the start after a minute of life),
 * passes SIGTERM, SIGINT and SIGHUP on, reports READY=1 when all children said so, and
 * ends when all have ended. With one process nothing is forked: the program is the
 * child. */
#ifndef RB_CONFIG_SUPERVISOR_H
#define RB_CONFIG_SUPERVISOR_H

#include <stdint.h>

#include "config/metrics.h"

/* `processes` resolved: RB_PROCESSES_AUTO → cores that this process may run on. */
int rb_supervisor_processes(int64_t processes);

/* Runs child(ctx, row) in each process and returns the exit code of the program.
 *
 * `child` attaches metrics to its row, builds its loop after the fork, calls
 * rb_supervisor_ready when it serves, and returns its exit code. 0: it has done its work
 * and is not started again. RB_EXIT_UNAVAILABLE or RB_EXIT_CONFIG before it was ready,
 * while the program starts: restarting would not help, all are ended, and the program
 * returns that code. Anything else, at any time: it is restarted. A child that is
 * restarted after a SIGHUP gets one too when it is ready, because it was forked from a
 * parent that has read the settings before. The child gets SIGTERM when the parent dies
 * (PR_SET_PDEATHSIG).
 *
 * Where systemd's watchdog watches the program, a child that beat once (WATCHDOG=1) and
 * then was silent for the whole time is aborted and restarted.
 *
 * With more than one process it leaves SIGTERM, SIGINT and SIGHUP blocked: the caller is
 * to end, and a signal that comes late must not change its exit code. */
int rb_supervisor_run(const char *program, int processes,
                      int (*child)(void *ctx, int row), void *ctx);

/* Called by a child once: "READY=1" when it is alone, else tells the parent. */
void rb_supervisor_ready(void);

#endif
