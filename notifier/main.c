/* ringback-notifier: holds browsers' connections and rings them back. */
#include <ev.h>
#include <llhttp.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "config/options.h"
#include "config/process.h"
#include "config/supervisor.h"
#include "jobs/libraries.h"
#include "jobs/redis_address.h"
#include "notifier/access.h"
#include "notifier/address_count.h"
#include "notifier/admin.h"
#include "notifier/listener.h"
#include "notifier/metrics.h"
#include "notifier/route.h"
#include "notifier/server.h"
#include "notifier/tls.h"

static void libraries(FILE *out) {
    rb_jobs_libraries(out);
    fprintf(out, ", llhttp %d.%d.%d, OpenSSL %s, zlib %s", LLHTTP_VERSION_MAJOR,
            LLHTTP_VERSION_MINOR, LLHTTP_VERSION_PATCH,
            OpenSSL_version(OPENSSL_VERSION_STRING), zlibVersion());
}

static const struct rb_program program = {
    .name = "ringback-notifier",
    .summary = "Holds browsers' connections and delivers the results they wait for.",
    .about = "A browser waits on a channel, at /wait/CHANNEL, by WebSocket, server-sent "
             "events or\nlong-poll, and gets each event of the channel as it comes, with "
             "those that the channel\nhas kept. Whoever loses the line goes on where it "
             "was. On a second listener, which is\nnot for browsers, a web app enqueues "
             "jobs and publishes events of its own, and monitoring\nreads metrics.\n",
    .libraries = libraries,
};

/* What the processes share, made before they fork. */
struct shared {
    struct rb_options options;
    struct rb_settings *settings;
    struct rb_redis_address redis;
    struct rb_addresses addresses;
    struct rb_metrics *metrics;
    struct rb_address_count *address_count;
    struct rb_tls_tickets tickets;
    int64_t max_files;
    int processes;
};

static struct rb_settings *reload(void *ctx) {
    struct shared *shared = ctx;
    return rb_options_settings(&program, &shared->options);
}

static int run(void *ctx, int row) {
    struct shared *shared = ctx;
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
    if (!loop) {
        rb_log(RB_LOG_ERROR, "notifier.no_event_loop", RB_I("row", row));
        return RB_EXIT_FAILURE;
    }
    if (shared->address_count)
        rb_address_count_attach(shared->address_count, row);
    const struct rb_server_options options = {
        .settings = shared->settings,
        .redis = &shared->redis,
        .addresses = &shared->addresses,
        .metrics = shared->metrics,
        .address_count = shared->address_count,
        .tickets = &shared->tickets,
        .handlers =
            {[RB_SIDE_PUBLIC] = rb_route_public, [RB_SIDE_ADMIN] = rb_route_admin},
        .row = row,
        .processes = shared->processes,
        .max_files = shared->max_files,
        .reload = reload,
        .ctx = shared};
    shared->settings = NULL; /* taken */
    struct rb_server *server = rb_server_new(loop, &options);
    if (server)
        rb_server_run(server);
    rb_server_free(server);
    ev_loop_destroy(loop);
    return server ? RB_EXIT_OK : RB_EXIT_UNAVAILABLE;
}

/* What every process will read, so that a mistake is told once and at once. */
static bool check_access(const struct rb_settings *settings) {
    struct rb_errors errors = {0};
    struct rb_access *access;
    bool good = rb_access_new(settings, &access, &errors) == RB_OK;
    rb_errors_print(&errors);
    rb_access_free(access);
    return good;
}

static bool check_tls(struct shared *shared) {
    struct rb_errors errors = {0};
    struct rb_tls *tls = NULL;
    if (!rb_tls_is_wanted(shared->settings))
        return true;
    rb_tls_tickets_make(&shared->tickets);
    bool good = rb_tls_new(shared->settings, &shared->tickets, &tls, &errors) == RB_OK;
    rb_errors_print(&errors);
    rb_tls_free(tls);
    return good;
}

static bool prepare(struct shared *shared) {
    const struct rb_settings *settings = shared->settings;
    shared->max_files = rb_process_prepare();
    shared->processes = rb_supervisor_processes(settings->notifier.processes);
    shared->metrics = rb_notifier_metrics_new(shared->processes);
    int64_t max = settings->notifier.max_connections;
    if (max > shared->max_files * shared->processes)
        rb_log(RB_LOG_WARN, "notifier.few_files", RB_I("max_connections", max),
               RB_I("files_a_process", shared->max_files),
               RB_I("processes", shared->processes));
    if (settings->notifier.max_connections_per_address == 0)
        return true;
    if (max > shared->max_files)
        max = shared->max_files;
    shared->address_count = rb_address_count_new(shared->processes, (uint32_t)max);
    if (!shared->address_count)
        fprintf(stderr, "%s: out of memory\n", program.name);
    return shared->address_count != NULL;
}

static int claim_and_run(struct shared *shared) {
    struct rb_error error = {0};
    if (rb_addresses_claim(shared->settings, shared->processes, &shared->addresses,
                           &error) != RB_OK) {
        fprintf(stderr, "%s: %s\n", program.name, error.text);
        return RB_EXIT_UNAVAILABLE;
    }
    if (shared->options.check) {
        rb_addresses_release(&shared->addresses, true);
        return RB_EXIT_OK;
    }
    int code = rb_supervisor_run(program.name, shared->processes, run, shared);
    rb_addresses_release(&shared->addresses, true);
    return code;
}

int main(int argc, char **argv) {
    struct shared shared = {0};
    struct rb_error error = {0};
    int code = RB_EXIT_CONFIG;
    rb_options_read(&program, argc, argv, &shared.options);
    shared.settings = rb_options_settings(&program, &shared.options);
    if (!shared.settings)
        return RB_EXIT_CONFIG;
    if (rb_redis_address_of_settings(shared.settings, &shared.redis, &error) != RB_OK)
        rb_error_print(&error);
    else if (check_access(shared.settings) && check_tls(&shared))
        code = prepare(&shared) ? claim_and_run(&shared) : RB_EXIT_FAILURE;
    rb_redis_address_fini(&shared.redis);
    rb_address_count_free(shared.address_count);
    rb_metrics_free(shared.metrics);
    rb_settings_free(shared.settings);
    return code;
}
