/* --check: what a worker would start with, and whether Redis would let it work. */
#include <stdio.h>

#include "worker/claim.h"
#include "worker/worker.h"

struct checking {
    struct ev_loop *loop;
    struct rb_link *link;
    ev_timer patience;
    const struct rb_settings *settings;
    char address[256];
    int code;
};

static void end(struct checking *c, int code) {
    c->code = code;
    ev_break(c->loop, EVBREAK_ALL);
}

static void on_patience(struct ev_loop *loop, ev_timer *timer, int revents) {
    struct checking *c = timer->data;
    (void)loop, (void)revents;
    printf("redis      %s: %s\n", c->address, rb_link_last_error(c->link));
    end(c, RB_EXIT_UNAVAILABLE);
}

static void on_answer(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct checking *c = ctx;
    if (status == RB_OK) {
        printf("redis      %s: ok\n", c->address);
        end(c, RB_EXIT_OK);
    } else if (status == RB_REFUSED) {
        printf("redis      %s: %s\n", c->address, reply->str);
        end(c, RB_EXIT_UNAVAILABLE);
    }
}

/* Asks for what the claim mode needs: scripts, or nothing but a live server. */
static void on_state(void *ctx, bool up) {
    struct checking *c = ctx;
    const struct rb_text script[] = {RB_TEXT("EVAL"),
                                     RB_TEXT("return redis.call('TIME')"), RB_TEXT("0")};
    const struct rb_text ping[] = {RB_TEXT("PING")};
    if (up && c->settings->worker.claim == RB_CLAIM_LEASE)
        rb_link_call(c->link, 0, on_answer, c, 3, script);
    else if (up)
        rb_link_call(c->link, 0, on_answer, c, 1, ping);
}

static void print_settings(const struct rb_settings *s,
                           const struct rb_services *services) {
    printf("settings   %s\n", s->file ? s->file : "defaults");
    printf("services   %s:", s->worker.services);
    for (size_t i = 0; i < rb_services_count(services); i++)
        printf(" %s", rb_services_at(services, i)->service);
    printf("%s\n", rb_services_count(services) ? "" : " none");
    printf("queues    ");
    for (size_t i = 0; i < s->worker.queues.count; i++)
        printf(" %s", s->worker.queues.items[i]);
    printf("\nclaim      %s\n", s->worker.claim == RB_CLAIM_BLPOP
                                    ? rb_claim_by_blpop.name
                                    : rb_claim_by_lease.name);
}

int rb_worker_check(const struct rb_settings *settings,
                    const struct rb_services *services) {
    struct checking c = {.settings = settings, .code = RB_EXIT_FAILURE};
    struct rb_redis_address address = {0};
    struct rb_error error = {0};

    print_settings(settings, services);
    if (rb_redis_address_of_settings(settings, &address, &error) != RB_OK) {
        rb_error_print(&error);
        return RB_EXIT_CONFIG;
    }
    rb_redis_address_describe(&address, c.address, sizeof c.address);
    const struct rb_link_options options = {
        .address = &address,
        .name = "ringback-worker-check",
        .connect_timeout_ms = settings->redis.connect_timeout,
        .command_timeout_ms = settings->redis.command_timeout,
        .on_state = on_state,
        .ctx = &c,
    };
    c.loop = ev_loop_new(EVFLAG_AUTO);
    c.link = c.loop ? rb_link_new(c.loop, &options) : NULL;
    if (c.link) {
        double seconds = (double)settings->redis.connect_timeout / 1000.0;
        ev_timer_init(&c.patience, on_patience, seconds, 0.0);
        c.patience.data = &c;
        ev_timer_start(c.loop, &c.patience);
        ev_run(c.loop, 0);
        ev_timer_stop(c.loop, &c.patience);
    }
    rb_link_free(c.link);
    if (c.loop)
        ev_loop_destroy(c.loop);
    rb_redis_address_fini(&address);
    return c.code;
}
