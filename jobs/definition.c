/* A service definition: its sections in one table, and what is asked of it as a whole. */
#include "jobs/definition.h"

#include <stdlib.h>

#include "jobs/definition_section.h"
#include "jobs/definition_tls.h"
#include "jobs/name.h"
#include "jobs/params.h"
#include "jobs/schedule.h"
#include "jobs/yaml_value.h"

/* "stock-quote" of "jobs/services/stock-quote.yaml". */
static struct rb_text base_of(const char *file) {
    const char *slash = strrchr(file, '/');
    struct rb_text base = rb_text_of(slash ? slash + 1 : file);
    struct rb_text ending = RB_TEXT(".yaml");
    if (base.len > ending.len &&
        rb_text_equal(rb_text(base.at + base.len - ending.len, ending.len), ending))
        base.len -= ending.len;
    return base;
}

static void read_service(struct rb_reading *r, const struct rb_yaml *node) {
    struct rb_text base = base_of(r->definition->file);
    if (!rb_value_is(node, RB_YAML_SCALAR, r->errors))
        return;
    r->definition->service = rb_value_string(node, r->errors);
    if (!r->definition->service)
        return;
    if (!rb_name_is_service(node->text))
        rb_yaml_error(node, r->errors,
                      "\"" RB_TEXT_FMT
                      "\" can't name a service: expected a-z, 0-9, _ and "
                      "-, not _ or - in front, 64 at most",
                      RB_TEXT_ARG(node->text));
    else if (!rb_text_equal(node->text, base))
        rb_yaml_error(node, r->errors,
                      "expected \"" RB_TEXT_FMT "\", which the file is called, got "
                      "\"" RB_TEXT_FMT "\"",
                      RB_TEXT_ARG(base), RB_TEXT_ARG(node->text));
}

static void read_description(struct rb_reading *r, const struct rb_yaml *node) {
    if (node)
        r->definition->description = rb_value_string(node, r->errors);
}

static void read_params(struct rb_reading *r, const struct rb_yaml *node) {
    r->definition->params = rb_params_compile(node, r->errors);
}

static void read_channel(struct rb_reading *r, const struct rb_yaml *node) {
    /* A secret must not get into a name that browsers see. */
    struct rb_template_names names = {r->names.params, NULL};
    if (node)
        r->definition->channel =
            rb_template_compile(node, RB_PLACE_CHANNEL, &names, r->errors);
    const struct rb_template *channel = r->definition->channel;
    if (!channel || !rb_template_is_constant(channel))
        return;
    if (!rb_name_is_channel(node->text))
        rb_yaml_error(node, r->errors, "expected 1 to 128 characters, got %zu",
                      node->text.len);
    else if (rb_name_is_stand_in(node->text))
        rb_yaml_error(node, r->errors, "%s", rb_name_stand_in);
}

static void read_request(struct rb_reading *r, const struct rb_yaml *node) {
    if (node)
        rb_read_request(r, node);
    else if (!rb_yaml_get(r->root, "calls"))
        rb_yaml_error(r->root, r->errors, "\"request\" is missing");
}

static const struct section {
    const char *key;
    bool required;
    rb_section_fn *read;
} sections[] = {
    {"service", true, read_service},
    {"description", false, read_description},
    {"params", false, read_params},
    {"channel", false, read_channel},
    {"request", false, read_request},
    {"tls", false, rb_read_tls},
    {"redirects", false, rb_read_redirects},
    {"secrets", false, rb_read_secrets},
    {"timeout", false, rb_read_timeout},
    {"result", false, rb_read_result},
    {"progress", false, rb_read_progress},
    {"network", false, rb_read_network},
    {"retry", false, rb_read_retry},
    {"hedge", false, rb_read_hedge},
    {"calls", false, rb_read_calls},
    {"need", false, rb_read_need},
    {"deadline", false, rb_read_deadline},
    {"concurrency", false, rb_read_concurrency},
    {"rate_limit", false, rb_read_rate_limit},
    {"circuit_breaker", false, rb_read_circuit_breaker},
    {"cache", false, rb_read_cache},
    {"max_queue_time", false, rb_read_max_queue_time},
    {"cancel_when_alone", false, rb_read_cancel_when_alone},
    {"schedule", false, rb_read_schedule},
    {"time_zone", false, rb_read_of_schedule},
    {"schedule_params", false, rb_read_of_schedule},
};
#define SECTIONS (sizeof sections / sizeof sections[0])

/* The keys of a mapping, ended by NULL; borrowed from the tree, but for the array. */
static const char **keys_of(const struct rb_yaml *node) {
    size_t count = node && node->kind == RB_YAML_MAPPING ? node->count : 0;
    const char **keys = calloc(count + 1, sizeof *keys);
    for (size_t i = 0; i < count && keys; i++)
        keys[i] = node->items[i].key.at;
    return keys;
}

static void read_sections(struct rb_reading *r) {
    const char *known[SECTIONS + 1] = {NULL};
    for (size_t i = 0; i < SECTIONS; i++)
        known[i] = sections[i].key;
    rb_yaml_only(r->root, known, r->errors);
    if (r->root->kind != RB_YAML_MAPPING)
        return;
    for (size_t i = 0; i < SECTIONS; i++) {
        const struct rb_yaml *node = rb_yaml_get(r->root, sections[i].key);
        if (node || !sections[i].required)
            sections[i].read(r, node);
        else
            rb_yaml_error(r->root, r->errors, "\"%s\" is missing", sections[i].key);
    }
}

struct rb_definition *rb_definition_compile(const char *file, const struct rb_yaml *root,
                                            struct rb_errors *errors) {
    size_t before = errors->count;
    struct rb_definition *definition = calloc(1, sizeof *definition);
    const char **params = keys_of(rb_yaml_get(root, "params"));
    const char **secrets = keys_of(rb_yaml_get(root, "secrets"));
    if (definition)
        definition->file = rb_text_copy(rb_text_of(file));
    if (definition && definition->file && params && secrets) {
        struct rb_reading r = {definition, root, {params, secrets}, errors};
        read_sections(&r);
    } else {
        rb_errors_add(errors, file, 0, 0, "out of memory");
    }
    free(params);
    free(secrets);
    if (errors->count == before)
        return definition;
    rb_definition_free(definition);
    return NULL;
}

void rb_definition_free(struct rb_definition *definition) {
    if (!definition)
        return;
    free(definition->service);
    free(definition->description);
    free(definition->file);
    rb_params_free(definition->params);
    json_decref(definition->secrets);
    rb_template_free(definition->channel);
    rb_request_template_free(definition->request);
    rb_call_tls_free(definition->tls);
    rb_redirects_fini(&definition->redirects);
    rb_result_free(definition);
    rb_calls_free(definition);
    rb_network_free(definition->network.allow);
    rb_network_free(definition->network.deny);
    rb_schedule_free(definition->schedule);
    free(definition);
}

enum rb_status rb_definition_check(const struct rb_definition *definition,
                                   const struct rb_job *job, json_t **params,
                                   struct rb_error *error) {
    return rb_params_check(definition->params, job->params, params, error);
}

enum rb_status rb_definition_channel(const struct rb_definition *definition,
                                     const struct rb_job *job, const json_t *params,
                                     struct rb_buffer *out, struct rb_error *error) {
    size_t begin = out->len;
    struct rb_template_values values = {
        .params = params,
        .job_id = rb_text_of(job->id),
        .service = rb_text_of(definition->service),
    };
    if (!definition->channel) {
        rb_error_set(error, NULL, 0, 0, "the job names no channel, and neither does %s",
                     definition->service);
        return RB_NOT_FOUND;
    }
    enum rb_status status = rb_template_render(definition->channel, &values, out, error);
    if (status != RB_OK)
        return status;
    struct rb_text channel = rb_text(out->at + begin, out->len - begin);
    if (rb_name_is_channel(channel))
        return RB_OK;
    return rb_error_set(error, NULL, 0, 0, "the channel's name would be %s",
                        channel.len > 0 ? "longer than 128 characters" : "empty");
}

bool rb_definition_success(const struct rb_definition *definition, int status) {
    return status >= 0 && status <= RB_DEFINITION_STATUS_MAX &&
           definition->result.success[status];
}
