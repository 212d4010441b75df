/* From an envelope to a call: reading, checking, rendering. */
#ifndef RB_WORKER_BEGIN_H
#define RB_WORKER_BEGIN_H

#include <stdint.h>

#include "config/text.h"

struct rb_worker;

/* A job was claimed, under this number: makes its flight and takes it as far as it goes
 * without waiting. False when out of memory: nothing was made. */
bool rb_begin(struct rb_worker *w, uint64_t claim, struct rb_text envelope);

#endif
