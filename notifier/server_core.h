/* What server.c keeps to itself. */
#ifndef RB_NOTIFIER_SERVER_CORE_H
#define RB_NOTIFIER_SERVER_CORE_H

#include "config/process.h"
#include "notifier/http_response.h"
#include "notifier/receipt.h"
#include "notifier/server.h"

/* What the metrics were told so far. */
struct rb_server_counted {
    struct rb_channels_stats stats;
    struct rb_receipts_stats receipts;
    uint64_t losses, channels, subscriptions, redis_up;
};

struct rb_server_private {
    ev_prepare turn;
    ev_check check;
    ev_timer wheel, drain, watchdog;
    ev_idle more;     /* keeps the loop from waiting while there is something to write */
    int64_t wheel_ms; /* when it fires */
    struct rb_signals signals;
    struct rb_listener *listeners[RB_ADDRESSES];
    size_t listener_count;
    int64_t date_s; /* of `date` */
    char date[RB_HTTP_DATE_LEN + 1];
    size_t crowd; /* the most of them since memory was given back */
    struct rb_server_counted counted;
    struct rb_access *access;
    struct rb_tls *tls;
    const struct rb_tls_tickets *tickets;
    struct rb_settings *settings; /* of the start */
    struct rb_settings *reloaded; /* NULL: never */
    struct rb_settings *(*reload)(void *ctx);
    void *ctx;
};

/* server_count.c: once a turn of the loop. */
void rb_server_count(struct rb_server *server);

#endif
