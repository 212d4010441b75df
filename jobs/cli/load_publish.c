/* Publishing at a rate. */
#include "jobs/cli/load_publish.h"

#include <stdio.h>
#include <stdlib.h>

#include "config/clock.h"
#include "config/process.h"
#include "jobs/cli/load_client.h"
#include "jobs/event.h"
#include "jobs/name.h"

#define EVERY_S 0.005
#define UNANSWERED_MOST 2000 /* a Redis that is slower than the rate gets no more */

static void on_published(void *ctx, const struct rb_published *published) {
    struct rb_load_publisher *p = ctx;
    if (published->status == RB_OK) {
        p->published++;
        return;
    }
    p->failed++;
    snprintf(p->why, sizeof p->why, "%s",
             published->status == RB_REFUSED ? published->error
                                             : rb_status_text(published->status));
}

static void publish(struct rb_load_publisher *p) {
    struct rb_buffer name, data, json;
    uint32_t channel = (uint32_t)(p->sent % p->channels);
    rb_buffer_init(&name, RB_CHANNEL_MAX + 16);
    rb_buffer_init(&data, 128);
    rb_buffer_init(&json, 1024);
    rb_load_channel(p->channel, channel, &name); /* all names were checked before */
    rb_buffer_printf(&data, "{\"run\":\"%s\",\"n\":%llu,\"t\":%lld}", p->run,
                     (unsigned long long)(p->sent / p->channels),
                     (long long)rb_clock_us());
    const struct rb_event_head head = {.channel = rb_buffer_view(&name),
                                       .at = rb_clock_unix_ms()};
    rb_event_custom(&json, &head, RB_TEXT("load"), rb_buffer_view(&data));
    const struct rb_publication publication = {.channel = head.channel,
                                               .event = rb_buffer_view(&json)};
    p->sent++;
    rb_publish(p->cli->link, &p->cli->policy, &publication, on_published, p);
    rb_buffer_fini(&json);
    rb_buffer_fini(&data);
    rb_buffer_fini(&name);
}

static void on_time(struct ev_loop *loop, struct ev_timer *timer, int events) {
    struct rb_load_publisher *p = timer->data;
    (void)loop;
    (void)events;
    double due = (double)(rb_clock_us() - p->begun_us) / 1e6 * (double)p->rate;
    while ((double)p->sent < due && rb_link_up(p->cli->link) &&
           rb_link_outstanding(p->cli->link) < UNANSWERED_MOST)
        publish(p);
}

void rb_load_publisher_start(struct rb_load_publisher *p) {
    rb_process_random_hex(p->run, (sizeof p->run - 1) / 2);
    p->begun_us = rb_clock_us();
    ev_timer_init(&p->timer, on_time, 0, EVERY_S);
    p->timer.data = p;
    ev_timer_start(p->cli->loop, &p->timer);
}

void rb_load_publisher_stop(struct rb_load_publisher *p) {
    if (p->cli->loop && p->begun_us > 0)
        ev_timer_stop(p->cli->loop, &p->timer);
}

bool rb_load_published(const struct rb_load_publisher *p, struct rb_text json,
                       int64_t *number, int64_t *sent_us) {
    char mark[64];
    int len = snprintf(mark, sizeof mark, "\"data\":{\"run\":\"%s\",\"n\":", p->run);
    const char *at = memmem(json.at, json.len, mark, (size_t)len);
    if (!at)
        return false;
    struct rb_text rest =
        rb_text(at + len, json.len - (size_t)(at - json.at) - (size_t)len);
    struct rb_text n, name, t;
    return rb_text_next(&rest, ',', &n) && rb_text_next(&rest, ':', &name) &&
           rb_text_next(&rest, '}', &t) && rb_text_int64(n, number) == RB_OK &&
           rb_text_int64(t, sent_us) == RB_OK;
}
