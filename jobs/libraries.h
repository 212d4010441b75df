/* The versions of the libraries that this room brings, for --version. */
#ifndef RB_JOBS_LIBRARIES_H
#define RB_JOBS_LIBRARIES_H

#include <stdio.h>

/* ", hiredis 0.14.1, jansson 2.14" */
void rb_jobs_libraries(FILE *out);

#endif
