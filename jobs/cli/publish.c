/* ringback publish: an event of the app's own. */
#include <stdio.h>
#include <stdlib.h>

#include "config/clock.h"
#include "jobs/cli/cli.h"
#include "jobs/cli/publish_lines.h"
#include "jobs/event.h"
#include "jobs/json_scan.h"
#include "jobs/name.h"

#define DATA_LIMIT ((size_t)8 * 1024 * 1024)

struct outcome {
    const char *channel;
    int code;
};

static void on_published(void *ctx, const struct rb_published *published) {
    struct outcome *outcome = ctx;
    char id[RB_STREAM_ID_MAX + 1];
    if (published->status != RB_OK) {
        rb_cli_say("%s", published->status == RB_REFUSED
                             ? published->error
                             : rb_status_text(published->status));
        return;
    }
    rb_stream_id_write(published->id, id);
    printf("{\"id\":\"%s\",\"channel\":\"%s\",\"receivers\":%lld}\n", id,
           outcome->channel, (long long)published->receivers);
    outcome->code = RB_EXIT_OK;
}

/* JSON passes as it is, other text becomes a JSON string. */
static int publish(struct rb_cli *cli, const char *channel, const char *event,
                   struct rb_text data) {
    struct outcome outcome = {channel, RB_EXIT_FAILURE};
    struct rb_buffer text, json;
    const struct rb_event_head head = {.channel = rb_text_of(channel),
                                       .at = rb_clock_unix_ms()};
    rb_buffer_init(&text, 6 * DATA_LIMIT + 2);
    rb_buffer_init(&json, 7 * DATA_LIMIT);
    if (rb_json_check(data, NULL) != RB_OK) {
        rb_buffer_json(&text, data);
        data = rb_buffer_view(&text);
    }
    rb_event_custom(&json, &head, rb_text_of(event), data);
    if (text.status != RB_OK || json.status != RB_OK) {
        rb_cli_say("%s",
                   rb_status_text(text.status != RB_OK ? text.status : json.status));
    } else {
        const struct rb_publication publication = {
            .channel = head.channel,
            .terminal = strcmp(event, "done") == 0 || strcmp(event, "failed") == 0,
            .event = rb_buffer_view(&json),
        };
        rb_publish(cli->link, &cli->policy, &publication, on_published, &outcome);
        rb_cli_settle(cli);
    }
    rb_buffer_fini(&json);
    rb_buffer_fini(&text);
    return outcome.code;
}

static int run(struct rb_cli *cli, char **argv) {
    const char *event = "message";
    bool lines = false;
    const struct rb_cli_option options[] = {
        {"--event", &event, NULL}, {"--stdin", NULL, &lines}, {NULL, NULL, NULL}};
    char *input = NULL;
    size_t words = rb_cli_read(cli, options, argv);
    if (lines && words > 0)
        rb_cli_misuse(cli, "with --stdin each line names its channel");
    if (lines) {
        int failed = rb_cli_connect(cli);
        return failed != 0 ? failed : rb_cli_publish_lines(cli);
    }
    if (words != 2)
        rb_cli_misuse(cli, "expected a channel and data, or - to read data from stdin");
    if (!rb_name_is_channel(rb_text_of(argv[0])))
        rb_cli_misuse(cli, "\"%s\" is no channel's name", argv[0]);
    if (!rb_name_is_event(rb_text_of(event)))
        rb_cli_misuse(cli, "--event: \"%s\" is no event's name", event);
    struct rb_text data = rb_text_of(argv[1]);
    if (strcmp(argv[1], "-") == 0) {
        input = rb_cli_read_all("-", DATA_LIMIT, &data.len);
        if (!input)
            return RB_EXIT_FAILURE;
        if (data.len > 0 && input[data.len - 1] == '\n')
            data.len--; /* it ends the line, it is not of the text */
        data.at = input;
    }
    int code = rb_cli_connect(cli);
    if (code == 0)
        code = publish(cli, argv[0], event, data);
    free(input);
    return code;
}

const struct rb_verb rb_verb_publish = {
    .name = "publish",
    .usage = "CHANNEL [--event NAME] DATA|-, or --stdin",
    .summary = "Publishes an event of your own on a channel.",
    .help =
        "DATA that is JSON is the event's data as it is; other text becomes a JSON\n"
        "string. - reads it from stdin. Prints the event's id and how many connections\n"
        "heard it at once (a notifier process is one, whatever waits behind it).\n"
        "\n"
        "  --event NAME   the event's name, default message; `done` and `failed` end\n"
        "                 the waiting of clients that wait until done\n"
        "  --stdin        reads messages, a line each, until there are no more:\n"
        "                 {\"channel\":\"c\",\"event\":\"name\",\"data\":…}; a line that "
        "is\n"
        "                 wrong is told and stops no other\n",
    .run = run,
};
