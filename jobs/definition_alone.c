/* `cancel_when_alone:`: jobs end when nobody waits for them any more. */
#include "jobs/definition_alone.h"

#include "jobs/definition_section.h"
#include "jobs/section.h"

#define GRACE_STANDARD_MS 10000
#define GRACE_MIN_MS 1000
#define GRACE_MAX_MS (INT64_C(24) * 3600000)

void rb_read_cancel_when_alone(struct rb_reading *r, const struct rb_yaml *node) {
    static const char *const known[] = {"grace", NULL};
    int64_t grace_ms = GRACE_STANDARD_MS;
    if (!node || !rb_section_open(node, known, NULL, r->errors))
        return;
    if (rb_yaml_get(r->root, "schedule") && !rb_yaml_get(r->root, "channel")) {
        rb_yaml_key_error(node, r->errors,
                          "cancel_when_alone needs channel: on none nobody can wait for "
                          "a recurring job");
        return;
    }
    rb_section_duration(node, "grace", GRACE_MIN_MS, GRACE_MAX_MS, &grace_ms, r->errors);
    r->definition->cancel_when_alone.grace_ms = grace_ms;
}
