/* `timeout:`: how long connecting, one try and all of it may take. */
#include "jobs/definition_section.h"
#include "jobs/section.h"

#define CONNECT_MS 5000
#define PER_TRY_MS 30000
#define TOTAL_MS 60000
#define DAY_MS 86400000

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* What is written wins; a default gives way so that connect ≤ per_try ≤ total holds. */
void rb_read_timeout(struct rb_reading *r, const struct rb_yaml *node) {
    static const char *const known[] = {"connect", "per_try", "total", NULL};
    int64_t connect = 0, per_try = 0, total = 0;
    if (node && !rb_section_open(node, known, NULL, r->errors))
        return;
    rb_section_duration(node, "connect", 1, DAY_MS, &connect, r->errors);
    rb_section_duration(node, "per_try", 1, DAY_MS, &per_try, r->errors);
    rb_section_duration(node, "total", 1, DAY_MS, &total, r->errors);
    if (per_try > 0 && total > 0 && per_try > total)
        rb_yaml_error(rb_yaml_get(node, "per_try"), r->errors,
                      "per_try must not be above total (%lldms)", (long long)total);
    if (total == 0)
        total = per_try > TOTAL_MS ? per_try : TOTAL_MS;
    if (per_try == 0)
        per_try = least(PER_TRY_MS, total);
    if (connect > per_try)
        rb_yaml_error(rb_yaml_get(node, "connect"), r->errors,
                      "connect must not be above per_try (%lldms)", (long long)per_try);
    if (connect == 0)
        connect = least(CONNECT_MS, per_try);
    r->definition->timeout.connect = connect;
    r->definition->timeout.per_try = per_try;
    r->definition->timeout.total = total;
}
