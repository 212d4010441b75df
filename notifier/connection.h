/* One client's socket: bytes read are handed to its role, bytes written are queued as
 * shared references and gathered into one writev a turn of the loop. What the connection
 * is at the moment (speaks HTTP, waits as WebSocket, SSE, …) is its role.
 *
 * Nothing dies inside its own callback: _doom takes the connection out of everything and
 * the end of the turn frees it. */
#ifndef RB_NOTIFIER_CONNECTION_H
#define RB_NOTIFIER_CONNECTION_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/buffer.h"
#include "notifier/channel.h"
#include "notifier/encode.h"
#include "notifier/listener.h"
#include "notifier/metrics.h"
#include "notifier/server.h"
#include "notifier/timers.h"

struct rb_connection;
struct rb_out;
struct rb_pass;
struct ssl_st;

/* What is done with a connection. Functions may be NULL unless said otherwise. */
struct rb_role {
    const char *name;
    enum rb_count gauge; /* counts the connections in this role */
    /* Bytes came; never NULL, unless it reads for itself. They may be changed in place.
     */
    void (*bytes)(struct rb_connection *c, char *bytes, size_t len);
    /* There is something to be read from the socket. NULL: it is read, see bytes. */
    void (*read)(struct rb_connection *c);
    /* The client sends no more. NULL: the connection is doomed. */
    void (*end)(struct rb_connection *c);
    /* Its timer fired. NULL: doomed. */
    void (*timeout)(struct rb_connection *c);
    /* The end of a turn in which rb_connection_touch was called. */
    void (*turn)(struct rb_connection *c);
    /* The client took some of what is queued, not all of it. NULL: that is no matter. */
    void (*took)(struct rb_connection *c);
    /* What was queued is written. */
    void (*drained)(struct rb_connection *c);
    /* It is doomed or changes its role: lets go of c->work. */
    void (*leave)(struct rb_connection *c);
    /* The process is to end: says good-bye in its protocol. NULL: closed at once. */
    void (*stop)(struct rb_connection *c);
    /* Tells an event that is of no channel. NULL: there is nobody to tell. */
    void (*tell)(struct rb_connection *c, const char *event, struct rb_text json);
    /* It may not hear any more: ends in its protocol. NULL: it hears nothing. */
    void (*refuse)(struct rb_connection *c, const char *why);
    bool one_less; /* it can go on when one of its channels is taken away */
};

/* There are a hundred thousand of these: small counts; and what a message to the client
 * needs stands together, from io's end to the bits. */
struct rb_connection {
    ev_io io;
    struct rb_server *server;
    const struct rb_role *role;
    void *work;         /* the role's; NULL when it needs nothing */
    struct rb_out *out; /* NULL: nothing is queued */
    struct ssl_st *tls; /* NULL: plain */
    struct rb_connection *turn_next;
    uint8_t side; /* enum rb_side */
    uint8_t bits; /* the role's own */
    bool in_turn : 1;
    bool touched : 1; /* role->turn is due */
    bool queued : 1;  /* something new is to be written */
    bool doomed : 1;
    bool reading : 1;
    bool blocked : 1;   /* the kernel's buffer was full */
    bool closing : 1;   /* when the queue is written: shut down, linger, close */
    bool shut : 1;      /* our side is shut down */
    bool over : 1;      /* beyond max_connections: gets a refusal and nothing else */
    bool stopping : 1;  /* its timer says when role->stop is called */
    bool held_back : 1; /* history waits for room in its queue, as far as is known */
    uint8_t window : 4; /* bits of what the client can decompress; 0: it does not */
    uint32_t spent;     /* of what it may say: pace.h */
    struct rb_subscription *subscriptions; /* in the order of the request */
    struct rb_pass *pass;                  /* NULL: let in for good */
    struct rb_timer timer;
    /* The key that it is counted by, where connections are counted by address; behind it,
     * where proxies tell, whose it is: see rb_connection_bytes. */
    uint64_t address[];
};

/* Which of the process's connections it is, and when it came (unix ms to the second, 0
 * where a pointer has no room for that). Both stand in the watcher's own word, so that
 * they cost nothing. */
void rb_connection_mark(struct rb_connection *c);
uint32_t rb_connection_number(const struct rb_connection *c);
int64_t rb_connection_since_ms(const struct rb_connection *c);

/* How large one is in this process, with what the settings need. */
size_t rb_connection_bytes(const struct rb_server *server);
/* Takes the descriptor. Speaks HTTP. NULL when out of memory (closed then). */
struct rb_connection *rb_connection_new(struct rb_server *server, int fd,
                                        enum rb_side side);

/* From now on it speaks TLS; false when doomed, out of memory. */
bool rb_connection_secure(struct rb_connection *c);

/* Queues. _push takes a reference of its own. While at most half of max_queue waits a
 * frame is taken whatever its size; else RB_TOO_LARGE beyond max_queue. RB_NOMEM. Nothing
 * is queued to a doomed or closing connection (RB_OK). */
RB_MUST_CHECK enum rb_status rb_connection_push(struct rb_connection *c,
                                                struct rb_bytes *bytes);
/* Before a client is judged by what waits for it: is it slow, or are we? What it has not
 * been sent yet is written, which may doom it. */
void rb_connection_relieve(struct rb_connection *c);
/* Copies; no ceiling: for heads, and frames whose number and size we choose. Dooms the
 * connection when out of memory. */
void rb_connection_send(struct rb_connection *c, struct rb_text bytes);
/* The same with what was built; dooms when the building failed. The buffer stays. */
void rb_connection_send_buffer(struct rb_connection *c, const struct rb_buffer *bytes);
/* Bytes that wait. */
size_t rb_connection_queued(const struct rb_connection *c);
/* More than half of max_queue waits: no more history, no more reading. */
bool rb_connection_full(const struct rb_connection *c);

/* role->turn will be called at the end of this turn. */
void rb_connection_touch(struct rb_connection *c);
void rb_connection_set_role(struct rb_connection *c, const struct rb_role *role,
                            void *work);
void rb_connection_timer(struct rb_connection *c, int64_t delay_ms); /* < 0 stops it */
/* Starts and stops looking for bytes. */
void rb_connection_read(struct rb_connection *c, bool on);

/* Closes when all that is queued is written, lingering so that the client gets it. */
void rb_connection_close(struct rb_connection *c);
/* Closes now. `count`: what to count it as, RB_COUNTS for nothing; why: for the log. */
void rb_connection_doom(struct rb_connection *c, enum rb_count count, const char *why);
/* The process is to end: role->stop within delay_ms. */
void rb_connection_stop(struct rb_connection *c, int64_t delay_ms);

/* Subscriptions of a connection: on its list until dropped. The list takes newcomers at
 * its end. One that was added stands at its cursor and hears nothing before it is given
 * to rb_channel_subscribe; NULL: out of memory. */
RB_MUST_CHECK struct rb_subscription *rb_connection_add(struct rb_connection *c,
                                                        struct rb_cursor cursor,
                                                        const struct rb_sink *sink);
/* Both at once. RB_NOMEM. */
RB_MUST_CHECK enum rb_status rb_connection_subscribe(struct rb_connection *c,
                                                     struct rb_text channel,
                                                     struct rb_cursor cursor,
                                                     const struct rb_sink *sink);
struct rb_subscription *rb_connection_find(const struct rb_connection *c,
                                           struct rb_text channel);
void rb_connection_unsubscribe(struct rb_connection *c, struct rb_subscription *s);
void rb_connection_unsubscribe_all(struct rb_connection *c);
/* History that waited for room in the queue goes on. */
void rb_connection_resume(struct rb_connection *c);

/* Flushes and reaps what was touched, the first some of them. True when there are more:
 * they wait for the next turn, and what comes for them meanwhile leaves with the rest. */
bool rb_connections_turn(struct rb_server *server);
/* Its timer fired (server.c). */
void rb_connection_timeout(void *server, struct rb_timer *timer);

/* The client's address, or what the proxy in front said of it. */
bool rb_connection_address(const struct rb_connection *c, struct sockaddr_storage *at);
/* That is what it said: an address of IPv4 or IPv6. Only where server->proxied. */
void rb_connection_set_address(struct rb_connection *c,
                               const struct sockaddr_storage *at);

extern const struct rb_role rb_role_http; /* connection_http.c */

/* connection_proxy.c: it begins with the PROXY protocol; what it is after that is said by
 * rb_listener_greet. False when doomed, out of memory. */
bool rb_connection_expect_proxy(struct rb_connection *c, bool tls);
/* The process is to end: who has not asked anything yet may do so for this long. */
#define RB_FIRST_REQUEST_MS 1000

/* connection_out.c: the queue of frames that wait to be written. */
struct rb_out; /* gone when empty */
RB_MUST_CHECK enum rb_status rb_out_add(struct rb_out **out, struct rb_bytes *bytes);
/* The last frame, which no other queue shares, brings what the receipt is of. */
void rb_out_receipt(struct rb_out *out, struct rb_receipt *receipt);
size_t rb_out_bytes(const struct rb_out *out);  /* NULL is legal */
size_t rb_out_frames(const struct rb_out *out); /* likewise */
/* RB_OK: all is written and *out is NULL. RB_UNAVAILABLE: the kernel takes no more now.
 * RB_SYSTEM: the connection is broken. RB_NOMEM. *written: how many bytes went out. */
RB_MUST_CHECK enum rb_status rb_out_write(struct rb_out **out, int fd, size_t *written);
void rb_out_free(struct rb_out *out); /* NULL is legal */
/* For who writes otherwise: copies the first bytes; says that so many are written. */
size_t rb_out_gather(const struct rb_out *out, char *to, size_t room);
/* *out is NULL when all is written. RB_NOMEM: nothing is noted. */
RB_MUST_CHECK enum rb_status rb_out_drop(struct rb_out **out, size_t len);

/* connection_tls.c: recv(2), rb_out_write, and the word before shutdown(2) (false: not
 * said yet, the kernel takes no more now). */
ssize_t rb_connection_tls_read(struct rb_connection *c, char *bytes, size_t room);
RB_MUST_CHECK enum rb_status rb_connection_tls_write(struct rb_connection *c,
                                                     size_t *written);
bool rb_connection_tls_bye(struct rb_connection *c);

#endif
