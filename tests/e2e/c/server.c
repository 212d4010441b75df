/* Servers for tests. */
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/clock.h"

#define PATIENCE_MS 30000 /* sanitizers on a busy machine are slow */

static void die(const char *what) {
    fprintf(stderr, "test server: %s: %s\n", what, strerror(errno));
    abort();
}

static void exec_server(const struct server *server) {
    const char *argv[32] = {"redis-server", "--port",       "0",
                            "--unixsocket", server->socket, "--dir",
                            server->folder, "--save",       "",
                            "--logfile",    "redis.log",    "--enable-debug-command",
                            "yes"};
    size_t count = 13;
    for (size_t i = 0; server->args && server->args[i] && count < 31; i++)
        argv[count++] = server->args[i];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

static void wait_until_it_answers(struct server *server) {
    int64_t end_ms = rb_clock_ms() + PATIENCE_MS;
    while (rb_clock_ms() < end_ms) {
        server->admin = redisConnectUnix(server->socket);
        if (server->admin && !server->admin->err)
            return;
        if (server->admin)
            redisFree(server->admin);
        poll(NULL, 0, 5);
    }
    die("redis-server does not answer");
}

void server_again(struct server *server) {
    unlink(server->socket);
    server->pid = fork();
    if (server->pid < 0)
        die("fork");
    if (server->pid == 0)
        exec_server(server);
    wait_until_it_answers(server);
}

void server_start(struct server *server, const char *const *args) {
    *server = (struct server){.args = args};
    snprintf(server->folder, sizeof server->folder, "/tmp/ringback-c-XXXXXX");
    if (!mkdtemp(server->folder))
        die("mkdtemp");
    snprintf(server->socket, sizeof server->socket, "%s/redis.sock", server->folder);
    server_again(server);
}

void server_kill(struct server *server, int signal_number) {
    if (server->admin)
        redisFree(server->admin);
    server->admin = NULL;
    kill(server->pid, signal_number);
    while (waitpid(server->pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

void server_end(struct server *server) {
    char path[160];
    server_kill(server, SIGKILL);
    unlink(server->socket);
    snprintf(path, sizeof path, "%s/redis.log", server->folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/dump.rdb", server->folder);
    unlink(path);
    rmdir(server->folder);
}

static redisReply *ask(struct server *server, const char *format, va_list args) {
    redisReply *reply = redisvCommand(server->admin, format, args);
    if (!reply)
        fail_msg("redis-server: %s", server->admin->errstr);
    if (reply->type == REDIS_REPLY_ERROR)
        fail_msg("redis-server: %s: %s", format, reply->str);
    return reply;
}

redisReply *server_ask(struct server *server, const char *format, ...) {
    va_list args;
    va_start(args, format);
    redisReply *reply = ask(server, format, args);
    va_end(args);
    return reply;
}

long long server_number(struct server *server, const char *format, ...) {
    va_list args;
    va_start(args, format);
    redisReply *reply = ask(server, format, args);
    va_end(args);
    long long number = reply->type == REDIS_REPLY_INTEGER ? reply->integer : -1;
    freeReplyObject(reply);
    return number;
}

const char *server_text(struct server *server, const char *format, ...) {
    static char text[4096];
    va_list args;
    va_start(args, format);
    redisReply *reply = ask(server, format, args);
    va_end(args);
    snprintf(text, sizeof text, "%s", reply->str ? reply->str : "");
    freeReplyObject(reply);
    return text;
}

void server_do(struct server *server, const char *format, ...) {
    va_list args;
    va_start(args, format);
    freeReplyObject(ask(server, format, args));
    va_end(args);
}

void server_address(const struct server *server, struct rb_redis_address *address) {
    char url[120];
    snprintf(url, sizeof url, "unix://%s", server->socket);
    assert_int_equal(rb_redis_address_parse(rb_text_of(url), address, NULL), RB_OK);
}

struct fake_peer {
    struct fake *fake;
    struct fake_peer *next;
    int fd;
    const char *answer;
    struct ev_io reading;
};

static void close_peer(struct fake_peer *peer) {
    ev_io_stop(peer->fake->loop, &peer->reading);
    if (peer->fd >= 0)
        close(peer->fd);
    peer->fd = -1;
}

static void say(struct fake_peer *peer, const char *text) {
    if (text && send(peer->fd, text, strlen(text), MSG_NOSIGNAL) < 0)
        close_peer(peer);
}

static void on_bytes(struct ev_loop *loop, struct ev_io *watcher, int events) {
    struct fake_peer *peer = watcher->data;
    char bytes[65536];
    (void)loop;
    (void)events;
    if (recv(peer->fd, bytes, sizeof bytes, 0) <= 0) {
        close_peer(peer);
        return;
    }
    say(peer, peer->answer);
    peer->answer = NULL;
    if (peer->fake->hang_up)
        close_peer(peer);
}

static void on_accept(struct ev_loop *loop, struct ev_io *watcher, int events) {
    struct fake *fake = watcher->data;
    struct fake_peer *peer = calloc(1, sizeof *peer);
    (void)events;
    peer->fd = accept(fake->fd, NULL, NULL);
    peer->fake = fake;
    peer->next = fake->peers;
    fake->peers = peer;
    int i = 0;
    while (fake->answers && fake->answers[i] && i < fake->connections &&
           fake->answers[i + 1])
        i++;
    peer->answer = fake->answers ? fake->answers[i] : NULL;
    fake->connections++;
    ev_io_init(&peer->reading, on_bytes, peer->fd, EV_READ);
    peer->reading.data = peer;
    ev_io_start(loop, &peer->reading);
    say(peer, fake->greeting);
}

void fake_start(struct fake *fake, struct ev_loop *loop) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    *fake = (struct fake){.loop = loop};
    fake->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fake->fd < 0 || bind(fake->fd, (struct sockaddr *)&address, len) != 0 ||
        listen(fake->fd, 16) != 0 ||
        getsockname(fake->fd, (struct sockaddr *)&address, &len) != 0)
        die("fake");
    fake->port = ntohs(address.sin_port);
    ev_io_init(&fake->accepting, on_accept, fake->fd, EV_READ);
    fake->accepting.data = fake;
    ev_io_start(loop, &fake->accepting);
}

void fake_end(struct fake *fake) {
    ev_io_stop(fake->loop, &fake->accepting);
    close(fake->fd);
    while (fake->peers) {
        struct fake_peer *peer = fake->peers;
        fake->peers = peer->next;
        close_peer(peer);
        free(peer);
    }
}

static void on_tick(struct ev_loop *loop, struct ev_timer *timer, int events) {
    (void)loop;
    (void)timer;
    (void)events;
}

void run_until_count(struct ev_loop *loop, const int *count, int wanted) {
    struct ev_timer tick;
    int64_t end_ms = rb_clock_ms() + PATIENCE_MS;
    ev_timer_init(&tick, on_tick, 0.1, 0.1);
    ev_timer_start(loop, &tick);
    while (*count < wanted && rb_clock_ms() < end_ms)
        ev_run(loop, EVRUN_ONCE);
    ev_timer_stop(loop, &tick);
    assert_true(*count >= wanted);
}

void run_until(struct ev_loop *loop, const bool *flag) {
    struct ev_timer tick;
    int64_t end_ms = rb_clock_ms() + PATIENCE_MS;
    ev_timer_init(&tick, on_tick, 0.1, 0.1);
    ev_timer_start(loop, &tick);
    while (!*flag && rb_clock_ms() < end_ms)
        ev_run(loop, EVRUN_ONCE);
    ev_timer_stop(loop, &tick);
    assert_true(*flag);
}

static void on_end(struct ev_loop *loop, struct ev_timer *timer, int events) {
    (void)timer;
    (void)events;
    ev_break(loop, EVBREAK_ONE);
}

void run_for(struct ev_loop *loop, int64_t ms) {
    struct ev_timer end;
    ev_now_update(loop);
    ev_timer_init(&end, on_end, (double)ms / 1000, 0);
    ev_timer_start(loop, &end);
    ev_run(loop, 0);
    ev_timer_stop(loop, &end);
}
