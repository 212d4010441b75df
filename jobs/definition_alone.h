/* The `cancel_when_alone:` of a definition. */
#ifndef RB_JOBS_DEFINITION_ALONE_H
#define RB_JOBS_DEFINITION_ALONE_H

#include <stdint.h>

struct rb_alone_policy {
    int64_t
        grace_ms; /* a job that nobody has waited for so long is cancelled; 0: none is */
};

#endif
