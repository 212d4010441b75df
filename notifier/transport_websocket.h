/* What the WebSocket transport, its commands and /echo share. */
#ifndef RB_NOTIFIER_TRANSPORT_WEBSOCKET_H
#define RB_NOTIFIER_TRANSPORT_WEBSOCKET_H

#include "notifier/connection.h"
#include "notifier/websocket.h"

extern const struct rb_sink rb_websocket_sink;

/* Sends a frame. A client that lets more than max_queue of them wait is doomed. */
void rb_websocket_send(struct rb_connection *c, enum rb_ws_opcode opcode,
                       struct rb_text payload);
/* Sends a close frame and closes when it is written. */
void rb_websocket_close(struct rb_connection *c, uint16_t code, const char *reason);

/* Feeds the codec, and closes in its words when the client broke the rules. */
void rb_websocket_feed(struct rb_connection *c, struct rb_ws_state **state, char *bytes,
                       size_t len, const struct rb_ws_events *events);
/* rb_ws_events; ctx is the connection. */
bool rb_websocket_on_ping(void *ctx, struct rb_text data);
bool rb_websocket_on_pong(void *ctx, struct rb_text data);
bool rb_websocket_on_close(void *ctx, uint16_t code, struct rb_text reason);
enum rb_status rb_websocket_restore(void *ctx, struct rb_text packed,
                                    struct rb_text *data);

/* A message of the client: {"subscribe":…} and so on; always answered. */
void rb_websocket_command(struct rb_connection *c, enum rb_ws_opcode opcode,
                          struct rb_text message);

#endif
