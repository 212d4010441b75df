/* What the parts of a process have counted, told to the metrics once a turn. */
#include "notifier/receipt.h"
#include "notifier/server_core.h"

static void count_up(struct rb_server *server, enum rb_count count, uint64_t now,
                     uint64_t *before) {
    if (now != *before)
        rb_count(server, count, (int64_t)(now - *before));
    *before = now;
}

static void set_gauge(struct rb_server *server, enum rb_count count, uint64_t now,
                      uint64_t *before) {
    if (now != *before)
        rb_metrics_set(server->metrics, server->series[count], (int64_t)now);
    *before = now;
}

static void count_receipts(struct rb_server *server) {
    const struct rb_receipts_stats *now = rb_receipts_stats(server->receipts);
    struct rb_receipts_stats *last = &server->private->counted.receipts;
    count_up(server, RB_COUNT_TERMINAL_WRITTEN, now->written, &last->written);
    count_up(server, RB_COUNT_TERMINAL_UNWRITTEN, now->unwritten, &last->unwritten);
    count_up(server, RB_COUNT_RECEIPTS_LOST, now->lost, &last->lost);
}

void rb_server_count(struct rb_server *server) {
    struct rb_server_counted *before = &server->private->counted;
    const struct rb_channels_stats *now = rb_channels_stats(server->channels);
    struct rb_channels_stats *last = &before->stats;
    count_up(server, RB_COUNT_MESSAGES, now->messages, &last->messages);
    count_up(server, RB_COUNT_MESSAGES_RAW, now->raw, &last->raw);
    count_up(server, RB_COUNT_GAPS, now->gaps, &last->gaps);
    count_up(server, RB_COUNT_READINGS, now->readings, &last->readings);
    count_up(server, RB_COUNT_REFUSED_OVERSIZE, now->oversize, &last->oversize);
    count_up(server, RB_COUNT_TERMINAL_WITHOUT_WAITER, now->unheard, &last->unheard);
    count_receipts(server);
    count_up(server, RB_COUNT_REDIS_LOST, rb_feed_losses(server->feed), &before->losses);
    set_gauge(server, RB_COUNT_CHANNELS, rb_channels_count(server->channels),
              &before->channels);
    set_gauge(server, RB_COUNT_SUBSCRIPTIONS, rb_channels_subscriptions(server->channels),
              &before->subscriptions);
    set_gauge(server, RB_COUNT_REDIS_UP, rb_feed_ready(server->feed), &before->redis_up);
}
