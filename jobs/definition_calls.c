/* `calls:`, `need:` and `deadline:`: several services asked by one job. Each call is read
 * as a small definition of its own; and `hedge:`, which a call may have as well. */
#include <stdlib.h>

#include "jobs/definition_section.h"
#include "jobs/request_template.h"
#include "jobs/section.h"
#include "jobs/yaml_value.h"

#define DAY_MS 86400000

/* What is not idempotent must not be sent twice because it is slow (RFC 9110 §9.2.2). */
static bool is_idempotent(const struct rb_request_template *request) {
    return !request || !request->method ||
           (strcmp(request->method, "POST") != 0 &&
            strcmp(request->method, "PATCH") != 0);
}

void rb_read_hedge(struct rb_reading *r, const struct rb_yaml *node) {
    static const char *const known[] = {"after", NULL};
    struct rb_definition *d = r->definition;
    if (!node || !rb_section_open(node, known, known, r->errors))
        return;
    rb_section_duration(node, "after", 1, DAY_MS, &d->hedge_after_ms, r->errors);
    if (rb_yaml_get(r->root, "calls"))
        rb_yaml_key_error(node, r->errors, "hedge stands with each of the calls");
    else if (!is_idempotent(d->request))
        rb_yaml_key_error(node, r->errors,
                          "a %s is not idempotent: hedge would send it twice",
                          d->request->method);
    else if (d->hedge_after_ms > 0 && d->timeout.per_try > 0 &&
             d->hedge_after_ms >= d->timeout.per_try)
        rb_yaml_error(rb_yaml_get(node, "after"), r->errors,
                      "after must be below timeout.per_try (%lldms)",
                      (long long)d->timeout.per_try);
}

/* What a call does not say itself is as the whole definition says. */
static void read_leg(struct rb_reading *whole, const struct rb_yaml *node,
                     struct rb_definition *d) {
    static const char *const known[] = {"request", "tls",    "redirects", "timeout",
                                        "retry",   "result", "hedge",     NULL};
    static const char *const needed[] = {"request", NULL};
    struct rb_reading r = {d, node, whole->names, whole->errors};
    if (!rb_section_open(node, known, needed, r.errors))
        return;
    d->secrets = json_incref(whole->definition->secrets);
    d->timeout = whole->definition->timeout;
    d->retry = whole->definition->retry;
    if (rb_yaml_get(node, "request"))
        rb_read_request(&r, rb_yaml_get(node, "request"));
    rb_read_tls(&r, rb_yaml_get(node, "tls"));
    rb_read_redirects(&r, rb_yaml_get(node, "redirects"));
    if (rb_yaml_get(node, "timeout"))
        rb_read_timeout(&r, rb_yaml_get(node, "timeout"));
    if (rb_yaml_get(node, "retry"))
        rb_read_retry(&r, rb_yaml_get(node, "retry"));
    rb_read_result(&r, rb_yaml_get(node, "result"));
    rb_read_hedge(&r, rb_yaml_get(node, "hedge"));
}

static void add_leg(struct rb_reading *r, const struct rb_yaml *node) {
    struct rb_definition *d = r->definition;
    struct rb_leg *leg = &d->calls.legs[d->calls.count++];
    rb_value_is_name(node, "call", r->errors);
    leg->name = rb_text_copy(node->key);
    leg->definition = calloc(1, sizeof *leg->definition);
    if (leg->definition) {
        leg->definition->file = rb_text_copy(rb_text_of(d->file));
        leg->definition->service = rb_text_copy(rb_text_of(d->service));
    }
    if (leg->name && leg->definition && leg->definition->file &&
        (leg->definition->service || !d->service))
        read_leg(r, node, leg->definition);
    else
        rb_yaml_error(node, r->errors, "out of memory");
}

void rb_read_calls(struct rb_reading *r, const struct rb_yaml *node) {
    struct rb_definition *d = r->definition;
    const struct rb_yaml *result = rb_yaml_get(r->root, "result");
    if (!node)
        return;
    if (rb_yaml_get(r->root, "request"))
        rb_yaml_key_error(node, r->errors, "calls stands beside request: expected one");
    if (result)
        rb_yaml_key_error(result, r->errors, "result stands with each of the calls");
    if (!rb_value_is(node, RB_YAML_MAPPING, r->errors))
        return;
    if (node->count == 0 || node->count > RB_LEGS_MAX) {
        rb_yaml_error(node, r->errors, "expected 1 to %d calls", RB_LEGS_MAX);
        return;
    }
    d->calls.legs = calloc(node->count, sizeof *d->calls.legs);
    if (!d->calls.legs) {
        rb_yaml_error(node, r->errors, "out of memory");
        return;
    }
    for (size_t i = 0; i < node->count; i++)
        add_leg(r, &node->items[i]);
    d->calls.need = (int64_t)d->calls.count;
}

void rb_read_need(struct rb_reading *r, const struct rb_yaml *node) {
    struct rb_definition *d = r->definition;
    struct rb_text word;
    int64_t count;
    if (!node || !rb_value_text(node, &word, r->errors))
        return;
    if (!rb_yaml_get(r->root, "calls"))
        rb_yaml_key_error(node, r->errors, "\"need\" stands without calls");
    else if (rb_text_is(word, "any"))
        d->calls.need = 1;
    else if (rb_text_is(word, "settled"))
        d->calls.need = RB_NEED_SETTLED;
    else if (rb_text_int64(word, &count) == RB_OK && count >= 1 &&
             count <= (int64_t)d->calls.count)
        d->calls.need = count;
    else if (!rb_text_is(word, "all") && d->calls.count > 0)
        rb_yaml_error(node, r->errors,
                      "expected all, any, settled or a number from 1 to %zu, got "
                      "\"" RB_TEXT_FMT "\"",
                      d->calls.count, RB_TEXT_ARG(word));
}

void rb_read_deadline(struct rb_reading *r, const struct rb_yaml *node) {
    struct rb_definition *d = r->definition;
    if (!node || !rb_value_duration(node, 1, DAY_MS, &d->calls.deadline_ms, r->errors))
        return;
    if (!rb_yaml_get(r->root, "calls"))
        rb_yaml_key_error(node, r->errors, "\"deadline\" stands without calls");
    else if (d->timeout.total > 0 && d->calls.deadline_ms > d->timeout.total)
        rb_yaml_error(node, r->errors,
                      "deadline must not be above timeout.total (%lldms)",
                      (long long)d->timeout.total);
}

void rb_calls_free(struct rb_definition *definition) {
    for (size_t i = 0; i < definition->calls.count; i++) {
        free(definition->calls.legs[i].name);
        rb_definition_free(definition->calls.legs[i].definition);
    }
    free(definition->calls.legs);
}
