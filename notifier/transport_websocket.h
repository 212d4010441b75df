/* What the WebSocket transport, its commands and /echo share. */
#ifndef RB_NOTIFIER_TRANSPORT_WEBSOCKET_H
#define RB_NOTIFIER_TRANSPORT_WEBSOCKET_H

#include <jansson.h>
#include <sys/queue.h>

#include "jobs/name.h"
#include "notifier/connection.h"
#include "notifier/me.h"
#include "notifier/websocket.h"

extern const struct rb_sink rb_websocket_sink;

/* The connection's work: NULL while it is inside no message and has no jobs under way. */
struct rb_websocket_work {
    struct rb_ws_state *state;
    LIST_HEAD(, rb_asked) asked;
};
/* There is one from now on. NULL when out of memory. */
struct rb_websocket_work *rb_websocket_work(struct rb_connection *c);
/* Frees it when it holds nothing. */
void rb_websocket_tidy(struct rb_connection *c);

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
/* One that is not obeyed, since it comes too fast. */
void rb_websocket_too_fast(struct rb_connection *c);
/* Sends what was built; dooms when the building failed. */
void rb_websocket_answer(struct rb_connection *c, const struct rb_buffer *json);
/* The private channel that it hears, or the name for one, written to `room`. */
struct rb_text rb_websocket_me(const struct rb_connection *c, char room[RB_ME_LEN + 1]);
/* What @session stands for, written to `room`. False: there is no session. */
bool rb_websocket_session(const struct rb_connection *c, char room[RB_CHANNEL_MAX + 1],
                          struct rb_text *channel);
/* It can't hear one more channel; one that has ended makes room. */
bool rb_websocket_is_full(struct rb_connection *c);

/* websocket_enqueue.c: {"enqueue":…}, as JSON and as it came. */
void rb_websocket_enqueue(struct rb_connection *c, const json_t *command,
                          struct rb_text message);
/* An event is about to be sent: of one of its jobs? It may doom the connection. */
void rb_websocket_hears(struct rb_connection *c, struct rb_text event, bool terminal);
void rb_websocket_forget_jobs(struct rb_websocket_work *work);

#endif
