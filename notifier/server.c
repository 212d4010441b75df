/* One process from its birth to its drain: the loop's turn, time, signals. */
#include "notifier/server.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "config/clock.h"
#include "config/process.h"
#include "config/supervisor.h"
#include "notifier/access.h"
#include "notifier/admin_status.h"
#include "notifier/census.h"
#include "notifier/connection.h"
#include "notifier/deflate.h"
#include "notifier/hook.h"
#include "notifier/pace.h"
#include "notifier/receipt_record.h"
#include "notifier/revoke.h"
#include "notifier/server_core.h"
#include "notifier/slab.h"
#include "notifier/survey.h"
#include "notifier/tls.h"
#include "notifier/websocket.h"

#define LISTEN_PATIENCE_S 1.0
#define FILES_BESIDE 64 /* descriptors that are no clients: listeners, Redis, the log */
#define SCRATCH_LIMIT ((size_t)256 * 1024 * 1024)
#define SCRATCH_KEPT ((size_t)256 * 1024)
/* What may wait to be written before Redis is left alone: some hundred thousand messages.
 */
#define GATHER_BYTES ((size_t)64 * 1024 * 1024)
#define TRIM_CROWD 4096 /* connections and channels that are worth the work */

/* --- the turn --- */

/* Before any callback of this turn. */
static void on_check(struct ev_loop *loop, ev_check *check, int events) {
    struct rb_server *server = check->data;
    (void)loop;
    (void)events;
    server->now_ms = rb_clock_ms();
}

/* One ev_timer for all deadlines. One that fires too early is cheaper than moving it each
 * turn. */
static void arm(struct rb_server *server, int64_t wait_ms) {
    struct rb_server_private *p = server->private;
    if (wait_ms < 0)
        return;
    int64_t due_ms = server->now_ms + wait_ms;
    if (ev_is_active(&p->wheel) && p->wheel_ms <= due_ms)
        return;
    p->wheel_ms = due_ms;
    ev_timer_stop(server->loop, &p->wheel);
    /* The loop's own clock was read before this turn's work. */
    ev_timer_set(&p->wheel, (double)(wait_ms > 0 ? wait_ms : 1) / 1000, 0);
    ev_timer_start(server->loop, &p->wheel);
}

static void on_wheel(struct ev_loop *loop, ev_timer *timer, int events) {
    struct rb_server *server = timer->data;
    (void)loop;
    (void)events;
    rb_timers_run(server->timers, server->now_ms);
}

/* When a crowd has gone its memory goes back to the system: glibc keeps it otherwise. */
static void trim(struct rb_server *server) {
    struct rb_server_private *p = server->private;
    size_t count =
        rb_slab_count(server->connections) + rb_channels_count(server->channels);
    if (count > p->crowd)
        p->crowd = count;
    if (p->crowd < TRIM_CROWD || count > p->crowd / 2)
        return;
    p->crowd = count;
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

static void on_more(struct ev_loop *loop, ev_idle *idle, int events) {
    (void)loop;
    (void)idle;
    (void)events;
}

/* What is left to be written goes on after a look at what came meanwhile. Redis is heard
 * too, as long as what waits is bounded. */
static void go_on(struct rb_server *server, bool more) {
    size_t gathered = server->gathered + server->gathered_before;
    rb_feed_rest(server->feed, more && gathered > GATHER_BYTES);
    if (more)
        ev_idle_start(server->loop, &server->private->more);
    else
        ev_idle_stop(server->loop, &server->private->more);
}

/* After all callbacks of the turn. It is the last of the prepare watchers (see _new):
 * what the links to Redis have to say, SUBSCRIBE above all, has left before any client
 * reads its answer, so that what a client publishes then is heard. */
static void on_turn(struct ev_loop *loop, ev_prepare *prepare, int events) {
    struct rb_server *server = prepare->data;
    (void)loop;
    (void)events;
    go_on(server, rb_connections_turn(server));
    int64_t wait_ms =
        rb_channels_turn(server->channels, server->now_ms, rb_clock_unix_ms());
    int64_t timers_ms = rb_timers_wait(server->timers, server->now_ms);
    if (wait_ms < 0 || (timers_ms >= 0 && timers_ms < wait_ms))
        wait_ms = timers_ms;
    arm(server, wait_ms);
    rb_server_count(server);
    trim(server);
    if (server->scratch.room > SCRATCH_KEPT)
        rb_buffer_fini(&server->scratch);
    if (server->answer.room > SCRATCH_KEPT)
        rb_buffer_fini(&server->answer);
    if (server->draining && rb_slab_count(server->connections) == 0 &&
        rb_receipts_idle(server->receipts))
        ev_break(server->loop, EVBREAK_ALL);
}

/* --- birth --- */

/* At start, and again at reload: with a key that is wrong all stays as it was. */
static bool take_access(struct rb_server *server, const struct rb_settings *settings) {
    struct rb_errors errors = {0};
    struct rb_access *fresh;
    if (rb_access_new(settings, &fresh, &errors) != RB_OK) {
        rb_errors_print(&errors);
        return false;
    }
    rb_access_free(server->private->access);
    server->access = server->private->access = fresh;
    return true;
}

/* Makes what new connections begin with; leaves *tls where no listener needs it. */
static bool make_tls(const struct rb_server_private *p,
                     const struct rb_settings *settings, struct rb_tls **tls) {
    struct rb_errors errors = {0};
    if (!rb_tls_is_wanted(p->settings))
        return true;
    bool good = rb_tls_new(settings, p->tickets, tls, &errors) == RB_OK;
    rb_errors_print(&errors);
    return good;
}

static void take_tls(struct rb_server *server, struct rb_tls *tls) {
    rb_tls_free(server->private->tls);
    server->tls = server->private->tls = tls;
}

static void set_policy(struct rb_server *server, const struct rb_settings *settings) {
    server->policy.max_events = settings->channels.max_events;
    server->policy.ttl_ms = settings->channels.ttl;
    server->policy.scripts = settings->worker.claim == RB_CLAIM_LEASE;
    rb_receipts_set(server->receipts,
                    settings->notifier.receipts && server->policy.scripts);
}

static bool build(struct rb_server *server, const struct rb_server_options *options) {
    const struct rb_settings *settings = server->settings;
    const struct rb_feed_options feed = {
        .address = options->redis, .settings = settings, .keys = server->policy.keys};
    for (size_t i = 0; i < options->addresses->count; i++)
        server->proxied = server->proxied || options->addresses->list[i].proxy;
    server->connections = rb_slab_new(rb_connection_bytes(server));
    server->subscriptions = rb_slab_new(sizeof(struct rb_subscription));
    server->timers = rb_timers_new(server->now_ms, rb_connection_timeout, server);
    server->read_buffer = malloc(RB_READ_BYTES);
    server->deflate = rb_deflate_new();
    server->hash = rb_ws_hash_new();
    if (!server->connections || !server->subscriptions || !server->timers ||
        !server->read_buffer || !server->deflate || !server->hash)
        return false;
    server->feed = rb_feed_new(server->loop, &feed);
    if (!server->feed)
        return false;
    server->channels = rb_feed_channels(server->feed);
    server->survey = rb_survey_new(server);
    server->census = rb_census_new(server->loop, server->feed, server->id);
    server->hook = rb_hook_new(server);
    server->receipts = rb_receipts_to_redis(server->feed);
    server->status = rb_admin_status_new(server);
    if (!server->receipts || !server->status)
        return false;
    set_policy(server, settings);
    return server->census && server->survey && server->hook &&
           rb_revoke_listen(server) == RB_OK;
}

static void start_watchers(struct rb_server *server) {
    struct rb_server_private *p = server->private;
    ev_prepare_init(&p->turn, on_turn);
    ev_check_init(&p->check, on_check);
    ev_timer_init(&p->wheel, on_wheel, 0, 0);
    ev_idle_init(&p->more, on_more);
    p->turn.data = p->check.data = p->wheel.data = server;
    /* libev calls watchers of one priority in the reverse of the order in which they were
     * started: this one is started first of all and so is last. */
    ev_set_priority(&p->turn, EV_MINPRI);
    ev_set_priority(&p->check, EV_MAXPRI);
    ev_prepare_start(server->loop, &p->turn);
    ev_check_start(server->loop, &p->check);
    ev_unref(server->loop);
    ev_unref(server->loop);
}

static void on_patience_over(struct ev_loop *loop, ev_timer *timer, int events) {
    (void)loop;
    (void)timer;
    (void)events;
}

/* Whoever finds the port open finds Redis behind it, as a rule: where Redis answers at
 * all it does so in milliseconds. One that is down is not waited for longer than this. */
static void wait_for_redis(struct rb_server *server) {
    ev_timer patience;
    ev_timer_init(&patience, on_patience_over, LISTEN_PATIENCE_S, 0);
    ev_timer_start(server->loop, &patience);
    while (!rb_feed_ready(server->feed) && ev_is_active(&patience))
        ev_run(server->loop, EVRUN_ONCE);
    ev_timer_stop(server->loop, &patience);
}

static bool listen_all(struct rb_server *server, struct rb_addresses *addresses) {
    struct rb_server_private *p = server->private;
    for (size_t i = 0; i < addresses->count; i++) {
        struct rb_error error = {0};
        struct rb_address *address = &addresses->list[i];
        if (rb_listener_new(server, address, &p->listeners[p->listener_count], &error) !=
            RB_OK) {
            rb_log(RB_LOG_ERROR, "notifier.listen_failed", RB_S("why", error.text));
            return false;
        }
        p->listener_count++;
        if (server->row == 0)
            rb_log(RB_LOG_INFO, "notifier.listening", RB_S("address", address->text),
                   RB_S("for", address->side == RB_SIDE_ADMIN ? "admin" : "public"),
                   RB_S("tls", address->tls ? "yes" : "no"));
    }
    return true;
}

/* --- reload --- */

static void tell_fixed(void *ctx, const char *key) {
    (void)ctx;
    rb_log(RB_LOG_WARN, "notifier.needs_restart", RB_S("key", key));
}

/* The first settings stay: names that live as long as the process are borrowed from them.
 */
static void on_reload(void *ctx) {
    struct rb_server *server = ctx;
    struct rb_server_private *p = server->private;
    struct rb_settings *fresh = p->reload ? p->reload(p->ctx) : NULL;
    struct rb_tls *tls = NULL;
    if (!fresh || !make_tls(p, fresh, &tls) || !take_access(server, fresh)) {
        rb_tls_free(tls);
        rb_settings_free(fresh);
        rb_log(RB_LOG_ERROR, "notifier.reload_failed", RB_I("row", server->row));
        return;
    }
    rb_settings_fixed_changes(p->settings, fresh, tell_fixed, NULL);
    /* What they are counted in is shared, and made before the processes are. */
    if (fresh->notifier.max_connections_per_address > 0 && !server->addresses)
        tell_fixed(NULL, "notifier.max_connections_per_address");
    rb_settings_free(p->reloaded);
    p->reloaded = fresh;
    server->settings = fresh;
    take_tls(server, tls);
    set_policy(server, fresh);
    rb_log(RB_LOG_INFO, "notifier.reloaded", RB_I("row", server->row));
}

/* --- drain --- */

static void doom(void *ctx, void *object) {
    (void)ctx;
    rb_connection_doom(object, RB_COUNTS, NULL);
}

static void end_now(struct rb_server *server) {
    rb_slab_each(server->connections, doom, NULL);
    ev_break(server->loop, EVBREAK_ALL);
}

static void on_drain_over(struct ev_loop *loop, ev_timer *timer, int events) {
    struct rb_server *server = timer->data;
    (void)loop;
    (void)events;
    rb_log(RB_LOG_WARN, "notifier.drain_timeout",
           RB_I("connections", rb_slab_count(server->connections)));
    end_now(server);
}

static void close_listeners(struct rb_server *server) {
    struct rb_server_private *p = server->private;
    while (p->listener_count > 0)
        rb_listener_free(p->listeners[--p->listener_count]);
}

static void stop_one(void *ctx, void *object) {
    const int64_t *spread_ms = ctx;
    struct rb_connection *c = object;
    uint64_t range = (uint64_t)*spread_ms + 1;
    rb_connection_stop(c, (int64_t)rb_server_random(c->server, range));
}

/* Clients are sent away over a while, so that they don't all come to the next process at
 * once: a millisecond for each, and no longer than most of the drain's time. */
static void drain(struct rb_server *server) {
    struct rb_server_private *p = server->private;
    int64_t timeout_ms = server->settings->notifier.drain_timeout;
    int64_t count = (int64_t)rb_slab_count(server->connections);
    int64_t spread_ms = count < timeout_ms / 2 ? count : timeout_ms / 2;
    if (count <= 16)
        spread_ms = 0;
    rb_log(RB_LOG_INFO, "notifier.draining", RB_I("row", server->row),
           RB_I("connections", count), RB_I("spread_ms", spread_ms));
    rb_process_notify("STOPPING=1");
    server->draining = true;
    close_listeners(server);
    rb_slab_each(server->connections, stop_one, &spread_ms);
    ev_timer_init(&p->drain, on_drain_over, (double)timeout_ms / 1000, 0);
    p->drain.data = server;
    ev_timer_start(server->loop, &p->drain);
}

static void on_stop(void *ctx) {
    struct rb_server *server = ctx;
    if (server->draining)
        end_now(server);
    else
        drain(server);
}

/* --- running --- */

static void on_watchdog(struct ev_loop *loop, ev_timer *timer, int events) {
    (void)loop;
    (void)timer;
    (void)events;
    rb_process_notify("WATCHDOG=1");
}

static void start_watchdog(struct rb_server *server) {
    struct rb_server_private *p = server->private;
    int64_t every_ms = rb_process_watchdog_ms();
    ev_timer_init(&p->watchdog, on_watchdog, 0, (double)every_ms / 1000);
    if (every_ms > 0)
        ev_timer_again(server->loop, &p->watchdog);
}

struct rb_server *rb_server_new(struct ev_loop *loop,
                                const struct rb_server_options *options) {
    struct rb_server *server = calloc(1, sizeof *server);
    struct rb_server_private *p = calloc(1, sizeof *p);
    if (!server || !p) {
        free(server);
        free(p);
        rb_log(RB_LOG_ERROR, "notifier.out_of_memory", RB_I("row", options->row));
        return NULL;
    }
    server->private = p;
    server->loop = loop;
    server->now_ms = rb_clock_ms();
    server->row = options->row;
    server->processes = options->processes;
    server->max_local = options->max_files - FILES_BESIDE;
    server->settings = options->settings;
    server->metrics = options->metrics;
    server->addresses = options->address_count;
    server->turn_last = &server->turn_first;
    memcpy(server->handlers, options->handlers, sizeof server->handlers);
    rb_buffer_init(&server->scratch, SCRATCH_LIMIT);
    rb_buffer_init(&server->answer, SCRATCH_LIMIT);
    server->random = rb_process_random() | 1;
    rb_process_random_hex(server->id, 16);
    server->policy.keys.jobs = rb_text_of(options->settings->redis.job_prefix);
    server->policy.keys.channels = rb_text_of(options->settings->redis.channel_prefix);
    p->settings = options->settings;
    p->tickets = options->tickets;
    p->reload = options->reload;
    p->ctx = options->ctx;
    rb_notifier_metrics_attach(server->metrics, server->row, server->series);
    start_watchers(server);
    struct rb_tls *tls = NULL;
    bool good = make_tls(p, options->settings, &tls);
    take_tls(server, tls);
    if (!good || !take_access(server, options->settings) || !build(server, options)) {
        rb_log(RB_LOG_ERROR, "notifier.out_of_memory", RB_I("row", options->row));
        rb_server_free(server);
        return NULL;
    }
    wait_for_redis(server);
    /* Before anybody can come: from then on it ends in good order. */
    rb_signals_start(&p->signals, server->loop, on_stop, on_reload, server);
    if (!listen_all(server, options->addresses)) {
        rb_server_free(server);
        return NULL;
    }
    return server;
}

void rb_server_run(struct rb_server *server) {
    struct rb_server_private *p = server->private;
    start_watchdog(server);
    rb_supervisor_ready();
    rb_log(RB_LOG_INFO, "notifier.started", RB_I("row", server->row),
           RB_S("id", server->id));
    /* The turn's watchers don't count as work: something must keep the loop. */
    ev_ref(server->loop);
    ev_run(server->loop, 0);
    ev_unref(server->loop);
    ev_timer_stop(server->loop, &p->watchdog);
    ev_timer_stop(server->loop, &p->drain);
    rb_signals_stop(&p->signals, server->loop);
    rb_log(RB_LOG_INFO, "notifier.ended", RB_I("row", server->row));
}

static void free_spare_parsers(struct rb_server *server) {
    for (int side = 0; side < RB_SIDES; side++)
        while (server->spare_parser_count[side] > 0)
            rb_http_parser_free(
                server->spare_parsers[side][--server->spare_parser_count[side]]);
}

void rb_server_free(struct rb_server *server) {
    if (!server)
        return;
    struct rb_server_private *p = server->private;
    rb_signals_stop(&p->signals, server->loop);
    close_listeners(server);
    if (server->connections && server->feed) {
        rb_slab_each(server->connections, doom, NULL);
        while (rb_connections_turn(server))
            continue;
    }
    ev_ref(server->loop);
    ev_ref(server->loop);
    ev_prepare_stop(server->loop, &p->turn);
    ev_check_stop(server->loop, &p->check);
    ev_timer_stop(server->loop, &p->wheel);
    ev_idle_stop(server->loop, &p->more);
    rb_feed_free(server->feed);
    rb_census_free(server->census);
    rb_survey_free(server->survey);
    rb_admin_status_free(server->status);
    rb_receipts_free(server->receipts);
    rb_hook_free(server->hook);
    free_spare_parsers(server);
    rb_timers_free(server->timers);
    rb_pace_free(server->pace);
    rb_slab_free(server->connections);
    rb_slab_free(server->subscriptions);
    rb_bytes_unref(server->poll_fields);
    rb_buffer_fini(&server->scratch);
    rb_buffer_fini(&server->answer);
    free(server->read_buffer);
    rb_deflate_free(server->deflate);
    rb_ws_hash_free(server->hash);
    rb_access_free(p->access);
    rb_tls_free(p->tls);
    rb_settings_free(p->reloaded);
    rb_settings_free(p->settings);
    free(p);
    free(server);
}
