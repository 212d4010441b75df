/* Where Redis is: redis://[[user]:password@]host[:port][/db] or unix:///path[?db=n]. */
#ifndef RB_JOBS_REDIS_ADDRESS_H
#define RB_JOBS_REDIS_ADDRESS_H

#include "config/status.h"
#include "config/text.h"

/* Owned strings; NULL where not given. */
struct rb_redis_address {
    char *path; /* unix socket, else NULL */
    char *host;
    int port;
    int db;
    char *user;
    char *password;
};

/* RB_INVALID with a sentence in *error that does not repeat the password; RB_NOMEM.
 * User and password are percent-decoded (RFC 3986). */
RB_MUST_CHECK enum rb_status rb_redis_address_parse(struct rb_text url,
                                                    struct rb_redis_address *address,
                                                    struct rb_error *error);
void rb_redis_address_fini(struct rb_redis_address *address);

/* "127.0.0.1:6379/0" or "/run/redis.sock": for logs, without credentials. */
void rb_redis_address_describe(const struct rb_redis_address *address, char *out,
                               size_t room);

#endif
