/* ringback enqueue: one job, checked here as far as it can be, and its result if wanted.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "config/clock.h"
#include "config/process.h"
#include "jobs/cli/hearing.h"
#include "jobs/cli/wait.h"
#include "jobs/name.h"
#include "jobs/params.h"
#include "jobs/services.h"

struct order {
    struct rb_cli *cli;
    struct rb_job job;
    struct rb_text queue;
    const struct rb_definition *definition; /* NULL: not known here */
    bool wait, unchecked;
    int64_t timeout_ms;
    char id[33];
    char channel[RB_CHANNEL_MAX + 1];
};

static json_t *load_json(const struct rb_cli *cli, const char *what,
                         struct rb_text text) {
    json_error_t error;
    json_t *value =
        json_loadb(text.at, text.len,
                   JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (!value)
        rb_cli_misuse(cli, "%s: not JSON: %s", what, error.text);
    return value;
}

/* "key=value": the type is what the definition says of the parameter, where there is one;
 * text that does not read as that type stays text, and the check names it. */
static json_t *typed(const struct order *o, struct rb_text name, struct rb_text text) {
    enum rb_param_type type = RB_PARAM_STRING;
    if (o->definition)
        type = rb_params_type(o->definition->params, name);
    if (type == RB_PARAM_STRING || type == RB_PARAM_TYPES)
        return json_stringn(text.at, text.len);
    json_t *value =
        json_loadb(text.at, text.len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    return value ? value : json_stringn(text.at, text.len);
}

static void add_param(const struct order *o, const char *word) {
    const char *equals = strchr(word, '=');
    if (!equals || equals == word || (equals == word + 1 && word[0] == ':'))
        rb_cli_misuse(o->cli, "expected KEY=VALUE or KEY:=JSON, got \"%s\"", word);
    bool json = equals[-1] == ':';
    struct rb_text name = rb_text(word, (size_t)(equals - word) - (json ? 1 : 0));
    struct rb_text text = rb_text_of(equals + 1);
    char *key = rb_text_copy(name);
    json_t *value = json ? load_json(o->cli, word, text) : typed(o, name, text);
    if (!value && key && !rb_text_utf8(text))
        rb_cli_misuse(o->cli, "%s: the value is not UTF-8", key);
    if (!key || json_object_set_new(o->job.params, key, value) != 0)
        rb_cli_misuse(o->cli, "\"%s\" can't be a parameter", word);
    free(key);
}

static void read_params_file(struct order *o, const char *path) {
    size_t len;
    char *text = rb_cli_read_all(path, RB_JOB_MAX_BYTES, &len);
    if (!text)
        exit(RB_EXIT_FAILURE);
    json_t *params = load_json(o->cli, "--params", rb_text(text, len));
    free(text);
    if (!json_is_object(params))
        rb_cli_misuse(o->cli, "--params: expected a JSON object");
    json_decref(o->job.params);
    o->job.params = params;
}

/* Definitions are the workers' own; on a host that has none, the job goes as it is. */
static struct rb_services *load_services(const struct order *o) {
    struct rb_errors errors = {0};
    struct rb_services *services = NULL;
    const char *folder = o->cli->settings->worker.services;
    if (o->unchecked)
        return NULL;
    enum rb_status status = rb_services_load(folder, &services, &errors);
    if (status == RB_OK && rb_services_count(services) > 0)
        return services;
    if (status == RB_OK)
        rb_services_unref(services);
    else if (status != RB_SYSTEM)
        rb_cli_say("the definitions in %s have mistakes, so the job is sent unchecked "
                   "(ringback check tells them)",
                   folder);
    return NULL;
}

static bool find_definition(struct order *o, const struct rb_services *services) {
    struct rb_text service = rb_text_of(o->job.service);
    o->definition = rb_services_find(services, service);
    if (o->definition)
        return true;
    const char *nearest = rb_services_nearest(services, service);
    rb_cli_say("no service \"%s\"%s%s%s (--unchecked sends the job all the same)",
               o->job.service, nearest ? "; did you mean \"" : "", nearest ? nearest : "",
               nearest ? "\"?" : "");
    return false;
}

/* Checks the parameters, and finds the channel that the definition gives. */
static bool follow_definition(struct order *o) {
    json_t *params = NULL;
    struct rb_error error;
    struct rb_buffer channel;
    rb_buffer_init(&channel, RB_CHANNEL_MAX);
    enum rb_status status = rb_definition_check(o->definition, &o->job, &params, &error);
    if (status == RB_OK && !o->job.channel) {
        status = rb_definition_channel(o->definition, &o->job, params, &channel, &error);
        if (status == RB_OK)
            o->job.channel = rb_buffer_detach(&channel, NULL);
        else if (status == RB_NOT_FOUND)
            status = RB_OK;
    }
    json_decref(params);
    rb_buffer_fini(&channel);
    if (status != RB_OK)
        rb_cli_say("%s", status == RB_INVALID ? error.text : rb_status_text(status));
    return status == RB_OK;
}

static bool write_job(const struct order *o, struct rb_buffer *json) {
    struct rb_job again;
    struct rb_error error;
    rb_job_write(&o->job, json);
    if (json->status != RB_OK) {
        rb_cli_say("the job is too large");
        return false;
    }
    enum rb_status status = rb_job_parse(rb_buffer_view(json), &again, &error);
    rb_job_fini(&again);
    if (status != RB_OK)
        rb_cli_say("%s", error.text);
    return status == RB_OK;
}

static void on_pushed(void *ctx, enum rb_status status, const struct redisReply *reply) {
    *(bool *)ctx = rb_cli_understood("RPUSH", status, reply, REDIS_REPLY_INTEGER);
}

static bool push(const struct order *o, struct rb_text json) {
    bool pushed = false;
    struct rb_key key;
    rb_key_queue(&o->cli->keys, o->queue, &key);
    const struct rb_text argv[] = {RB_TEXT("RPUSH"), rb_key_text(&key), json};
    rb_cli_ask(o->cli, on_pushed, &pushed, 3, argv);
    rb_cli_settle(o->cli);
    return pushed;
}

static void print_receipt(const struct order *o) {
    struct rb_buffer line;
    rb_buffer_init(&line, 4096);
    rb_buffer_string(&line, "{\"id\":");
    rb_buffer_json(&line, rb_text_of(o->job.id));
    rb_buffer_string(&line, ",\"queue\":");
    rb_buffer_json(&line, o->queue);
    if (o->job.channel) {
        rb_buffer_string(&line, ",\"channel\":");
        rb_buffer_json(&line, rb_text_of(o->job.channel));
    }
    rb_buffer_string(&line, "}");
    if (line.status == RB_OK)
        puts(line.at);
    rb_buffer_fini(&line);
}

/* The cursor is taken before the job is sent: a result can't come too early for it. */
static int send_job(struct order *o) {
    struct rb_buffer json;
    struct rb_stream_id since = {0, 0};
    int code = RB_EXIT_FAILURE;
    rb_buffer_init(&json, RB_JOB_MAX_BYTES);
    if (!write_job(o, &json))
        goto out;
    code = rb_cli_connect(o->cli);
    if (code != 0)
        goto out;
    code = RB_EXIT_FAILURE;
    if (o->wait && !rb_hearing_now(o->cli, rb_text_of(o->job.channel), &since))
        goto out;
    if (!push(o, rb_buffer_view(&json)))
        goto out;
    code = RB_EXIT_OK;
    if (!o->wait)
        print_receipt(o);
    else
        code = rb_cli_wait(o->cli, rb_text_of(o->job.channel), since,
                           rb_text_of(o->job.id), o->timeout_ms);
out:
    rb_buffer_fini(&json);
    return code;
}

static int order(struct order *o, const char *params, char **words) {
    struct rb_services *services = load_services(o);
    int code = RB_EXIT_FAILURE;
    if (services && !find_definition(o, services))
        goto out;
    if (params)
        read_params_file(o, params);
    for (; *words; words++)
        add_param(o, *words);
    if (o->definition && !follow_definition(o))
        goto out;
    if (o->wait && !o->job.channel) {
        snprintf(o->channel, sizeof o->channel, "job:%s", o->job.id);
        o->job.channel = rb_text_copy(rb_text_of(o->channel));
    }
    code = send_job(o);
out:
    if (services)
        rb_services_unref(services);
    return code;
}

static void make_id(struct order *o, const char *given) {
    rb_process_random_hex(o->id, 16);
    o->job.id = rb_text_copy(rb_text_of(given ? given : o->id));
}

static int run(struct rb_cli *cli, char **argv) {
    const char *channel = NULL, *queue = NULL, *id = NULL, *expires = NULL, *delay = NULL;
    const char *unique = NULL, *trace = NULL, *params = NULL, *timeout = NULL;
    struct order o = {.cli = cli};
    const struct rb_cli_option options[] = {{"--channel", &channel, NULL},
                                            {"--queue", &queue, NULL},
                                            {"--id", &id, NULL},
                                            {"--expires", &expires, NULL},
                                            {"--delay", &delay, NULL},
                                            {"--unique", &unique, NULL},
                                            {"--trace", &trace, NULL},
                                            {"--params", &params, NULL},
                                            {"--timeout", &timeout, NULL},
                                            {"--wait", NULL, &o.wait},
                                            {"--unchecked", NULL, &o.unchecked},
                                            {NULL, NULL, NULL}};
    if (rb_cli_read(cli, options, argv) < 1)
        rb_cli_misuse(cli, "expected a service");
    o.timeout_ms = rb_cli_duration(cli, "--timeout", timeout, 60000);
    int64_t now_ms = rb_clock_unix_ms();
    int64_t expires_ms = rb_cli_duration(cli, "--expires", expires, 0);
    int64_t delay_ms = rb_cli_duration(cli, "--delay", delay, 0);
    int code = rb_cli_settings(cli);
    if (code != 0)
        return code;
    o.queue = rb_text_of(queue ? queue : cli->settings->worker.queues.items[0]);
    if (!rb_name_is_queue(o.queue))
        rb_cli_misuse(cli, "--queue: \"%s\" is no queue's name", queue);
    make_id(&o, id);
    o.job.service = rb_text_copy(rb_text_of(argv[0]));
    o.job.params = json_object();
    o.job.channel = channel ? rb_text_copy(rb_text_of(channel)) : NULL;
    o.job.unique = unique ? rb_text_copy(rb_text_of(unique)) : NULL;
    o.job.trace = trace ? rb_text_copy(rb_text_of(trace)) : NULL;
    o.job.at = now_ms;
    o.job.expires = expires ? now_ms + expires_ms : 0;
    o.job.run_at = delay ? now_ms + delay_ms : 0;
    code = order(&o, params, argv + 1);
    rb_job_fini(&o.job);
    return code;
}

const struct rb_verb rb_verb_enqueue = {
    .name = "enqueue",
    .usage = "SERVICE [KEY=VALUE | KEY:=JSON]… [OPTION]…",
    .summary = "Pushes a job, and waits for its result if asked to.",
    .help =
        "KEY=VALUE has the type that the service's definition says, where definitions "
        "can\n"
        "be read (worker.services), else it is a string; KEY:=JSON is any JSON. Where "
        "they\n"
        "can be read the job is checked before it is sent. Prints the job's id, queue "
        "and\n"
        "channel as JSON, or with --wait the terminal event.\n"
        "\n"
        "  --channel C          where the result goes; else the definition's channel\n"
        "  --queue Q            else the first of worker.queues\n"
        "  --id ID              else a random one\n"
        "  --params FILE|-      parameters as a JSON object; those named add to it\n"
        "  --expires DURATION   after it nobody waits any more\n"
        "  --delay DURATION     not to be run before\n"
        "  --unique KEY         only if no job with this key is on its way\n"
        "  --trace TRACEPARENT  W3C trace context, passed on to the service\n"
        "  --unchecked          sends it whatever the definitions say\n"
        "  --wait               waits for the result: exit code 0 done, 1 failed; on a\n"
        "                       channel of its own when there is no other\n"
        "  --timeout DURATION   how long to wait, default 60s, 0 for ever; then exit\n"
        "                       code 124\n",
    .run = run,
};
