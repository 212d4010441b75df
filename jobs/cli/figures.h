/* Figures of services where no worker tells them in Redis (claim: blpop): the one of this
 * host does on worker.metrics. */
#ifndef RB_JOBS_CLI_FIGURES_H
#define RB_JOBS_CLI_FIGURES_H

#include "jobs/figures.h"

/* Asks the worker at this address (as worker.metrics has it), and waits for a second at
 * most. None when no worker answers there. */
void rb_figures_fetch(const char *address, struct rb_figures *figures);

#endif
