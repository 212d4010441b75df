/* What a verb works with: settings, a link to Redis, and the loop run until it is done.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "config/buffer.h"
#include "config/clock.h"
#include "config/log.h"
#include "jobs/cli/cli.h"

void rb_cli_say(const char *format, ...) {
    va_list args;
    fputs("ringback: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

int rb_cli_settings(struct rb_cli *cli) {
    static const struct rb_program program = {.name = "ringback"};
    struct rb_error error;
    cli->settings = rb_options_settings(&program, &cli->options);
    if (!cli->settings)
        return RB_EXIT_CONFIG;
    /* People read what the command says; log lines are for those who ask. */
    rb_log_setup("ringback",
                 cli->verbose ? RB_LOG_DEBUG : (enum rb_log_level)(RB_LOG_ERROR + 1),
                 RB_LOG_TEXT);
    if (rb_redis_address_of_settings(cli->settings, &cli->address, &error) != RB_OK) {
        rb_error_print(&error);
        return RB_EXIT_CONFIG;
    }
    cli->keys.jobs = rb_text_of(cli->settings->redis.job_prefix);
    cli->keys.channels = rb_text_of(cli->settings->redis.channel_prefix);
    cli->policy = (struct rb_channel_policy){
        .keys = cli->keys,
        .max_events = cli->settings->channels.max_events,
        .ttl_ms = cli->settings->channels.ttl,
        .scripts = cli->settings->worker.claim != RB_CLAIM_BLPOP,
    };
    return 0;
}

static void on_state(void *ctx, bool up) {
    struct rb_cli *cli = ctx;
    if (cli->on_link)
        cli->on_link(cli->on_link_ctx, up);
}

static void on_late(struct ev_loop *loop, struct ev_timer *timer, int events) {
    (void)events;
    ev_timer_stop(loop, timer);
    *(bool *)timer->data = true;
}

/* One attempt's time and a little: who types a command wants to be told, not to wait. */
static bool wait_until_up(struct rb_cli *cli) {
    struct ev_timer timer;
    bool late = false;
    ev_now_update(cli->loop);
    ev_timer_init(&timer, on_late, (double)cli->settings->redis.connect_timeout / 1000,
                  0);
    timer.data = &late;
    ev_timer_start(cli->loop, &timer);
    while (!late && !rb_link_up(cli->link))
        ev_run(cli->loop, EVRUN_ONCE);
    ev_timer_stop(cli->loop, &timer);
    return rb_link_up(cli->link);
}

int rb_cli_connect(struct rb_cli *cli) {
    char address[300];
    int code = cli->settings ? 0 : rb_cli_settings(cli);
    if (code != 0)
        return code;
    const struct rb_link_options options = {
        .address = &cli->address,
        .name = "ringback",
        .connect_timeout_ms = cli->settings->redis.connect_timeout,
        .command_timeout_ms = cli->settings->redis.command_timeout,
        .on_state = on_state,
        .ctx = cli,
    };
    cli->loop = ev_loop_new(EVFLAG_AUTO);
    cli->link = cli->loop ? rb_link_new(cli->loop, &options) : NULL;
    if (!cli->link) {
        rb_cli_say("out of memory");
        return RB_EXIT_FAILURE;
    }
    if (wait_until_up(cli))
        return 0;
    rb_redis_address_describe(&cli->address, address, sizeof address);
    rb_cli_say("can't reach Redis at %s: %s", address, rb_link_last_error(cli->link));
    return RB_EXIT_UNAVAILABLE;
}

void rb_cli_ask(struct rb_cli *cli, rb_link_reply_fn *fn, void *ctx, size_t argc,
                const struct rb_text *argv) {
    rb_link_call(cli->link, 0, fn, ctx, argc, argv);
}

void rb_cli_settle(struct rb_cli *cli) {
    while (rb_link_outstanding(cli->link) > 0)
        ev_run(cli->loop, EVRUN_ONCE);
}

bool rb_cli_understood(const char *what, enum rb_status status,
                       const struct redisReply *reply, int type) {
    if (status == RB_REFUSED)
        rb_cli_say("%s: %s", what, reply->str);
    else if (status != RB_OK)
        rb_cli_say("%s: %s", what, rb_status_text(status));
    else if (reply->type != type)
        rb_cli_say("%s: Redis answered what was not expected", what);
    else
        return true;
    return false;
}

char *rb_cli_read_all(const char *path, size_t limit_bytes, size_t *len) {
    bool standard = strcmp(path, "-") == 0;
    FILE *in = standard ? stdin : fopen(path, "re");
    struct rb_buffer bytes;
    rb_buffer_init(&bytes, limit_bytes);
    while (in && !feof(in) && !ferror(in) && bytes.status == RB_OK) {
        char piece[16384];
        rb_buffer_add(&bytes, piece, fread(piece, 1, sizeof piece, in));
    }
    if (!in || ferror(in))
        rb_cli_say("%s: %s", standard ? "stdin" : path, strerror(errno));
    else if (bytes.status != RB_OK)
        rb_cli_say("%s: %s", standard ? "stdin" : path, rb_status_text(bytes.status));
    char *text = in && !ferror(in) ? rb_buffer_detach(&bytes, len) : NULL;
    rb_buffer_fini(&bytes);
    if (in && !standard)
        fclose(in);
    return text;
}

void rb_cli_fini(struct rb_cli *cli) {
    rb_link_free(cli->link);
    if (cli->loop)
        ev_loop_destroy(cli->loop);
    rb_redis_address_fini(&cli->address);
    rb_settings_free(cli->settings);
}
