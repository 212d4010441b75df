/* How a definition is read: section by section, each by a function of its own, which is
 * named in the table of definition.c. */
#ifndef RB_JOBS_DEFINITION_SECTION_H
#define RB_JOBS_DEFINITION_SECTION_H

#include "jobs/definition.h"
#include "jobs/template.h"

struct rb_reading {
    struct rb_definition *definition;
    const struct rb_yaml *root;
    /* As they are called in the file, whether or not they are right otherwise, so that
     * one mistake isn't told twice. */
    struct rb_template_names names;
    struct rb_errors *errors;
};

/* Reads the section into the definition; mistakes are added to r->errors. The node is
 * NULL when the definition has no such section: then the defaults are set. What was
 * allocated belongs to the definition even after a mistake. */
typedef void rb_section_fn(struct rb_reading *r, const struct rb_yaml *node);

rb_section_fn rb_read_secrets;
rb_section_fn rb_read_request;
rb_section_fn rb_read_tls;
rb_section_fn rb_read_redirects;
rb_section_fn rb_read_timeout;
rb_section_fn rb_read_result;
rb_section_fn rb_read_progress;
rb_section_fn rb_read_network;
rb_section_fn rb_read_retry;
rb_section_fn rb_read_concurrency;
rb_section_fn rb_read_rate_limit;
rb_section_fn rb_read_circuit_breaker;
rb_section_fn rb_read_cache;
rb_section_fn rb_read_hedge;
rb_section_fn rb_read_calls;
rb_section_fn rb_read_need;
rb_section_fn rb_read_deadline;
rb_section_fn rb_read_max_queue_time;
rb_section_fn rb_read_cancel_when_alone;
rb_section_fn rb_read_schedule;
rb_section_fn rb_read_of_schedule;

void rb_request_template_free(struct rb_request_template *request);
void rb_result_free(struct rb_definition *definition);
void rb_calls_free(struct rb_definition *definition);

#endif
