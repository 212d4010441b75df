/* A service definition in words. */
#ifndef RB_JOBS_CLI_EXPLAIN_H
#define RB_JOBS_CLI_EXPLAIN_H

#include "jobs/definition.h"

/* On stdout, one line for each thing that it says. */
void rb_cli_explain(const struct rb_definition *definition);

#endif
