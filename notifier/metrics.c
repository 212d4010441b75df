/* The families that the notifier counts in, and which series each count is. */
#include "notifier/metrics.h"

#include <assert.h>

enum family {
    CONNECTIONS,
    CHANNELS,
    SUBSCRIPTIONS,
    REDIS_UP,
    ACCEPTED,
    REQUESTS,
    MESSAGES,
    DELIVERED,
    GAPS,
    READINGS,
    REDIS_LOST,
    SENT_BYTES,
    PAUSES,
    ENQUEUED,
    TERMINAL_WRITTEN,
    TERMINAL_UNWRITTEN,
    TERMINAL_WITHOUT_WAITER,
    RECEIPTS_LOST,
    HANDSHAKES,
    HOOK,
    PUBLISHED,
    REFUSED,
    CLOSED
};

static const struct rb_metric_family families[] = {
    [CONNECTIONS] = {"ringback_notifier_connections", "Open connections by what they do.",
                     RB_METRIC_GAUGE, "transport", NULL},
    [CHANNELS] = {"ringback_notifier_channels",
                  "Channels that are subscribed at Redis, those that linger too.",
                  RB_METRIC_GAUGE, NULL, NULL},
    [SUBSCRIPTIONS] = {"ringback_notifier_subscriptions",
                       "Waiters: a client counts once for each of its channels.",
                       RB_METRIC_GAUGE, NULL, NULL},
    [REDIS_UP] = {"ringback_notifier_redis_up",
                  "Processes whose links to Redis are up and subscribed.",
                  RB_METRIC_GAUGE, NULL, NULL},
    [ACCEPTED] = {"ringback_notifier_accepted_total", "Connections accepted.",
                  RB_METRIC_COUNTER, NULL, NULL},
    [REQUESTS] = {"ringback_notifier_requests_total", "HTTP requests read.",
                  RB_METRIC_COUNTER, NULL, NULL},
    [MESSAGES] = {"ringback_notifier_messages_total",
                  "Messages heard from Redis: events, or raw ones of the app's own.",
                  RB_METRIC_COUNTER, "kind", NULL},
    [DELIVERED] = {"ringback_notifier_delivered_total",
                   "Events handed to clients' sockets.", RB_METRIC_COUNTER, "transport",
                   NULL},
    [GAPS] = {"ringback_notifier_gaps_total", "Gaps told to clients.", RB_METRIC_COUNTER,
              NULL, NULL},
    [READINGS] = {"ringback_notifier_readings_total", "Pages of history asked of Redis.",
                  RB_METRIC_COUNTER, NULL, NULL},
    [REDIS_LOST] = {"ringback_notifier_redis_lost_total",
                    "Times the subscribed link to Redis was lost.", RB_METRIC_COUNTER,
                    NULL, NULL},
    [SENT_BYTES] = {"ringback_notifier_sent_bytes_total", "Bytes written to clients.",
                    RB_METRIC_COUNTER, NULL, NULL},
    [TERMINAL_WRITTEN] =
        {"ringback_notifier_terminal_written_total",
         "Terminal events of jobs that a process has written to a client, each once.",
         RB_METRIC_COUNTER, NULL, NULL},
    [TERMINAL_UNWRITTEN] =
        {"ringback_notifier_terminal_unwritten_total",
         "Terminal events of jobs whose clients all went before it was written.",
         RB_METRIC_COUNTER, NULL, NULL},
    [TERMINAL_WITHOUT_WAITER] =
        {"ringback_notifier_terminal_without_waiter_total",
         "Terminal events heard on channels whose last waiter has just gone.",
         RB_METRIC_COUNTER, NULL, NULL},
    [RECEIPTS_LOST] = {"ringback_notifier_receipts_lost_total",
                       "Receipts that could not be recorded in Redis.", RB_METRIC_COUNTER,
                       NULL, NULL},
    [PAUSES] = {"ringback_notifier_accept_pauses_total",
                "Times that accepting paused because of max_accepts_per_second.",
                RB_METRIC_COUNTER, NULL, NULL},
    [ENQUEUED] = {"ringback_notifier_enqueued_total", "Jobs enqueued for WebSockets.",
                  RB_METRIC_COUNTER, NULL, NULL},
    [HOOK] =
        {"ringback_notifier_hook_total",
         "Questions whether a client may hear its channels, by what the web app said.",
         RB_METRIC_COUNTER, "answer", NULL},
    [PUBLISHED] =
        {"ringback_notifier_published_total",
         "Messages that the admin listener was asked to publish, by what became "
         "of them.",
         RB_METRIC_COUNTER, "outcome", NULL},
    [HANDSHAKES] = {"ringback_notifier_tls_handshakes_total", "TLS handshakes completed.",
                    RB_METRIC_COUNTER, "kind", NULL},
    [REFUSED] = {"ringback_notifier_refused_total",
                 "Connections and requests refused, by reason.", RB_METRIC_COUNTER,
                 "reason", NULL},
    [CLOSED] = {"ringback_notifier_closed_total", "Connections closed by us, by reason.",
                RB_METRIC_COUNTER, "reason", NULL},
    {0},
};

static const struct {
    enum family family;
    const char *label;
} series_of[] = {
    [RB_COUNT_CONNECTIONS_HTTP] = {CONNECTIONS, "http"},
    [RB_COUNT_CONNECTIONS_WEBSOCKET] = {CONNECTIONS, "websocket"},
    [RB_COUNT_CONNECTIONS_SSE] = {CONNECTIONS, "sse"},
    [RB_COUNT_CONNECTIONS_POLL] = {CONNECTIONS, "poll"},
    [RB_COUNT_CONNECTIONS_STREAM] = {CONNECTIONS, "stream"},
    [RB_COUNT_CONNECTIONS_ADMIN] = {CONNECTIONS, "admin"},
    [RB_COUNT_CHANNELS] = {CHANNELS, NULL},
    [RB_COUNT_SUBSCRIPTIONS] = {SUBSCRIPTIONS, NULL},
    [RB_COUNT_REDIS_UP] = {REDIS_UP, NULL},
    [RB_COUNT_ACCEPTED] = {ACCEPTED, NULL},
    [RB_COUNT_REQUESTS] = {REQUESTS, NULL},
    [RB_COUNT_MESSAGES] = {MESSAGES, "event"},
    [RB_COUNT_MESSAGES_RAW] = {MESSAGES, "raw"},
    [RB_COUNT_DELIVERED_WEBSOCKET] = {DELIVERED, "websocket"},
    [RB_COUNT_DELIVERED_SSE] = {DELIVERED, "sse"},
    [RB_COUNT_DELIVERED_POLL] = {DELIVERED, "poll"},
    [RB_COUNT_DELIVERED_STREAM] = {DELIVERED, "stream"},
    [RB_COUNT_GAPS] = {GAPS, NULL},
    [RB_COUNT_READINGS] = {READINGS, NULL},
    [RB_COUNT_REDIS_LOST] = {REDIS_LOST, NULL},
    [RB_COUNT_BYTES_SENT] = {SENT_BYTES, NULL},
    [RB_COUNT_TERMINAL_WRITTEN] = {TERMINAL_WRITTEN, NULL},
    [RB_COUNT_TERMINAL_UNWRITTEN] = {TERMINAL_UNWRITTEN, NULL},
    [RB_COUNT_TERMINAL_WITHOUT_WAITER] = {TERMINAL_WITHOUT_WAITER, NULL},
    [RB_COUNT_RECEIPTS_LOST] = {RECEIPTS_LOST, NULL},
    [RB_COUNT_TLS_FULL] = {HANDSHAKES, "full"},
    [RB_COUNT_TLS_RESUMED] = {HANDSHAKES, "resumed"},
    [RB_COUNT_HOOK_ALLOWED] = {HOOK, "allowed"},
    [RB_COUNT_HOOK_REFUSED] = {HOOK, "refused"},
    [RB_COUNT_HOOK_FAILED] = {HOOK, "failed"},
    [RB_COUNT_PUBLISHED_NEW] = {PUBLISHED, "new"},
    [RB_COUNT_PUBLISHED_REPLAYED] = {PUBLISHED, "replayed"},
    [RB_COUNT_PUBLISHED_FAILED] = {PUBLISHED, "failed"},
    [RB_COUNT_HOOK_KEPT] = {HOOK, "kept"},
    [RB_COUNT_REFUSED_CONNECTIONS] = {REFUSED, "max_connections"},
    [RB_COUNT_REFUSED_ADDRESS] = {REFUSED, "max_connections_per_address"},
    [RB_COUNT_ACCEPT_PAUSES] = {PAUSES, NULL},
    [RB_COUNT_ENQUEUED] = {ENQUEUED, NULL},
    [RB_COUNT_REFUSED_PACE] = {REFUSED, "max_accepts_per_second_per_address"},
    [RB_COUNT_REFUSED_PROXY] = {REFUSED, "proxy_protocol"},
    [RB_COUNT_REFUSED_COMMAND] = {REFUSED, "max_commands_per_second"},
    [RB_COUNT_REFUSED_ENQUEUE] = {REFUSED, "enqueue"},
    [RB_COUNT_CLOSED_TOO_FAST] = {CLOSED, "too_fast"},
    [RB_COUNT_REFUSED_FILES] = {REFUSED, "files"},
    [RB_COUNT_REFUSED_ORIGIN] = {REFUSED, "origin"},
    [RB_COUNT_REFUSED_ADMIN] = {REFUSED, "admin"},
    [RB_COUNT_REFUSED_HOOK] = {REFUSED, "hook"},
    [RB_COUNT_REFUSED_TOKEN] = {REFUSED, "token"},
    [RB_COUNT_REFUSED_MAX_PUBLISH] = {REFUSED, "max_publish"},
    [RB_COUNT_REFUSED_PUBLISH_RATE] = {REFUSED, "publish_rate"},
    [RB_COUNT_REFUSED_CHANNEL] = {REFUSED, "channel"},
    [RB_COUNT_REFUSED_TLS] = {REFUSED, "tls"},
    [RB_COUNT_REFUSED_REQUEST] = {REFUSED, "bad_request"},
    [RB_COUNT_REFUSED_OVERSIZE] = {REFUSED, "message_too_large"},
    [RB_COUNT_CLOSED_SLOW] = {CLOSED, "slow"},
    [RB_COUNT_CLOSED_HEAD] = {CLOSED, "head_timeout"},
    [RB_COUNT_CLOSED_SILENT] = {CLOSED, "silent"},
    [RB_COUNT_CLOSED_PROTOCOL] = {CLOSED, "protocol"},
    [RB_COUNT_CLOSED_MEMORY] = {CLOSED, "memory"},
    [RB_COUNT_CLOSED_EXPIRED] = {CLOSED, "expired"},
    [RB_COUNT_CLOSED_REVOKED] = {CLOSED, "revoked"},
    [RB_COUNT_CLOSED_DROPPED] = {CLOSED, "dropped"},
};
static_assert(sizeof series_of / sizeof series_of[0] == RB_COUNTS,
              "each count has its series");

#define MORE_SERIES 64 /* for those that others add */

struct rb_metrics *rb_notifier_metrics_new(int processes) {
    return rb_metrics_new(families, processes, RB_COUNTS + MORE_SERIES);
}

void rb_notifier_metrics_attach(struct rb_metrics *metrics, int row,
                                rb_series series[RB_COUNTS]) {
    rb_metrics_attach(metrics, row);
    for (int i = 0; i < RB_COUNTS; i++) {
        struct rb_text label = rb_text_of(series_of[i].label);
        series[i] = rb_metrics_series(metrics, (int)series_of[i].family,
                                      series_of[i].label ? &label : NULL);
    }
}

/* "ringback_notifier_gaps_total" is called "gaps". */
static void write_name(struct rb_buffer *out, const char *name) {
    struct rb_text text = rb_text_of(name), before = RB_TEXT("ringback_notifier_"),
                   behind = RB_TEXT("_total");
    text = rb_text(text.at + before.len, text.len - before.len);
    if (text.len > behind.len &&
        memcmp(text.at + text.len - behind.len, behind.at, behind.len) == 0)
        text.len -= behind.len;
    rb_buffer_json(out, text);
    rb_buffer_char(out, ':');
}

static void write_family(const struct rb_metrics *metrics, const rb_series *series,
                         enum family family, struct rb_buffer *out) {
    char before = '{';
    for (int i = 0; i < RB_COUNTS; i++) {
        if (series_of[i].family != family)
            continue;
        if (series_of[i].label)
            rb_buffer_printf(out, "%c\"%s\":", before, series_of[i].label);
        rb_buffer_int(out, rb_metrics_sum(metrics, series[i]));
        before = ',';
    }
    if (families[family].labels)
        rb_buffer_char(out, '}');
}

void rb_notifier_metrics_json(const struct rb_metrics *metrics,
                              const rb_series series[RB_COUNTS], struct rb_buffer *out) {
    for (enum family family = 0; families[family].name; family++) {
        if (family > 0)
            rb_buffer_char(out, ',');
        write_name(out, families[family].name);
        write_family(metrics, series, family, out);
    }
}
