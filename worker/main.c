/* ringback-worker: takes jobs off Redis, asks the slow services, publishes what they say.
 */
#include <curl/curl.h>
#include <stdio.h>

#include "config/options.h"
#include "config/process.h"
#include "config/supervisor.h"
#include "jobs/libraries.h"
#include "jobs/services.h"
#include "worker/stats.h"
#include "worker/worker.h"

static bool until_empty;

static const struct rb_switch switches[] = {
    {"drain", "work until the queues are empty, then end (for cron)", &until_empty},
    {0},
};

static void libraries(FILE *out) {
    rb_jobs_libraries(out);
    fprintf(out, ", libcurl %s", curl_version_info(CURLVERSION_NOW)->version);
}

static const struct rb_program program = {
    .name = "ringback-worker",
    .summary = "Takes jobs off Redis, asks the slow services, publishes what they say.",
    .switches = switches,
    .about =
        "A web app pushes a job, one JSON object, to a list of Redis; a worker claims "
        "it, calls\nthe HTTP service that the job names as its definition says, and "
        "publishes what comes of\nit on the job's channel, where browsers hear it "
        "from `ringback-notifier`. Any number of\nworkers share the queues. What a "
        "worker held that died goes to another one.\n\nAs a service it runs until it "
        "is stopped; with `--drain` it ends when there is no more to do.\n",
    .libraries = libraries,
};

static int child(void *ctx, int row) {
    struct rb_worker_options *options = ctx;
    rb_metrics_attach(options->metrics, row);
    return rb_worker_run(options);
}

int main(int argc, char **argv) {
    struct rb_options options;
    struct rb_services *services = NULL;
    struct rb_errors errors = {0};

    rb_options_read(&program, argc, argv, &options);
    int64_t descriptors = rb_process_prepare();
    struct rb_settings *settings = rb_options_settings(&program, &options);
    if (!settings)
        return RB_EXIT_CONFIG;
    if (rb_services_load(settings->worker.services, &services, &errors) != RB_OK) {
        rb_errors_print(&errors);
        rb_settings_free(settings);
        return RB_EXIT_CONFIG;
    }
    if (options.check) {
        int code = rb_worker_check(settings, services);
        rb_services_unref(services);
        rb_settings_free(settings);
        return code;
    }
    int processes = rb_supervisor_processes(settings->worker.processes);
    struct rb_worker_options worker = {
        .program = &program,
        .options = &options,
        .settings = settings,
        .services = services,
        .metrics = rb_stats_metrics(processes),
        .descriptors = descriptors,
        .until_empty = until_empty,
    };
    int code = rb_supervisor_run(program.name, processes, child, &worker);
    rb_metrics_free(worker.metrics);
    if (processes > 1) { /* else the child, which is this process, has freed them */
        rb_services_unref(services);
        rb_settings_free(settings);
    }
    return code;
}
