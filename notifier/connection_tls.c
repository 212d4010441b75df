/* A connection that speaks TLS: the same reads and writes with a handshake before them.
 */
#include <errno.h>

#include "notifier/connection.h"
#include "notifier/http_response.h"
#include "notifier/tls.h"

#define RECORD 16384 /* RFC 8446 §5.1: what one may hold */

bool rb_connection_secure(struct rb_connection *c) {
    c->tls = rb_tls_open(c->server->tls, c->io.fd);
    if (!c->tls)
        rb_connection_doom(c, RB_COUNT_CLOSED_MEMORY, "out of memory");
    return c->tls != NULL;
}

static void say_that_it_is_tls(struct rb_connection *c) {
    struct rb_buffer out;
    rb_buffer_init(&out, 1024);
    rb_http_problem(&out, 400, "TLS is spoken here: ask with https:// or wss://.", false,
                    false, rb_server_date(c->server), RB_TEXT(""));
    rb_connection_send_buffer(c, &out);
    rb_buffer_fini(&out);
}

/* The peer was told in its protocol; the socket is closed so that it can hear that. */
static void refuse(struct rb_connection *c, bool plain) {
    struct rb_server *server = c->server;
    unsigned held;
    rb_count(server, RB_COUNT_REFUSED_TLS, 1);
    if (rb_server_line(server, RB_LINE_TLS, &held))
        rb_log(RB_LOG_INFO, "tls.refused",
               RB_S("why", plain ? "plain HTTP" : rb_tls_reason()),
               RB_I("suppressed", held));
    rb_tls_close(c->tls);
    c->tls = NULL;
    if (plain)
        say_that_it_is_tls(c);
    rb_connection_close(c);
}

static void fail(struct rb_connection *c, enum rb_tls_result result) {
    if (result == RB_TLS_LOST || (result == RB_TLS_END && !rb_tls_is_ready(c->tls)))
        rb_connection_doom(c, RB_COUNTS, NULL);
    else if (rb_tls_is_ready(c->tls))
        rb_connection_doom(c, RB_COUNT_CLOSED_PROTOCOL, rb_tls_reason());
    else
        refuse(c, result == RB_TLS_PLAIN);
}

ssize_t rb_connection_tls_read(struct rb_connection *c, char *bytes, size_t room) {
    size_t got = 0;
    bool was_ready = rb_tls_is_ready(c->tls);
    enum rb_tls_result result = rb_tls_read(c->tls, bytes, room, &got);
    if (!was_ready && rb_tls_is_ready(c->tls))
        rb_count(c->server,
                 rb_tls_is_resumed(c->tls) ? RB_COUNT_TLS_RESUMED : RB_COUNT_TLS_FULL, 1);
    if (result == RB_TLS_DONE)
        return (ssize_t)got;
    if (result == RB_TLS_END && rb_tls_is_ready(c->tls))
        return 0;
    if (result == RB_TLS_WANTS_WRITE) {
        c->blocked = true;
        rb_connection_read(c, c->reading);
    } else if (result != RB_TLS_WANTS_READ) {
        fail(c, result);
    }
    errno = EAGAIN;
    return -1;
}

/* Small frames go into one record together. What a record could not be sent of is
 * gathered again from the same place. */
enum rb_status rb_connection_tls_write(struct rb_connection *c, size_t *written) {
    char record[RECORD];
    *written = 0;
    while (c->out) {
        size_t n, len = rb_out_gather(c->out, record, sizeof record);
        enum rb_tls_result result = rb_tls_write(c->tls, record, len, &n);
        if (result == RB_TLS_WANTS_WRITE)
            return RB_UNAVAILABLE;
        if (result != RB_TLS_DONE)
            return RB_SYSTEM;
        *written += n;
        if (rb_out_drop(&c->out, n) != RB_OK)
            return RB_NOMEM;
    }
    return RB_OK;
}

bool rb_connection_tls_bye(struct rb_connection *c) {
    return rb_tls_bye(c->tls) != RB_TLS_WANTS_WRITE;
}
