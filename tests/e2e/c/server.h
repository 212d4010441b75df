/* A redis-server of the test's own, on a unix socket in a temp folder, and a server that
 * answers whatever the test wants. */
#ifndef RB_TESTS_SERVER_H
#define RB_TESTS_SERVER_H

#include <ev.h>
#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "jobs/redis_address.h"

struct server {
    pid_t pid;
    char folder[64];
    char socket[80];
    const char *const *args; /* further words for redis-server, ended by NULL */
    redisContext *admin;     /* the test's own connection */
};

/* args may be NULL. Returns once it answers; aborts the test when it does not start. */
void server_start(struct server *server, const char *const *args);
/* Ends it with that signal and waits; _again starts it anew on the same socket. */
void server_kill(struct server *server, int signal_number);
void server_again(struct server *server);
/* Kills and cleans up. */
void server_end(struct server *server);

/* redis-cli in a line: the reply must be freed; a refusal aborts the test. */
redisReply *server_ask(struct server *server, const char *format, ...);
/* The same where only the number or text counts; the text is borrowed until the next. */
long long server_number(struct server *server, const char *format, ...);
const char *server_text(struct server *server, const char *format, ...);
void server_do(struct server *server, const char *format, ...);

/* The address of its socket, in the caller's storage. */
void server_address(const struct server *server, struct rb_redis_address *address);

/* A peer on loopback TCP that sends `greeting` at once, and the n-th of `answers` (the
 * last one for all later) when bytes come on its n-th connection; NULL = says nothing. */
struct fake {
    struct ev_loop *loop;
    int fd;
    int port;
    int connections;            /* accepted so far */
    const char *const *answers; /* ended by NULL */
    const char *greeting;
    bool hang_up; /* after the answer */
    struct ev_io accepting;
    struct fake_peer *peers;
};
void fake_start(struct fake *fake, struct ev_loop *loop);
void fake_end(struct fake *fake);

/* Runs the loop until *flag, or fails the test when it takes too long. */
void run_until(struct ev_loop *loop, const bool *flag);
/* Runs it until *count >= wanted. */
void run_until_count(struct ev_loop *loop, const int *count, int wanted);
/* Runs the loop for so long. */
void run_for(struct ev_loop *loop, int64_t ms);

#endif
