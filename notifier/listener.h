/* Where clients come in: addresses are claimed once before the processes fork, so that
 * one in use is a clear error; each process then listens and accepts. */
#ifndef RB_NOTIFIER_LISTENER_H
#define RB_NOTIFIER_LISTENER_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "config/settings.h"
#include "config/status.h"

#define RB_ADDRESSES 32

enum rb_side { RB_SIDE_PUBLIC, RB_SIDE_ADMIN, RB_SIDES };

/* One resolved address. */
struct rb_address {
    enum rb_side side;
    struct sockaddr_storage at;
    socklen_t len;
    int fd;     /* bound already (unix sockets, or one process); -1: each process binds */
    char *text; /* "127.0.0.1:43211", "[::1]:80", "unix:/run/x.sock" */
    bool both;  /* "*": both families on one socket */
    bool tls;   /* "tls://host:port" */
    bool proxy; /* "…?proxy=on" */
    uint64_t device, inode; /* of a unix socket: nobody else's is removed */
};

struct rb_addresses {
    struct rb_address list[RB_ADDRESSES];
    size_t count;
};

/* "host:port", "[v6]:port", "*:port" (both families), the same behind "tls://", and
 * "unix:/path[?mode=0660]" are resolved and bound, or tried where each process shall bind
 * for itself (SO_REUSEPORT). Port 0 becomes the port that the system chose.
 * "systemd:NAME" takes all sockets that were passed under that name; the processes share
 * them. "?proxy=on" may stand behind each. RB_INVALID, RB_SYSTEM or RB_NOMEM with a
 * sentence in *error that names the address. Nothing stays open on failure. */
RB_MUST_CHECK enum rb_status rb_addresses_claim(const struct rb_settings *settings,
                                                int processes,
                                                struct rb_addresses *addresses,
                                                struct rb_error *error);
/* Closes; and removes the unix sockets that it made when `unlink_paths`. */
void rb_addresses_release(struct rb_addresses *addresses, bool unlink_paths);

struct rb_server;
struct rb_listener;
struct rb_connection;
struct rb_exchange;

/* Opens the socket of one address: listening, not blocking. Takes address->fd where there
 * is one. RB_SYSTEM with a sentence. */
RB_MUST_CHECK enum rb_status rb_address_listen(struct rb_address *address, int *fd,
                                               struct rb_error *error);

/* Listens and accepts on the loop of the server. RB_SYSTEM or RB_NOMEM with a sentence.
 */
RB_MUST_CHECK enum rb_status rb_listener_new(struct rb_server *server,
                                             struct rb_address *address,
                                             struct rb_listener **listener,
                                             struct rb_error *error);
/* The client of a connection is known, and that a proxy has told it: counts it, and
 * begins what it came for; or refuses it. */
void rb_listener_greet(struct rb_connection *connection, bool tls);
/* The PROXY protocol is not spoken as it must be, `why`: the connection is closed. */
void rb_listener_refuse_proxy(struct rb_connection *connection, const char *why);
/* Behind a trusted proxy a request tells whose connection it is, not the socket: counts
 * it there. True when that address has as many as it may. */
bool rb_listener_recount(struct rb_connection *connection, struct rb_exchange *exchange);
/* Stops accepting and closes. NULL is legal. */
void rb_listener_free(struct rb_listener *listener);

#endif
