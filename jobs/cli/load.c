/* Opens the many clients, counts what they hear, and says so once a second. */
#include "jobs/cli/load.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "config/clock.h"
#include "config/histogram.h"
#include "config/process.h"
#include "jobs/cli/load_client.h"
#include "jobs/cli/load_publish.h"
#include "jobs/event.h"
#include "jobs/name.h"

#define CLIENTS_MOST 1000000
#define RATE_MOST 1000000
#define OWN_DESCRIPTORS 32
#define OPENING_MOST 256 /* as many handshakes at once as a backlog takes */
#define OPEN_MS 15000
#define LATE_MS 3000 /* after the last event that came, what is missing is lost */

struct load {
    struct rb_cli *cli;
    struct rb_load_target target;
    struct rb_load_crowd crowd;
    struct rb_load_client *clients;
    uint32_t count, begun, opening, open, failed, closed;
    int64_t start_ms, opened_ms, for_ms, heard_ms;
    bool stopping;
    bool json;
    struct ev_timer second;
    struct rb_load_publisher publisher; /* rate 0: it does not publish */
    uint64_t events, told_events, lost, twice;
    struct rb_histogram late_us;
    char why[64]; /* the first failure */
};

/* ---- hearing ---- */

static int64_t number_behind(struct rb_text json, const char *key) {
    const char *at = memmem(json.at, json.len, key, strlen(key));
    int64_t value = 0;
    if (!at)
        return -1;
    for (at += strlen(key); at < json.at + json.len && *at >= '0' && *at <= '9'; at++)
        value = value < INT64_MAX / 16 ? value * 10 + (*at - '0') : value;
    return value;
}

static bool read_id(struct rb_text json, struct rb_stream_id *id) {
    const struct rb_text mark = RB_TEXT("{\"id\":\"");
    struct rb_text text;
    if (!rb_text_starts(json, mark))
        return false;
    json = rb_text(json.at + mark.len, json.len - mark.len);
    return rb_text_next(&json, '"', &text) && rb_stream_id_parse(text, id) == RB_OK;
}

/* By number: what is missing between is lost, what is not new came twice. */
static bool count_own(struct load *l, struct rb_load_client *client,
                      struct rb_text json) {
    int64_t number, sent_us;
    if (!rb_load_published(&l->publisher, json, &number, &sent_us))
        return false;
    if (number <= client->last) {
        l->twice++;
        return true;
    }
    client->last = number;
    rb_histogram_note(&l->late_us, rb_clock_us() - sent_us);
    return true;
}

/* Of events of others the id tells what came twice, and a gap what was lost. */
static bool count_foreign(struct load *l, struct rb_load_client *client,
                          struct rb_text json) {
    struct rb_event_view view;
    struct rb_stream_id id;
    int64_t at_ms = number_behind(json, ",\"at\":");
    rb_event_peek(json, &view);
    if (rb_text_is(view.event, "gap")) {
        l->lost++;
        return false;
    }
    if (at_ms >= 0 && at_ms < client->open_ms)
        return false; /* it was kept, and is no news */
    if (read_id(json, &id)) {
        if (rb_stream_id_compare(id, client->last_id) <= 0)
            l->twice++;
        client->last_id = id;
    }
    if (at_ms >= 0)
        rb_histogram_note(&l->late_us, (rb_clock_unix_ms() - at_ms) * 1000);
    return true;
}

static void on_text(void *ctx, struct rb_load_client *client, struct rb_text json) {
    struct load *l = ctx;
    bool counts = l->publisher.rate > 0 ? count_own(l, client, json)
                                        : count_foreign(l, client, json);
    if (!counts)
        return;
    l->events++;
    l->heard_ms = rb_clock_ms();
}

/* How many events of ours all clients together should have heard; those that were closed
 * too. */
static uint64_t expected(const struct load *l) {
    uint64_t listeners = l->publisher.channels > 1 ? 1 : l->count;
    return l->publisher.published * listeners;
}

/* ---- telling ---- */

static const char *as_ms(char room[32], uint64_t us) {
    snprintf(room, 32, us < 10000 ? "%.2fms" : "%.0fms", (double)us / 1000);
    return room;
}

static void tell_second(struct load *l) {
    char p50[32], p99[32];
    uint64_t per_s = l->events - l->told_events;
    uint64_t half = rb_histogram_at(&l->late_us, 0.5),
             most = rb_histogram_at(&l->late_us, 0.99);
    l->told_events = l->events;
    if (l->json)
        printf("{\"open\":%u,\"failed\":%u,\"closed\":%u,\"events\":%" PRIu64
               ",\"per_s\":%" PRIu64 ",\"p50_us\":%" PRIu64 ",\"p99_us\":%" PRIu64
               ",\"lost\":%" PRIu64 ",\"twice\":%" PRIu64 "}\n",
               l->open, l->failed, l->closed, l->events, per_s, half, most, l->lost,
               l->twice);
    else
        printf("open %u  failed %u  closed %u  events %" PRIu64 "  %" PRIu64
               "/s  p50 %s  p99 %s  lost %" PRIu64 "  twice %" PRIu64 "\n",
               l->open, l->failed, l->closed, l->events, per_s, as_ms(p50, half),
               as_ms(p99, most), l->lost, l->twice);
}

static void tell_summary_json(const struct load *l, double open_s) {
    printf("{\"clients\":%u,\"opened\":%u,\"open_s\":%.3f,\"failed\":%u,\"closed\":%u,"
           "\"published\":%" PRIu64 ",\"events\":%" PRIu64 ",\"lost\":%" PRIu64
           ",\"twice\":%" PRIu64 ",\"p50_us\":%" PRIu64 ",\"p90_us\":%" PRIu64
           ",\"p99_us\":%" PRIu64 ",\"max_us\":%" PRIu64 "}\n",
           l->count, l->open + l->closed, open_s, l->failed, l->closed,
           l->publisher.published, l->events, l->lost, l->twice,
           rb_histogram_at(&l->late_us, 0.5), rb_histogram_at(&l->late_us, 0.9),
           rb_histogram_at(&l->late_us, 0.99), l->late_us.max);
}

static void tell_summary(const struct load *l) {
    char p50[32], p90[32], p99[32], max[32];
    double open_s = (double)(l->opened_ms - l->start_ms) / 1000;
    if (l->json) {
        tell_summary_json(l, l->opened_ms > 0 ? open_s : -1);
        return;
    }
    printf("\n%u of %u clients opened", l->open + l->closed, l->count);
    if (l->opened_ms > 0)
        printf(" in %.2fs", open_s);
    printf(", %u failed, %u were closed later\n", l->failed, l->closed);
    if (l->publisher.rate > 0)
        printf("%" PRIu64 " events published, ", l->publisher.published);
    printf("%" PRIu64 " heard, %" PRIu64 " lost, %" PRIu64 " twice\n", l->events, l->lost,
           l->twice);
    if (l->late_us.count > 0)
        printf("late by p50 %s, p90 %s, p99 %s, at most %s\n",
               as_ms(p50, rb_histogram_at(&l->late_us, 0.5)),
               as_ms(p90, rb_histogram_at(&l->late_us, 0.9)),
               as_ms(p99, rb_histogram_at(&l->late_us, 0.99)),
               as_ms(max, l->late_us.max));
}

/* ---- the run ---- */

static void open_more(struct load *l) {
    while (!l->stopping && l->begun < l->count && l->opening < OPENING_MOST) {
        struct rb_load_client *client = &l->clients[l->begun];
        client->crowd = &l->crowd;
        client->number = l->begun++;
        l->opening++;
        rb_load_client_connect(client);
    }
}

/* All that can be open are. */
static void all_begun(struct load *l) {
    l->opened_ms = rb_clock_ms();
    if (l->publisher.rate > 0)
        rb_load_publisher_start(&l->publisher);
}

static void on_state(void *ctx, struct rb_load_client *client, const char *why) {
    struct load *l = ctx;
    if (client->state == RB_LOAD_CLOSED) {
        l->open--;
        l->closed++;
    } else {
        l->opening--;
        l->open += client->state == RB_LOAD_OPEN;
        l->failed += client->state == RB_LOAD_FAILED;
    }
    if (why && !l->why[0] && !l->stopping)
        snprintf(l->why, sizeof l->why, "%s", why);
    if (l->begun == l->count && l->opening == 0 && l->opened_ms == 0 && !l->stopping)
        all_begun(l);
}

static void end_late_handshakes(struct load *l, int64_t now_ms) {
    for (uint32_t i = 0; l->opening > 0 && i < l->begun; i++)
        if (l->clients[i].state == RB_LOAD_ASKS &&
            now_ms - l->clients[i].asked_ms > OPEN_MS)
            rb_load_client_end(&l->clients[i], "no answer in time");
}

static void stop(struct load *l) {
    if (l->stopping) /* asked twice: at once */
        ev_break(l->cli->loop, EVBREAK_ALL);
    l->stopping = true;
    l->heard_ms = rb_clock_ms();
    rb_load_publisher_stop(&l->publisher);
}

static void on_stop(void *ctx) { stop(ctx); }

/* What was published shortly before is still on its way. */
static bool is_over(const struct load *l, int64_t now_ms) {
    if (!l->stopping)
        return false;
    if (l->publisher.rate == 0 || l->open == 0 || now_ms - l->heard_ms > LATE_MS)
        return true;
    return rb_link_outstanding(l->cli->link) == 0 && l->events - l->twice >= expected(l);
}

static void on_second(struct ev_loop *loop, struct ev_timer *timer, int events) {
    struct load *l = timer->data;
    int64_t now_ms = rb_clock_ms();
    (void)events;
    end_late_handshakes(l, now_ms);
    if (l->for_ms > 0 && l->opened_ms > 0 && now_ms - l->opened_ms >= l->for_ms &&
        !l->stopping)
        stop(l);
    if (l->begun == l->count && l->opening == 0 && l->open == 0)
        l->stopping = true; /* nobody is left */
    tell_second(l);
    if (is_over(l, now_ms) || ferror(stdout))
        ev_break(loop, EVBREAK_ALL);
}

/* New connections are begun between the turns of the loop, never from inside a callback
 * of one. */
static void on_turn(struct ev_loop *loop, struct ev_prepare *watcher, int events) {
    (void)loop;
    (void)events;
    open_more(watcher->data);
}

static int run(struct load *l) {
    struct ev_loop *loop = l->cli->loop;
    struct rb_signals signals;
    struct ev_prepare turn;
    ev_prepare_init(&turn, on_turn);
    turn.data = l;
    ev_prepare_start(loop, &turn);
    ev_timer_init(&l->second, on_second, 1, 1);
    l->second.data = l;
    ev_timer_start(loop, &l->second);
    rb_signals_start(&signals, loop, on_stop, NULL, l);
    l->start_ms = rb_clock_ms();
    ev_run(loop, 0);
    rb_signals_stop(&signals, loop);
    ev_timer_stop(loop, &l->second);
    ev_prepare_stop(loop, &turn);
    rb_load_publisher_stop(&l->publisher);
    if (l->publisher.rate > 0 && expected(l) > l->events - l->twice)
        l->lost = expected(l) - (l->events - l->twice);
    tell_summary(l);
    if (l->why[0])
        rb_cli_say("the first that failed or was closed: %s", l->why);
    if (l->publisher.failed > 0)
        rb_cli_say("%" PRIu64 " events were not published: %s", l->publisher.failed,
                   l->publisher.why);
    bool well =
        l->open == l->count && l->lost == 0 && l->twice == 0 && l->publisher.failed == 0;
    return well ? RB_EXIT_OK : RB_EXIT_FAILURE;
}

/* ---- the command line ---- */

static int64_t read_number(const struct rb_cli *cli, const char *option, const char *text,
                           int64_t most) {
    int64_t value = 0;
    if (text &&
        (rb_text_int64(rb_text_of(text), &value) != RB_OK || value < 1 || value > most))
        rb_cli_misuse(cli, "%s: expected a number from 1 to %lld, got \"%s\"", option,
                      (long long)most, text);
    return value;
}

static void read_words(struct load *l, const struct rb_load_words *words) {
    struct rb_buffer name;
    if (!words->clients)
        rb_cli_misuse(l->cli, "--url, --publish, --for and --token need --clients");
    l->count = (uint32_t)read_number(l->cli, "--clients", words->clients, CLIENTS_MOST);
    l->publisher.rate = read_number(l->cli, "--publish", words->publish, RATE_MOST);
    l->for_ms = rb_cli_duration(l->cli, "--for", words->duration, 0);
    l->json = words->json;
    rb_buffer_init(&name, RB_CHANNEL_MAX + 16);
    if (!rb_load_channel(words->channel, l->count - 1, &name))
        rb_cli_misuse(l->cli, "\"%s\" is no channel's name", words->channel);
    rb_buffer_fini(&name);
    for (const char *c = words->token; c && *c; c++)
        if (*c <= ' ' || *c > '~')
            rb_cli_misuse(l->cli, "--token: that is none");
    l->crowd.channel = l->publisher.channel = words->channel;
    l->crowd.token = words->token;
    l->publisher.channels = strstr(words->channel, "{n}") ? l->count : 1;
}

/* Settings, a loop, and a link to Redis where it publishes. */
static int prepare(struct load *l, const char *url) {
    struct rb_error error;
    int64_t descriptors = rb_process_prepare();
    int code = rb_cli_settings(l->cli);
    if (code != 0)
        return code;
    if (descriptors < (int64_t)l->count + OWN_DESCRIPTORS) {
        rb_cli_say("%u clients need %u descriptors, and this process may have %lld: see "
                   "ulimit -n",
                   l->count, l->count + OWN_DESCRIPTORS, (long long)descriptors);
        return RB_EXIT_FAILURE;
    }
    enum rb_status status =
        rb_load_target_find(url, l->cli->settings, &l->target, &error);
    if (status == RB_INVALID)
        rb_cli_misuse(l->cli, "%s", error.text);
    if (status != RB_OK) {
        rb_cli_say("%s", error.text);
        return RB_EXIT_UNAVAILABLE;
    }
    if (l->publisher.rate > 0)
        return rb_cli_connect(l->cli);
    l->cli->loop = ev_loop_new(EVFLAG_AUTO);
    return l->cli->loop ? 0 : RB_EXIT_FAILURE;
}

int rb_cli_load(struct rb_cli *cli, const struct rb_load_words *words) {
    struct load *l = calloc(1, sizeof *l);
    if (!l)
        return RB_EXIT_FAILURE;
    l->cli = l->publisher.cli = cli;
    read_words(l, words);
    int code = prepare(l, words->url);
    l->clients = code == 0 ? calloc(l->count, sizeof *l->clients) : NULL;
    if (l->clients) {
        l->crowd.loop = cli->loop;
        l->crowd.target = &l->target;
        l->crowd.on_state = on_state;
        l->crowd.on_text = on_text;
        l->crowd.ctx = l;
        code = run(l);
        l->stopping = true;
        for (uint32_t i = 0; i < l->begun; i++)
            if (l->clients[i].state == RB_LOAD_ASKS ||
                l->clients[i].state == RB_LOAD_OPEN)
                rb_load_client_end(&l->clients[i], NULL);
    } else if (code == 0) {
        rb_cli_say("out of memory");
        code = RB_EXIT_FAILURE;
    }
    if (cli->link)
        rb_cli_settle(cli); /* its answers name the publisher */
    free(l->clients);
    free(l);
    return code;
}
