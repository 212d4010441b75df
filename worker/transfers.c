/* Sockets and timers of libcurl's multi handles, kept on libev. */
#include "worker/transfers.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_ROUNDS 8 /* of work that makes work in one turn */

struct lane {
    struct rb_transfers *all;
    CURLM *multi;
    ev_timer timer;
    bool due; /* on all->due: curl wants to be called at once */
    TAILQ_ENTRY(lane) due_link;
};
TAILQ_HEAD(lane_list, lane);

struct watch {
    ev_io io;
    struct lane *lane;
    int wanted; /* events that curl waits for now; 0: the connection rests */
    bool kept;  /* opened by us, so we hear when it is closed */
};

struct rb_transfers {
    struct ev_loop *loop;
    rb_transfer_ended_fn *ended;
    CURLSH *share;
    struct watch **by_fd;
    size_t fds;
    ev_timer soon; /* keeps the loop from sleeping over work left for the next turn */
    struct lane_list due;
    unsigned lanes;
    struct lane lane[];
};

static void mark_due(struct lane *lane) {
    if (lane->due)
        return;
    lane->due = true;
    TAILQ_INSERT_TAIL(&lane->all->due, lane, due_link);
}

static void on_lane_timer(struct ev_loop *loop, ev_timer *timer, int revents) {
    (void)loop, (void)revents;
    mark_due(timer->data);
}

static void on_soon(struct ev_loop *loop, ev_timer *timer, int revents) {
    (void)loop, (void)timer, (void)revents;
}

static int on_timer_wanted(CURLM *multi, long timeout_ms, void *ctx) {
    struct lane *lane = ctx;
    (void)multi;
    ev_timer_stop(lane->all->loop, &lane->timer);
    if (timeout_ms == 0) {
        mark_due(lane);
    } else if (timeout_ms > 0) {
        ev_now_update(lane->all->loop);
        ev_timer_set(&lane->timer, (double)timeout_ms / 1000.0, 0.0);
        ev_timer_start(lane->all->loop, &lane->timer);
    }
    return 0;
}

enum rb_status rb_transfers_add(struct rb_transfers *transfers, CURL *easy,
                                unsigned lane) {
    CURLMcode code = curl_multi_add_handle(transfers->lane[lane].multi, easy);
    return code == CURLM_OK ? RB_OK : RB_NOMEM;
}

void rb_transfers_remove(struct rb_transfers *transfers, CURL *easy, unsigned lane) {
    curl_multi_remove_handle(transfers->lane[lane].multi, easy);
}

/* What has ended. At once, not when the turn ends: Redis has work then while we go on. */
static void collect(struct lane *lane) {
    struct rb_transfers *transfers = lane->all;
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(lane->multi, &left))) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURL *easy = message->easy_handle;
        CURLcode result = message->data.result;
        void *transfer = NULL;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
        rb_transfers_remove(transfers, easy, (unsigned)(lane - transfers->lane));
        transfers->ended(transfer, result);
    }
}

/* A resting connection that becomes readable was closed by its peer, or got bytes that
 * nobody asked for and that the next call would take for its answer. Curl drops it when
 * it looks for a connection: it must find it ended, and nothing to read. */
static void end_resting(curl_socket_t fd) {
    char unasked[4096];
    shutdown(fd, SHUT_RDWR);
    while (recv(fd, unasked, sizeof unasked, MSG_DONTWAIT) > 0)
        continue;
}

static void on_socket(struct ev_loop *loop, ev_io *io, int revents) {
    struct watch *watch = io->data;
    if (watch->wanted == 0) {
        ev_io_stop(loop, io);
        end_resting(io->fd);
        return;
    }
    struct lane *lane = watch->lane;
    int events = (revents & EV_READ ? CURL_CSELECT_IN : 0) |
                 (revents & EV_WRITE ? CURL_CSELECT_OUT : 0);
    int running;
    curl_multi_socket_action(lane->multi, io->fd, events, &running);
    collect(lane);
}

static struct watch *watch_new(struct rb_transfers *transfers, curl_socket_t fd) {
    size_t slot = (size_t)fd;
    if (slot >= transfers->fds) {
        size_t fds = transfers->fds ? transfers->fds : 64;
        while (fds <= slot)
            fds *= 2;
        struct watch **grown = realloc(transfers->by_fd, fds * sizeof *grown);
        if (!grown)
            return NULL;
        for (size_t i = transfers->fds; i < fds; i++)
            grown[i] = NULL;
        transfers->by_fd = grown;
        transfers->fds = fds;
    }
    struct watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        return NULL;
    ev_io_init(&watch->io, on_socket, fd, EV_READ);
    watch->io.data = watch;
    transfers->by_fd[slot] = watch;
    return watch;
}

static struct watch *watch_of(const struct rb_transfers *transfers, curl_socket_t fd) {
    size_t slot = (size_t)fd;
    return slot < transfers->fds ? transfers->by_fd[slot] : NULL;
}

static void watch_drop(struct rb_transfers *transfers, curl_socket_t fd) {
    struct watch *watch = watch_of(transfers, fd);
    if (!watch)
        return;
    ev_io_stop(transfers->loop, &watch->io);
    transfers->by_fd[fd] = NULL;
    free(watch);
}

static int on_socket_wanted(CURL *easy, curl_socket_t fd, int what, void *ctx,
                            void *socketp) {
    struct lane *lane = ctx;
    struct rb_transfers *transfers = lane->all;
    struct watch *watch = watch_of(transfers, fd);
    (void)easy, (void)socketp;

    if (what == CURL_POLL_REMOVE) {
        if (!watch || !watch->kept) {
            watch_drop(transfers, fd);
            return 0;
        }
        watch->wanted = 0;
        /* libcurl closes what was still connecting without a word to us, and libev must
         * not meet a closed descriptor. */
        if (watch->io.events & EV_WRITE)
            ev_io_stop(transfers->loop, &watch->io);
        return 0;
    }
    if (!watch) {
        watch = watch_new(transfers, fd);
        if (!watch)
            return -1; /* curl ends the transfer with CURLE_ABORTED_BY_CALLBACK */
    }
    int wanted =
        (what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0);
    watch->lane = lane;
    watch->wanted = wanted;
    if (!ev_is_active(&watch->io) ||
        (watch->io.events & (EV_READ | EV_WRITE)) != wanted) {
        ev_io_stop(transfers->loop, &watch->io);
        ev_io_set(&watch->io, fd, wanted);
        ev_io_start(transfers->loop, &watch->io);
    }
    return 0;
}

curl_socket_t rb_transfers_open(struct rb_transfers *transfers,
                                const struct curl_sockaddr *address) {
    curl_socket_t fd =
        socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd < 0)
        return CURL_SOCKET_BAD;
    watch_drop(transfers, fd);
    struct watch *watch = watch_new(transfers, fd);
    if (!watch) {
        close(fd);
        return CURL_SOCKET_BAD;
    }
    watch->kept = true;
    return fd;
}

static int on_socket_close(void *ctx, curl_socket_t fd) {
    watch_drop(ctx, fd);
    return close(fd);
}

void rb_transfers_adopt(struct rb_transfers *transfers, CURL *easy) {
    curl_easy_setopt(easy, CURLOPT_SHARE, transfers->share);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_socket_close);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, transfers);
}

void rb_transfers_turn(struct rb_transfers *transfers) {
    struct lane *lane;
    for (int round = 0; round < MAX_ROUNDS; round++) {
        struct lane_list due = TAILQ_HEAD_INITIALIZER(due);
        TAILQ_CONCAT(&due, &transfers->due, due_link);
        while ((lane = TAILQ_FIRST(&due))) {
            int running;
            TAILQ_REMOVE(&due, lane, due_link);
            lane->due = false;
            curl_multi_socket_action(lane->multi, CURL_SOCKET_TIMEOUT, 0, &running);
            collect(lane);
        }
        if (TAILQ_EMPTY(&transfers->due))
            return;
    }
    if (!ev_is_active(&transfers->soon))
        ev_timer_start(transfers->loop, &transfers->soon);
}

static bool lane_init(struct rb_transfers *transfers, struct lane *lane,
                      long connections) {
    lane->all = transfers;
    lane->multi = curl_multi_init();
    if (!lane->multi)
        return false;
    ev_timer_init(&lane->timer, on_lane_timer, 0.0, 0.0);
    lane->timer.data = lane;
    curl_multi_setopt(lane->multi, CURLMOPT_SOCKETFUNCTION, on_socket_wanted);
    curl_multi_setopt(lane->multi, CURLMOPT_SOCKETDATA, lane);
    curl_multi_setopt(lane->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
    curl_multi_setopt(lane->multi, CURLMOPT_TIMERDATA, lane);
    curl_multi_setopt(lane->multi, CURLMOPT_MAXCONNECTS, connections);
    return true;
}

struct rb_transfers *rb_transfers_new(struct ev_loop *loop, unsigned lanes,
                                      long connections, rb_transfer_ended_fn *ended) {
    struct rb_transfers *transfers =
        calloc(1, sizeof *transfers + lanes * sizeof transfers->lane[0]);
    if (!transfers)
        return NULL;
    transfers->loop = loop;
    transfers->ended = ended;
    TAILQ_INIT(&transfers->due);
    ev_timer_init(&transfers->soon, on_soon, 0.0, 0.0);
    transfers->share = curl_share_init();
    if (!transfers->share)
        goto out;
    curl_share_setopt(transfers->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
    curl_share_setopt(transfers->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    for (; transfers->lanes < lanes; transfers->lanes++)
        if (!lane_init(transfers, &transfers->lane[transfers->lanes], connections))
            goto out;
    return transfers;
out:
    rb_transfers_free(transfers);
    return NULL;
}

void rb_transfers_free(struct rb_transfers *transfers) {
    if (!transfers)
        return;
    for (unsigned i = 0; i < transfers->lanes; i++) {
        curl_multi_cleanup(transfers->lane[i].multi);
        ev_timer_stop(transfers->loop, &transfers->lane[i].timer);
    }
    ev_timer_stop(transfers->loop, &transfers->soon);
    if (transfers->share)
        curl_share_cleanup(transfers->share);
    for (size_t fd = 0; fd < transfers->fds; fd++)
        watch_drop(transfers, (curl_socket_t)fd);
    free(transfers->by_fd);
    free(transfers);
}
