/* Permits of a rate limit, from Redis. */
#include "worker/permits.h"

#include <inttypes.h>
#include <stdio.h>

#include "worker/claim.h"
#include "worker/worker.h"

#define AT_ONCE 1000
#define UNAVAILABLE_MS 100 /* Redis could not be asked: again after that */
#define REFUSED_MS 1000

void rb_permits_init(struct rb_permits *p, struct rb_worker *w, const char *service,
                     void (*on_answer)(void *ctx), void *ctx) {
    *p = (struct rb_permits){
        .worker = w, .service = service, .on_answer = on_answer, .ctx = ctx};
}

int64_t rb_permits_wait_ms(const struct rb_permits *p) {
    int64_t now_ms = p->worker->now_ms;
    return p->not_before_ms > now_ms ? p->not_before_ms - now_ms : 0;
}

static void on_reply(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct rb_permits *p = ctx;
    struct rb_worker *w = p->worker;
    p->asking = false;
    if (status == RB_CANCELLED)
        return;
    if (status == RB_OK && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2) {
        p->stock += reply->element[0]->integer;
        p->not_before_ms = w->now_ms + reply->element[1]->integer;
    } else {
        if (status == RB_REFUSED)
            rb_worker_refused(w, "rate", reply->str);
        p->not_before_ms =
            w->now_ms + (status == RB_REFUSED ? REFUSED_MS : UNAVAILABLE_MS);
    }
    p->on_answer(p->ctx);
}

static void ask(struct rb_permits *p, const struct rb_rate_limit *rate, int64_t wanted) {
    struct rb_worker *w = p->worker;
    struct rb_key key;
    char numbers[4][24];
    rb_key_rate(&w->keys, rb_text_of(p->service), &key);
    snprintf(numbers[0], sizeof numbers[0], "%" PRId64, rate->period_ms * 1000);
    snprintf(numbers[1], sizeof numbers[1], "%" PRId64, rate->limit);
    snprintf(numbers[2], sizeof numbers[2], "%" PRId64, rate->burst);
    snprintf(numbers[3], sizeof numbers[3], "%" PRId64,
             wanted < AT_ONCE ? wanted : AT_ONCE);
    const struct rb_text keys[] = {rb_key_text(&key)};
    const struct rb_text args[] = {rb_text_of(numbers[0]), rb_text_of(numbers[1]),
                                   rb_text_of(numbers[2]), rb_text_of(numbers[3])};
    p->asking = true;
    rb_link_script(w->link, &rb_script_rate, 1, keys, 4, args, on_reply, p);
}

/* What rate.lua does, for this process alone and one permit at a time. */
static void count_here(struct rb_permits *p, const struct rb_rate_limit *rate) {
    int64_t now_us = p->worker->now_ms * 1000;
    int64_t interval_us = rate->period_ms * 1000 / rate->limit;
    int64_t most_us = now_us + rate->burst * interval_us;
    if (p->arrival_us < now_us)
        p->arrival_us = now_us;
    if (p->arrival_us > most_us)
        p->arrival_us = most_us;
    int64_t early_us = p->arrival_us - (rate->burst - 1) * interval_us - now_us;
    if (early_us > 0) {
        p->not_before_ms = p->worker->now_ms + (early_us + 999) / 1000;
        return;
    }
    p->arrival_us += interval_us;
    p->stock = 1;
}

bool rb_permits_ready(struct rb_permits *p, const struct rb_rate_limit *rate,
                      int64_t wanted) {
    if (rate->limit == 0 || p->stock > 0)
        return true;
    if (p->asking || rb_permits_wait_ms(p) > 0)
        return false;
    if (p->worker->mode->scripts)
        ask(p, rate, wanted);
    else
        count_here(p, rate);
    return p->stock > 0;
}

void rb_permits_use(struct rb_permits *p) {
    if (p->stock > 0)
        p->stock--;
}

void rb_permits_forget(struct rb_permits *p) { p->stock = 0; }
