/* What a browser asks for with /wait/…: channels, transport, cursors, until. Pure: from a
 * parsed request to a plain value. */
#ifndef RB_NOTIFIER_WAIT_H
#define RB_NOTIFIER_WAIT_H

#include <stdbool.h>

#include "config/buffer.h"
#include "jobs/name.h"
#include "jobs/stream_id.h"
#include "notifier/http_request.h"

#define RB_WAIT_CHANNELS 16

enum rb_transport_kind {
    RB_TRANSPORT_WEBSOCKET,
    RB_TRANSPORT_SSE,
    RB_TRANSPORT_POLL,
    RB_TRANSPORT_STREAM,
    RB_TRANSPORTS
};

struct rb_cursor {
    bool given; /* false: '-' or absent: everything kept */
    struct rb_stream_id id;
};

struct rb_wait {
    enum rb_transport_kind transport;
    size_t count;
    char channels[RB_WAIT_CHANNELS][RB_CHANNEL_MAX + 1]; /* @session, @me are resolved */
    struct rb_cursor cursors[RB_WAIT_CHANNELS];
    bool until_done;
    char callback[65]; /* JSONP; "" = none: [A-Za-z_$][A-Za-z0-9_$.]{0,63} */
};

/* Cursor: ids joined by commas in URL order, '-' for none. From, in this order:
 * Last-Event-ID (SSE; a browser sends it on reconnect, so it is newer than the URL),
 * ?since=, If-None-Match (poll; quotes and W/ taken off). One cursor alone for several
 * channels, or another count than the channels', is a mistake. session_cookie "" =
 * @session is refused.
 *
 * 0 when good; else the HTTP status to answer, with a sentence in *problem (static). */
int rb_wait_parse(const struct rb_http_request *request, struct rb_text session_cookie,
                  struct rb_wait *wait, const char **problem);

/* Writes the joined cursor of `count` channels; "-" for not given. */
void rb_cursor_write(const struct rb_cursor *cursors, size_t count,
                     struct rb_buffer *out);

#endif
