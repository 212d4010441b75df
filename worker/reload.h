/* SIGHUP: settings and definitions are read again, and taken over all or not at all. */
#ifndef RB_WORKER_RELOAD_H
#define RB_WORKER_RELOAD_H

#include <stdint.h>

#include "config/status.h"

struct rb_services;
struct rb_settings;
struct rb_worker;

/* Takes from w->live what may change while the worker runs. RB_NOMEM: nothing did. */
RB_MUST_CHECK enum rb_status rb_reload_apply(struct rb_worker *w);

/* Names the services whose client certificate is valid no more, in the log. */
void rb_reload_warn(const struct rb_services *services, int64_t now_s);

struct rb_worker_options;
void rb_reload(struct rb_worker *w, const struct rb_worker_options *options);

#endif
