/* ringback check: are settings and definitions right, and is Redis what is needed. */
#include <stdio.h>
#include <stdlib.h>

#include "config/yaml.h"
#include "jobs/cli/cli.h"
#include "jobs/cli/explain.h"
#include "jobs/services.h"

static int check_folder(const struct rb_cli *cli) {
    struct rb_errors errors = {0};
    struct rb_services *services = NULL;
    enum rb_status status =
        rb_services_load(cli->settings->worker.services, &services, &errors);
    if (status != RB_OK) {
        rb_errors_print(&errors);
        return RB_EXIT_CONFIG;
    }
    size_t count = rb_services_count(services);
    for (size_t i = 0; i < count; i++)
        rb_cli_explain(rb_services_at(services, i));
    printf("%zu definition%s in %s\n", count, count == 1 ? "" : "s",
           cli->settings->worker.services);
    rb_services_unref(services);
    return RB_EXIT_OK;
}

static int check_files(char **files) {
    struct rb_errors errors = {0};
    for (; *files; files++) {
        struct rb_yaml *root = NULL;
        struct rb_definition *definition = NULL;
        if (rb_yaml_load(*files, &root, &errors) == RB_OK)
            definition = rb_definition_compile(*files, root, &errors);
        if (definition)
            rb_cli_explain(definition);
        rb_definition_free(definition);
        rb_yaml_free(root);
    }
    rb_errors_print(&errors);
    return errors.count > 0 ? RB_EXIT_CONFIG : RB_EXIT_OK;
}

struct server {
    char version[32];
    char policy[32];
    bool scripts;
};

static void take_line(struct rb_text info, const char *key, char *out, size_t size) {
    struct rb_text line;
    size_t len = strlen(key);
    while (rb_text_next(&info, '\n', &line)) {
        if (line.len <= len || memcmp(line.at, key, len) != 0)
            continue;
        struct rb_text value = rb_text(line.at + len, line.len - len);
        if (value.at[value.len - 1] == '\r')
            value.len--;
        snprintf(out, size, RB_TEXT_FMT, RB_TEXT_ARG(value));
    }
}

static void on_info(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct server *server = ctx;
    if (!rb_cli_understood("INFO", status, reply, REDIS_REPLY_STRING))
        return;
    struct rb_text info = rb_text(reply->str, reply->len);
    take_line(info, "redis_version:", server->version, sizeof server->version);
    take_line(info, "valkey_version:", server->version, sizeof server->version);
    take_line(info, "maxmemory_policy:", server->policy, sizeof server->policy);
}

static void on_script(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct server *server = ctx;
    server->scripts = rb_cli_understood("EVAL", status, reply, REDIS_REPLY_STATUS);
}

static int check_redis(struct rb_cli *cli) {
    char address[300];
    struct server server = {{0}, {0}, false};
    const struct rb_text info[] = {RB_TEXT("INFO")};
    const struct rb_text script[] = {RB_TEXT("EVAL"),
                                     RB_TEXT("return redis.call('PING')"), RB_TEXT("0")};
    int code = rb_cli_connect(cli);
    if (code != 0)
        return code;
    rb_redis_address_describe(&cli->address, address, sizeof address);
    rb_cli_ask(cli, on_info, &server, 1, info);
    if (cli->policy.scripts)
        rb_cli_ask(cli, on_script, &server, 3, script);
    rb_cli_settle(cli);
    printf("Redis %s at %s answers\n", server.version[0] ? server.version : "(?)",
           address);
    if (server.policy[0] && strcmp(server.policy, "noeviction") != 0)
        rb_cli_say("warning: maxmemory-policy is %s: when memory is short Redis throws "
                   "jobs away; set it to noeviction",
                   server.policy);
    if (cli->policy.scripts && !server.scripts) {
        rb_cli_say("scripts are not to be had: set worker.claim to blpop");
        return RB_EXIT_FAILURE;
    }
    return RB_EXIT_OK;
}

static int run(struct rb_cli *cli, char **argv) {
    bool connect = false;
    const struct rb_cli_option options[] = {{"--connect", NULL, &connect},
                                            {NULL, NULL, NULL}};
    size_t count = rb_cli_read(cli, options, argv);
    int code = rb_cli_settings(cli);
    int definitions = RB_EXIT_OK;
    if (count > 0)
        definitions = check_files(argv);
    else if (code == 0)
        definitions = check_folder(cli);
    if (code == 0)
        code = definitions;
    return code == 0 && connect ? check_redis(cli) : code;
}

const struct rb_verb rb_verb_check = {
    .name = "check",
    .usage = "[FILE…] [--connect]",
    .summary = "Checks settings and service definitions.",
    .help =
        "Reads the settings, and the definitions of worker.services or the given files.\n"
        "Tells every mistake as file:line:column; else says what each definition is.\n"
        "\n"
        "  --connect   also asks Redis whether it can do what is needed\n",
    .run = run,
};
