/* What of the settings a running worker can take over, and how. */
#include "worker/reload.h"

#include <time.h>

#include "jobs/definition_tls.h"
#include "worker/call.h"
#include "worker/claim.h"
#include "worker/stats.h"
#include "worker/ticks.h"
#include "worker/worker.h"

static struct rb_network *network_of(const struct rb_list *rules) {
    struct rb_network *network = rb_network_new();
    struct rb_error error;
    for (size_t i = 0; network && i < rules->count; i++)
        if (rb_network_add(network, rb_text_of(rules->items[i]), &error) != RB_OK) {
            rb_network_free(network);
            return NULL; /* out of memory: the settings have checked the words */
        }
    return network;
}

/* Each call in flight needs a descriptor. */
static void set_limit(struct rb_worker *w) {
    int64_t wanted = w->live->worker.max_in_flight;
    w->limit = wanted < w->connections_max ? wanted : w->connections_max;
    if (w->limit < wanted)
        rb_log(RB_LOG_WARN, "worker.in_flight_limited", RB_I("max_in_flight", wanted),
               RB_I("limit", w->limit),
               RB_S("why", "the limit of open files (RLIMIT_NOFILE) is too low"));
    rb_stats_set(w->stats, RB_STAT_IN_FLIGHT_LIMIT, w->limit);
}

enum rb_status rb_reload_apply(struct rb_worker *w) {
    struct rb_network *allow = network_of(&w->live->worker.network_allow);
    struct rb_network *deny = network_of(&w->live->worker.network_deny);
    if (!allow || !deny) {
        rb_network_free(allow);
        rb_network_free(deny);
        return RB_NOMEM;
    }
    rb_caller_set_network(w->caller, allow, deny);
    rb_network_free(w->allow);
    rb_network_free(w->deny);
    w->allow = allow;
    w->deny = deny;
    w->policy.max_events = w->live->channels.max_events;
    w->policy.ttl_ms = w->live->channels.ttl;
    w->policy.max_data = w->live->channels.max_data;
    set_limit(w);
    return RB_OK;
}

static void warn_of(const struct rb_definition *d, const char *leg, int64_t now_s) {
    if (d->tls && d->tls->certificate && d->tls->valid_until < now_s)
        rb_log(RB_LOG_WARN, "tls.certificate_expired", RB_S("service", d->service),
               RB_S("call", leg));
}

void rb_reload_warn(const struct rb_services *services, int64_t now_s) {
    for (size_t i = 0; i < rb_services_count(services); i++) {
        const struct rb_definition *d = rb_services_at(services, i);
        warn_of(d, "", now_s);
        for (size_t k = 0; k < d->calls.count; k++)
            warn_of(d->calls.legs[k].definition, d->calls.legs[k].name, now_s);
    }
}

static void on_fixed_change(void *ctx, const char *key) {
    (void)ctx;
    rb_log(RB_LOG_WARN, "worker.needs_restart", RB_S("key", key));
}

static void refuse(struct rb_worker *w, const struct rb_program *program,
                   struct rb_settings *settings) {
    rb_settings_free(settings);
    rb_log_setup(program->name, (enum rb_log_level)w->live->log.level,
                 (enum rb_log_format)w->live->log.format);
    rb_log(RB_LOG_ERROR, "worker.reload_refused",
           RB_S("why", "the mistakes are printed above; nothing was changed"));
}

void rb_reload(struct rb_worker *w, const struct rb_worker_options *options) {
    struct rb_services *services = NULL;
    struct rb_errors errors = {0};
    struct rb_settings *settings =
        rb_options_settings(options->program, options->options);
    if (!settings ||
        rb_services_load(settings->worker.services, &services, &errors) != RB_OK) {
        rb_errors_print(&errors);
        refuse(w, options->program, settings);
        return;
    }
    struct rb_settings *before = w->live;
    w->live = settings;
    if (rb_reload_apply(w) != RB_OK) {
        w->live = before;
        rb_services_unref(services);
        refuse(w, options->program, settings);
        return;
    }
    rb_settings_fixed_changes(w->settings, settings, on_fixed_change, NULL);
    if (before != w->settings)
        rb_settings_free(before);
    rb_services_unref(w->services);
    w->services = services;
    rb_claims_poke(w);
    rb_ticks_run(w);
    rb_log(RB_LOG_INFO, "worker.reloaded", RB_I("services", rb_services_count(services)),
           RB_I("max_in_flight", w->limit));
    rb_reload_warn(services, time(NULL));
}
