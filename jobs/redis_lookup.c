/* Looking a host up in a thread. Who comes last cleans up: the loop's side, or the thread
 * when the loop's side went away before it was done. */
#include "jobs/redis_lookup.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rb_redis_lookup {
    pthread_mutex_t lock; /* guards done, abandoned, error and list */
    bool done;
    bool abandoned;
    int error;
    struct addrinfo *list;

    struct ev_loop *loop;
    struct ev_async answered;
    rb_redis_lookup_fn *fn;
    void *ctx;
    int port;
    char host[]; /* with a NUL */
};

static int look_up(const char *host, int port, int flags, struct addrinfo **list) {
    char service[16];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = flags | AI_NUMERICSERV};
    snprintf(service, sizeof service, "%d", port);
    *list = NULL;
    return getaddrinfo(host, service, &hints, list);
}

struct addrinfo *rb_redis_lookup_literal(const char *host, int port) {
    struct addrinfo *list;
    return look_up(host, port, AI_NUMERICHOST, &list) == 0 ? list : NULL;
}

static void destroy(struct rb_redis_lookup *lookup) {
    pthread_mutex_destroy(&lookup->lock);
    if (lookup->list)
        freeaddrinfo(lookup->list);
    free(lookup);
}

static void *run(void *arg) {
    struct rb_redis_lookup *lookup = arg;
    struct addrinfo *list;
    int error = look_up(lookup->host, lookup->port, 0, &list);

    pthread_mutex_lock(&lookup->lock);
    bool abandoned = lookup->abandoned;
    lookup->done = true;
    lookup->error = error;
    lookup->list = list;
    if (!abandoned)
        ev_async_send(lookup->loop, &lookup->answered);
    pthread_mutex_unlock(&lookup->lock);
    if (abandoned)
        destroy(lookup);
    return NULL;
}

static void on_answered(struct ev_loop *loop, struct ev_async *watcher, int events) {
    struct rb_redis_lookup *lookup = watcher->data;
    (void)events;
    ev_async_stop(loop, watcher);
    /* The thread lets go of the lock last: behind this it does not touch the lookup. */
    pthread_mutex_lock(&lookup->lock);
    int error = lookup->error;
    struct addrinfo *list = lookup->list;
    lookup->list = NULL;
    pthread_mutex_unlock(&lookup->lock);

    rb_redis_lookup_fn *fn = lookup->fn;
    void *ctx = lookup->ctx;
    destroy(lookup);
    fn(ctx, error, list);
}

/* Signals stay with the threads that wait for them. */
static bool start_detached(struct rb_redis_lookup *lookup) {
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&thread, NULL, run, lookup) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started)
        pthread_detach(thread);
    return started;
}

struct rb_redis_lookup *rb_redis_lookup_start(struct ev_loop *loop, const char *host,
                                              int port, rb_redis_lookup_fn *fn,
                                              void *ctx) {
    size_t host_room = strlen(host) + 1;
    struct rb_redis_lookup *lookup = calloc(1, sizeof *lookup + host_room);
    if (!lookup)
        return NULL;
    if (pthread_mutex_init(&lookup->lock, NULL) != 0) {
        free(lookup);
        return NULL;
    }
    memcpy(lookup->host, host, host_room);
    lookup->port = port;
    lookup->loop = loop;
    lookup->fn = fn;
    lookup->ctx = ctx;
    ev_async_init(&lookup->answered, on_answered);
    lookup->answered.data = lookup;
    ev_async_start(loop, &lookup->answered);
    if (!start_detached(lookup)) {
        ev_async_stop(loop, &lookup->answered);
        destroy(lookup);
        return NULL;
    }
    return lookup;
}

void rb_redis_lookup_abandon(struct rb_redis_lookup *lookup) {
    if (!lookup)
        return;
    ev_async_stop(lookup->loop, &lookup->answered);
    pthread_mutex_lock(&lookup->lock);
    lookup->abandoned = true;
    bool done = lookup->done;
    pthread_mutex_unlock(&lookup->lock);
    if (done)
        destroy(lookup);
}
