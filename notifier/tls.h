/* TLS in the process (OpenSSL 3): TLS 1.2 and later, HTTP/1.1 alone by ALPN, tickets for
 * resumption and no state kept here, no renegotiation, no early data. */
#ifndef RB_NOTIFIER_TLS_H
#define RB_NOTIFIER_TLS_H

#include <stdbool.h>

#include "config/settings.h"
#include "config/status.h"

struct ssl_st; /* SSL of OpenSSL: one connection's */
struct rb_tls; /* the certificate and the rules: what new connections begin with */

/* What tickets are sealed with. Made before the processes fork, so that each of them
 * resumes what another began. */
struct rb_tls_tickets {
    unsigned char key[80];
};
void rb_tls_tickets_make(struct rb_tls_tickets *tickets);

/* True when an address to listen on says tls://. */
bool rb_tls_is_wanted(const struct rb_settings *settings);

/* Reads the certificate and its key. RB_INVALID (not there, not good, or not a pair) or
 * RB_NOMEM; what is wrong is added to `errors` with the file. Never asks for a
 * passphrase. */
RB_MUST_CHECK enum rb_status rb_tls_new(const struct rb_settings *settings,
                                        const struct rb_tls_tickets *tickets,
                                        struct rb_tls **tls, struct rb_errors *errors);
/* Connections that began with it go on. NULL is legal. */
void rb_tls_free(struct rb_tls *tls);

/* The server's side of a connection on this socket, not begun. NULL: out of memory. */
struct ssl_st *rb_tls_open(const struct rb_tls *tls, int fd);
void rb_tls_close(struct ssl_st *ssl); /* says nothing to the peer; NULL is legal */

enum rb_tls_result {
    RB_TLS_DONE,        /* bytes were read or written */
    RB_TLS_WANTS_READ,  /* call again when the socket is readable */
    RB_TLS_WANTS_WRITE, /* or writable */
    RB_TLS_END,         /* the peer sends no more */
    RB_TLS_PLAIN,       /* the peer speaks plain HTTP */
    RB_TLS_LOST,        /* the socket is broken */
    RB_TLS_BROKEN       /* the peer broke the rules, or there was no common ground; it is
                           told why already. rb_tls_reason */
};

/* Reading and writing do the handshake first. What is written again after _WANTS_ must
 * begin with the same bytes. */
enum rb_tls_result rb_tls_read(struct ssl_st *ssl, char *bytes, size_t room, size_t *got);
enum rb_tls_result rb_tls_write(struct ssl_st *ssl, const char *bytes, size_t len,
                                size_t *written);
/* Tells the peer that no more will be sent. RB_TLS_WANTS_WRITE: call again; anything
 * else: said, or not to be said any more. */
enum rb_tls_result rb_tls_bye(struct ssl_st *ssl);

bool rb_tls_is_ready(const struct ssl_st *ssl); /* the handshake is over */
bool rb_tls_is_resumed(const struct ssl_st *ssl);
/* Why the last call gave RB_TLS_BROKEN. Static text. */
const char *rb_tls_reason(void);

#endif
