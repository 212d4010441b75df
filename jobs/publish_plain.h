/* Publishing where there are no scripts: rb_publish with policy->scripts false. */
#ifndef RB_JOBS_PUBLISH_PLAIN_H
#define RB_JOBS_PUBLISH_PLAIN_H

#include "jobs/publish.h"

void rb_publish_plain(struct rb_link *link, const struct rb_channel_policy *policy,
                      const struct rb_publication *publication, rb_published_fn *fn,
                      void *ctx);

#endif
