/* Lookups wait in a queue under a mutex; threads take them, put the answers into another
 * one and wake the loop. */
#include "worker/resolve.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "config/buffer.h"

struct lookup {
    STAILQ_ENTRY(lookup) link;
    rb_resolved_fn *fn;
    void *ctx;
    int error;
    char addresses[RB_RESOLVE_MAX * (INET6_ADDRSTRLEN + 3)];
    char host[];
};
STAILQ_HEAD(lookups, lookup);

/* Shared with the threads; the last one of all frees it. */
struct shared {
    pthread_mutex_t mutex;
    pthread_cond_t asked;
    struct lookups questions, answers;
    struct ev_loop *loop; /* NULL: nobody wants answers any more */
    ev_async *wake;
    int threads, idle;
};

struct rb_resolver {
    struct ev_loop *loop;
    ev_async wake;
    struct shared *shared;
};

static void drop_all(struct lookups *lookups) {
    struct lookup *lookup;
    while ((lookup = STAILQ_FIRST(lookups))) {
        STAILQ_REMOVE_HEAD(lookups, link);
        free(lookup);
    }
}

static void shared_free(struct shared *shared) {
    drop_all(&shared->questions);
    drop_all(&shared->answers);
    pthread_cond_destroy(&shared->asked);
    pthread_mutex_destroy(&shared->mutex);
    free(shared);
}

static void add_address(struct rb_buffer *out, const struct sockaddr *address) {
    char text[INET6_ADDRSTRLEN];
    bool v6 = address->sa_family == AF_INET6;
    const void *bytes =
        v6 ? (const void *)&((const struct sockaddr_in6 *)(const void *)address)
                 ->sin6_addr
           : (const void *)&((const struct sockaddr_in *)(const void *)address)->sin_addr;
    if (!inet_ntop(address->sa_family, bytes, text, sizeof text))
        return;
    rb_buffer_printf(out, v6 ? "%s[%s]" : "%s%s", out->len ? "," : "", text);
}

static void look_up(struct lookup *lookup) {
    struct addrinfo hints = {.ai_flags = AI_ADDRCONFIG, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    struct rb_buffer out;

    lookup->error = getaddrinfo(lookup->host, NULL, &hints, &found);
    if (lookup->error)
        return;
    rb_buffer_init(&out, sizeof lookup->addresses - 1);
    int count = 0;
    for (const struct addrinfo *a = found; a && count < RB_RESOLVE_MAX; a = a->ai_next)
        if (a->ai_family == AF_INET || a->ai_family == AF_INET6) {
            add_address(&out, a->ai_addr);
            count++;
        }
    freeaddrinfo(found);
    if (out.status != RB_OK)
        lookup->error = EAI_MEMORY;
    else if (out.len == 0)
        lookup->error = EAI_NONAME;
    else
        memcpy(lookup->addresses, out.at, out.len + 1);
    rb_buffer_fini(&out);
}

static void *thread_main(void *ctx) {
    struct shared *shared = ctx;
    struct lookup *lookup;

    pthread_mutex_lock(&shared->mutex);
    while (shared->loop) {
        lookup = STAILQ_FIRST(&shared->questions);
        if (!lookup) {
            shared->idle++;
            pthread_cond_wait(&shared->asked, &shared->mutex);
            shared->idle--;
            continue;
        }
        STAILQ_REMOVE_HEAD(&shared->questions, link);
        pthread_mutex_unlock(&shared->mutex);
        look_up(lookup);
        pthread_mutex_lock(&shared->mutex);
        STAILQ_INSERT_TAIL(&shared->answers, lookup, link);
        if (shared->loop)
            ev_async_send(shared->loop, shared->wake);
    }
    bool last = --shared->threads == 0;
    pthread_mutex_unlock(&shared->mutex);
    if (last)
        shared_free(shared);
    return NULL;
}

static void on_wake(struct ev_loop *loop, ev_async *wake, int revents) {
    struct rb_resolver *resolver = wake->data;
    struct shared *shared = resolver->shared;
    struct lookups answers = STAILQ_HEAD_INITIALIZER(answers);
    struct lookup *lookup;
    (void)loop, (void)revents;

    pthread_mutex_lock(&shared->mutex);
    STAILQ_CONCAT(&answers, &shared->answers);
    pthread_mutex_unlock(&shared->mutex);
    while ((lookup = STAILQ_FIRST(&answers))) {
        STAILQ_REMOVE_HEAD(&answers, link);
        struct rb_resolved resolved = {lookup->addresses, lookup->error};
        lookup->fn(lookup->ctx, &resolved);
        free(lookup);
    }
}

struct rb_resolver *rb_resolver_new(struct ev_loop *loop) {
    struct rb_resolver *resolver = calloc(1, sizeof *resolver);
    struct shared *shared = calloc(1, sizeof *shared);
    if (!resolver || !shared) {
        free(resolver);
        free(shared);
        return NULL;
    }
    pthread_mutex_init(&shared->mutex, NULL);
    pthread_cond_init(&shared->asked, NULL);
    STAILQ_INIT(&shared->questions);
    STAILQ_INIT(&shared->answers);
    shared->loop = loop;
    shared->wake = &resolver->wake;
    resolver->shared = shared;
    resolver->loop = loop;
    ev_async_init(&resolver->wake, on_wake);
    resolver->wake.data = resolver;
    ev_async_start(loop, &resolver->wake);
    return resolver;
}

void rb_resolver_free(struct rb_resolver *resolver) {
    if (!resolver)
        return;
    struct shared *shared = resolver->shared;
    pthread_mutex_lock(&shared->mutex);
    shared->loop = NULL;
    bool last = shared->threads == 0;
    pthread_cond_broadcast(&shared->asked);
    pthread_mutex_unlock(&shared->mutex);
    if (last)
        shared_free(shared);
    ev_async_stop(resolver->loop, &resolver->wake);
    free(resolver);
}

/* Signals stay with the loop's thread. Called under the mutex. */
static bool start_thread(struct shared *shared) {
    pthread_t thread;
    pthread_attr_t attributes;
    sigset_t all, before;

    if (pthread_attr_init(&attributes))
        return false;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&thread, &attributes, thread_main, shared) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (started)
        shared->threads++;
    return started;
}

enum rb_status rb_resolver_ask(struct rb_resolver *resolver, const char *host,
                               rb_resolved_fn *fn, void *ctx) {
    struct shared *shared = resolver->shared;
    enum rb_status status = RB_OK;
    size_t len = strlen(host);
    struct lookup *lookup = calloc(1, sizeof *lookup + len + 1);
    if (!lookup)
        return RB_NOMEM;
    lookup->fn = fn;
    lookup->ctx = ctx;
    memcpy(lookup->host, host, len + 1);

    pthread_mutex_lock(&shared->mutex);
    if (shared->idle == 0 && shared->threads < RB_RESOLVE_THREADS &&
        !start_thread(shared) && shared->threads == 0) {
        status = RB_SYSTEM;
        free(lookup);
    } else {
        STAILQ_INSERT_TAIL(&shared->questions, lookup, link);
        pthread_cond_signal(&shared->asked);
    }
    pthread_mutex_unlock(&shared->mutex);
    return status;
}
