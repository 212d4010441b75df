/* Where Redis is: redis://[[user]:password@]host[:port][/db] or unix:///path[?db=n]. */
#ifndef RB_JOBS_REDIS_ADDRESS_H
#define RB_JOBS_REDIS_ADDRESS_H

#include "config/status.h"
#include "config/text.h"

struct rb_settings;
struct rb_redis_sentinel;

/* Owned strings; NULL where not given. */
struct rb_redis_address {
    char *path; /* unix socket, else NULL */
    char *host;
    int port;
    int db;
    char *user;
    char *password;
    /* Where set, host and port are not used: the Sentinels are asked for them. */
    struct rb_redis_sentinel *sentinel;
};

/* The name of a master, and who watches it. */
struct rb_redis_sentinel {
    char *master;
    size_t node_count; /* 1 to 16 */
    struct rb_redis_address *nodes;
};

/* RB_INVALID with a sentence in *error that does not repeat the password; RB_NOMEM.
 * User and password are percent-decoded (RFC 3986). */
RB_MUST_CHECK enum rb_status rb_redis_address_parse(struct rb_text url,
                                                    struct rb_redis_address *address,
                                                    struct rb_error *error);
/* One Sentinel: [[user]:password@]host[:port], 26379 if none is given. Likewise. */
RB_MUST_CHECK enum rb_status rb_redis_address_parse_node(struct rb_text node,
                                                         struct rb_redis_address *address,
                                                         struct rb_error *error);
/* What redis.url and redis.sentinel say together; *error names the key. */
RB_MUST_CHECK enum rb_status
rb_redis_address_of_settings(const struct rb_settings *settings,
                             struct rb_redis_address *address, struct rb_error *error);
void rb_redis_address_fini(struct rb_redis_address *address);

/* "127.0.0.1:6379/0" or "/run/redis.sock": for logs, without credentials. */
void rb_redis_address_describe(const struct rb_redis_address *address, char *out,
                               size_t room);

#endif
