/* `network:`: to which addresses the service's host may lead. */
#include "jobs/definition_section.h"
#include "jobs/section.h"
#include "jobs/yaml_value.h"

static struct rb_network *read_rules(struct rb_reading *r, const struct rb_yaml *node) {
    if (!node)
        return NULL;
    struct rb_network *network = rb_network_new();
    if (!network) {
        rb_yaml_error(node, r->errors, "out of memory");
        return NULL;
    }
    for (size_t i = 0; i < rb_value_count(node); i++) {
        const struct rb_yaml *item = rb_value_at(node, i);
        struct rb_text rule;
        struct rb_error error;
        if (rb_value_text(item, &rule, r->errors) &&
            rb_network_add(network, rule, &error) != RB_OK)
            rb_yaml_error(item, r->errors, "%s", error.text);
    }
    return network;
}

void rb_read_network(struct rb_reading *r, const struct rb_yaml *node) {
    static const char *const known[] = {"allow", "deny", NULL};
    if (!node || !rb_section_open(node, known, NULL, r->errors))
        return;
    r->definition->network.allow = read_rules(r, rb_yaml_get(node, "allow"));
    r->definition->network.deny = read_rules(r, rb_yaml_get(node, "deny"));
}
