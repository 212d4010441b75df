/* All definitions of a folder, read as a whole or not at all. */
#ifndef RB_JOBS_SERVICES_H
#define RB_JOBS_SERVICES_H

#include "config/status.h"
#include "jobs/definition.h"

struct rb_services;

/* Reads every *.yaml of the folder (not hidden ones; *.yml is a mistake, anything else is
 * passed over). All mistakes of all files are added; RB_INVALID then. RB_SYSTEM when the
 * folder can't be read (an error is added). An empty folder is legal. */
RB_MUST_CHECK enum rb_status rb_services_load(const char *folder,
                                              struct rb_services **services,
                                              struct rb_errors *errors);

/* Shared: a flight keeps its definitions alive over a reload. */
struct rb_services *rb_services_ref(struct rb_services *services);
void rb_services_unref(struct rb_services *services);

const struct rb_definition *rb_services_find(const struct rb_services *services,
                                             struct rb_text service);
/* The nearest name, for "did you mean"; NULL when none is near. */
const char *rb_services_nearest(const struct rb_services *services,
                                struct rb_text service);

size_t rb_services_count(const struct rb_services *services);
const struct rb_definition *rb_services_at(const struct rb_services *services, size_t i);

#endif
