/* A call's life: waits until its host may be dialled, runs in a lane of transfers, ends
 * by an answer, an error, its deadline or a cancel. Easy handles are used again and
 * again. */
#include "worker/call.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "config/buffer.h"
#include "config/clock.h"
#include "worker/blocks.h"
#include "worker/dial.h"
#include "worker/easy.h"
#include "worker/failure.h"
#include "worker/identity.h"
#include "worker/redirect.h"
#include "worker/retry_after.h"
#include "worker/stats.h"
#include "worker/transfers.h"

#define LANE_IN_FLIGHT 40 /* calls for which a lane is opened */
#define LANES_MAX 256
#define LANE_CONNECTIONS_MIN 64
#define SPARE_MIN 256        /* handles kept for later, besides as many as are in use */
#define BURST 1024           /* calls at once, after which memory is given back */
#define BODY_KEPT_BYTES 4096 /* a larger body's memory is given back */
/* Our own timer comes first and knows more than curl's, which is there to share the time
 * out among the addresses of a host. */
#define CURL_LATE_MS 250
#define MAX_ROUNDS 64 /* of calls that let others go in one turn */

struct rb_call {
    struct rb_caller *caller;
    TAILQ_ENTRY(rb_call) link; /* on caller->ended or caller->spare */
    CURL *easy;
    bool running; /* in its lane */
    bool ended;   /* on caller->ended */
    bool opened;
    bool tls_set; /* the handle has options of a definition's `tls:` */
    struct rb_hop hop;
    curl_socket_t fd; /* the one opened last */
    struct rb_dialer dialer;
    struct rb_call_order order;
    rb_call_fn *fn;
    void *ctx;
    struct rb_call_end end;
    struct rb_buffer body;
    size_t head_bytes;
    ev_timer timer;
    int64_t started_us;
    int64_t connect_by_ms;
    struct rb_header_list headers;
    char detail[CURL_ERROR_SIZE];
};
TAILQ_HEAD(call_list, rb_call);

struct rb_caller {
    struct ev_loop *loop;
    struct rb_transfers *transfers;
    struct rb_dial *dial;
    struct rb_stats *stats;
    const struct rb_network *allow, *deny;
    char known_peer[INET6_ADDRSTRLEN]; /* an address that these allow */
    struct call_list ended;            /* to be reported at the end of the turn */
    struct call_list spare;
    size_t in_use, spares;
    size_t peak; /* in use since memory was given back last */
    bool trust_folder;
};

static bool contains(const struct rb_network *network, const struct sockaddr *address) {
    return network && rb_network_contains(network, address);
}

/* A definition may open what the worker closes, and close what the worker opens. */
static bool allowed(const struct rb_call *call, const struct sockaddr *address) {
    if (contains(call->order.allow, address))
        return true;
    if (contains(call->order.deny, address))
        return false;
    return rb_network_allows(call->caller->allow, call->caller->deny, address);
}

static curl_socket_t on_open(void *ctx, curlsocktype purpose,
                             struct curl_sockaddr *address) {
    struct rb_call *call = ctx;
    (void)purpose;
    if (!allowed(call, &address->addr)) {
        call->end.denied = true;
        return CURL_SOCKET_BAD;
    }
    if (!call->opened)
        rb_dial_opened(call->caller->dial, &call->dialer);
    call->opened = true;
    call->fd = rb_transfers_open(call->caller->transfers, address);
    return call->fd;
}

/* Judged by the worker's rules alone, the peer of the last call is known. */
static bool is_known_peer(const struct rb_call *call, const char *peer) {
    return !call->order.allow && !call->order.deny &&
           strcmp(peer, call->caller->known_peer) == 0;
}

static bool is_allowed_peer(const struct rb_call *call, const char *peer) {
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    if (inet_pton(AF_INET, peer, &v4.sin_addr) == 1)
        return allowed(call, (const struct sockaddr *)&v4);
    return inet_pton(AF_INET6, peer, &v6.sin6_addr) == 1 &&
           allowed(call, (const struct sockaddr *)&v6);
}

/* The connection may be one that another service opened under other rules. */
static int on_connected(void *ctx, char *peer, char *local, int peer_port,
                        int local_port) {
    struct rb_call *call = ctx;
    struct rb_caller *caller = call->caller;
    (void)local, (void)peer_port, (void)local_port;
    rb_dial_release(caller->dial, &call->dialer);
    call->end.connected = true;
    call->end.unidentified = call->opened && rb_identity_missed(call->easy);
    if (is_known_peer(call, peer))
        return CURL_PREREQFUNC_OK;
    call->end.denied = !is_allowed_peer(call, peer);
    if (call->end.denied)
        return CURL_PREREQFUNC_ABORT;
    if (!call->order.allow && !call->order.deny)
        snprintf(caller->known_peer, sizeof caller->known_peer, "%s", peer);
    return CURL_PREREQFUNC_OK;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *ctx) {
    struct rb_call *call = ctx;
    (void)size;
    call->end.answered = true;
    /* Empty is the line behind a head; another head may follow one with 1xx. */
    if (bytes[0] == '\r' || bytes[0] == '\n')
        call->end.headed = true;
    else if (bytes[0] == 'H' && count > 5 && memcmp(bytes, "HTTP/", 5) == 0)
        call->end.headed = false;
    call->head_bytes += count;
    if (call->head_bytes <= RB_CALL_HEAD_MAX_BYTES)
        return count;
    call->end.head_too_large = true;
    return 0;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *ctx) {
    struct rb_call *call = ctx;
    (void)size;
    rb_buffer_add(&call->body, bytes, count);
    if (call->body.status == RB_OK)
        return count;
    call->end.body_too_large = call->body.status == RB_TOO_LARGE;
    call->end.no_memory = call->body.status == RB_NOMEM;
    return 0;
}

static void release(struct rb_call *call) {
    struct rb_caller *caller = call->caller;
    ev_timer_stop(caller->loop, &call->timer);
    rb_dial_release(caller->dial, &call->dialer);
    if (call->running)
        rb_transfers_remove(caller->transfers, call->easy, call->dialer.lane);
    if (call->ended)
        TAILQ_REMOVE(&caller->ended, call, link);
    rb_request_free(call->order.request);
    call->order.request = NULL;
    call->running = call->ended = false;
    caller->in_use--;
}

static void call_free(struct rb_call *call) {
    if (call->easy)
        curl_easy_cleanup(call->easy);
    rb_buffer_fini(&call->body);
    free(call->headers.at);
    free(call);
}

/* After a burst malloc holds on to what was freed; nothing else is to be done now. */
static void give_memory_back(struct rb_caller *caller) {
    if (caller->in_use > 0 || caller->peak < BURST)
        return;
    caller->peak = 0;
    rb_blocks_trim();
    malloc_trim(0);
}

/* Keeps the handle for the next call, but not more of them than a burst left behind. */
static void recycle(struct rb_call *call) {
    struct rb_caller *caller = call->caller;
    if (call->body.room > BODY_KEPT_BYTES) {
        rb_buffer_fini(&call->body);
        rb_buffer_init(&call->body, 0);
    }
    TAILQ_INSERT_HEAD(&caller->spare, call, link);
    caller->spares++;
    while (caller->spares > caller->in_use + SPARE_MIN) {
        call = TAILQ_LAST(&caller->spare, call_list);
        TAILQ_REMOVE(&caller->spare, call, link);
        caller->spares--;
        call_free(call);
    }
    give_memory_back(caller);
}

static void finish(struct rb_call *call) {
    struct rb_answer answer = {
        .detail = call->detail,
        .cause = rb_failure_cause(&call->end),
        .retry_after_ms = RB_RETRY_NO_WISH,
    };
    char *content_type = NULL;
    long status = 0;

    answer.failure = rb_failure_of_call(&call->end, &answer.sentence);
    if (answer.failure == RB_FAIL_CONNECT)
        rb_dial_failed(&call->dialer);
    if (call->end.answered)
        curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    if (answer.failure == RB_FAILURES) {
        curl_easy_getinfo(call->easy, CURLINFO_CONTENT_TYPE, &content_type);
        answer.content_type = rb_text_of(content_type);
        answer.body = rb_buffer_view(&call->body);
        if (status != 200)
            answer.retry_after_ms = rb_retry_after(call->easy);
    } else if (!call->detail[0]) {
        answer.detail = call->end.code ? curl_easy_strerror(call->end.code) : "";
    }
    answer.status = (int)status;
    answer.took_us = rb_clock_us() - call->started_us;
    answer.opened = call->opened;
    rb_stats_add(call->caller->stats, RB_STAT_BYTES, (int64_t)call->body.len);
    release(call);
    call->fn(call->ctx, &answer);
    recycle(call);
}

/* Ends it at the end of this turn, so that nobody is called back from inside. */
static void end_soon(struct rb_call *call, CURLcode code) {
    call->end.code = code;
    call->ended = true;
    TAILQ_INSERT_TAIL(&call->caller->ended, call, link);
}

static void arm(struct rb_call *call, int64_t now_ms) {
    int64_t due_ms = call->order.deadline_ms;
    if (!call->end.connected && call->connect_by_ms < due_ms)
        due_ms = call->connect_by_ms;
    int64_t after_ms = due_ms > now_ms ? due_ms - now_ms : 1;
    ev_timer_set(&call->timer, (double)after_ms / 1000.0, 0.0);
    ev_timer_start(call->caller->loop, &call->timer);
}

/* Begins at the beginning, when it has been set up. */
static void begin(struct rb_call *call, const char *url, int64_t now_ms) {
    struct rb_caller *caller = call->caller;
    call->end = (struct rb_call_end){0};
    call->opened = false;
    call->head_bytes = 0;
    call->detail[0] = '\0';
    call->dialer.host = NULL;
    rb_buffer_clear(&call->body);
    call->connect_by_ms = now_ms + call->order.connect_ms;
    arm(call, now_ms);
    enum rb_status status =
        rb_dial_start(caller->dial, &call->dialer, rb_text_of(url), now_ms);
    if (status == RB_INVALID)
        end_soon(call, CURLE_URL_MALFORMAT);
    else if (status != RB_OK)
        end_soon(call, CURLE_OUT_OF_MEMORY);
}

/* The answer leads elsewhere, and the definition allows it: the call begins again there,
 * within the time that it has. False: the answer is the end. */
static bool follow(struct rb_call *call) {
    struct rb_caller *caller = call->caller;
    if (rb_redirect_look(call->easy, &call->order, &call->hop, call->detail) != RB_OK)
        return false;
    bool set = rb_redirect_set(call->easy, &call->headers, &call->order, &call->hop,
                               caller->trust_folder);
    if (set) {
        ev_timer_stop(caller->loop, &call->timer);
        rb_dial_release(caller->dial, &call->dialer);
        rb_stats_add(caller->stats, RB_STAT_BYTES, (int64_t)call->body.len);
        begin(call, call->hop.url, rb_clock_ms());
    }
    rb_hop_fini(&call->hop);
    return set;
}

static void on_transfer_ended(void *transfer, CURLcode code) {
    struct rb_call *call = transfer;
    call->running = false;
    /* Curl takes a head that was cut off for a whole one. */
    if (code == CURLE_OK && !call->end.headed)
        code = CURLE_PARTIAL_FILE;
    call->end.code = code;
    call->end.alerted = rb_failure_is_alert(code, call->detail);
    if (code == CURLE_OK)
        rb_dial_rest(&call->dialer);
    if (code != CURLE_OK || !call->order.redirects || !follow(call))
        finish(call);
}

/* The socket opened last is connected, so what is missing is TLS. */
static bool has_peer(const struct rb_call *call) {
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    return call->opened && getpeername(call->fd, (struct sockaddr *)&peer, &len) == 0;
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents) {
    struct rb_call *call = timer->data;
    int64_t now_ms = rb_clock_ms();
    (void)loop, (void)revents;

    if (call->ended)
        return;
    if (now_ms >= call->order.deadline_ms)
        call->end.timed_out = true;
    else if (!call->end.connected && now_ms >= call->connect_by_ms)
        call->end.connect_overdue = true;
    call->end.handshaking = call->end.connect_overdue && has_peer(call);
    if (call->end.timed_out || call->end.connect_overdue)
        finish(call);
    else
        arm(call, now_ms);
}

static void on_go(struct rb_dialer *dialer, bool resolved) {
    struct rb_call *call =
        (struct rb_call *)(void *)((char *)dialer - offsetof(struct rb_call, dialer));
    struct rb_caller *caller = call->caller;
    if (!resolved) {
        call->end.unresolved = true;
        end_soon(call, CURLE_COULDNT_RESOLVE_HOST);
        return;
    }
    const struct rb_call_order *order = &call->order;
    call->connect_by_ms = rb_clock_ms() + order->connect_ms;
    bool set = order->redirects ||
               rb_easy_set_url(call->easy, rb_dial_url(dialer),
                               order->request->url + rb_dial_path_at(dialer));
    curl_easy_setopt(call->easy, CURLOPT_RESOLVE, rb_dial_addresses(dialer));
    curl_easy_setopt(call->easy, CURLOPT_CONNECTTIMEOUT_MS,
                     rb_dial_has_choice(dialer) ? (long)order->connect_ms + CURL_LATE_MS
                                                : 0L);
    if (set && rb_transfers_add(caller->transfers, call->easy, dialer->lane) == RB_OK)
        call->running = true;
    else
        end_soon(call, CURLE_OUT_OF_MEMORY);
}

/* What all calls have in common: set once a handle. */
static bool easy_init(struct rb_call *call) {
    CURL *easy = call->easy = curl_easy_init();
    if (!easy)
        return false;
    rb_transfers_adopt(call->caller->transfers, easy);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    rb_easy_set_common(easy, call->caller->trust_folder);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->detail);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, call);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connected);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, call);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    return true;
}

static struct rb_call *call_take(struct rb_caller *caller) {
    struct rb_call *call = TAILQ_FIRST(&caller->spare);
    if (call) {
        TAILQ_REMOVE(&caller->spare, call, link);
        caller->spares--;
        return call;
    }
    call = calloc(1, sizeof *call);
    if (!call)
        return NULL;
    call->caller = caller;
    rb_buffer_init(&call->body, 0);
    ev_timer_init(&call->timer, on_timer, 0.0, 0.0);
    call->timer.data = call;
    call->dialer.go = on_go;
    if (!easy_init(call)) {
        call_free(call);
        return NULL;
    }
    return call;
}

/* Handles that never saw a `tls:` need not be told that there is none. */
static bool set_up(struct rb_call *call, const struct rb_call_order *order) {
    bool tls = order->tls || call->tls_set;
    call->tls_set = order->tls != NULL;
    return (!order->redirects ||
            rb_easy_set_url(call->easy, NULL, order->request->url)) &&
           rb_easy_set_request(call->easy, &call->headers, order) &&
           (!tls ||
            rb_easy_set_tls(call->easy, order->tls, true, call->caller->trust_folder));
}

struct rb_call *rb_call_start(struct rb_caller *caller, const struct rb_call_order *order,
                              int64_t now_ms, rb_call_fn *fn, void *ctx) {
    struct rb_call *call = call_take(caller);
    if (!call || !set_up(call, order)) {
        rb_request_free(order->request);
        if (call)
            call_free(call);
        return NULL;
    }
    if (++caller->in_use > caller->peak)
        caller->peak = caller->in_use;
    call->order = *order;
    call->fn = fn;
    call->ctx = ctx;
    call->hop = (struct rb_hop){0};
    call->body.limit = (size_t)order->max_bytes;
    call->started_us = rb_clock_us();
    begin(call, order->request->url, now_ms);
    return call;
}

void rb_call_cancel(struct rb_call *call) {
    release(call);
    recycle(call);
}

void rb_caller_turn(struct rb_caller *caller, int64_t now_ms) {
    struct rb_call *call;
    for (int round = 0; round < MAX_ROUNDS; round++) {
        rb_transfers_turn(caller->transfers);
        while ((call = TAILQ_FIRST(&caller->ended)))
            finish(call);
        if (!rb_dial_turn(caller->dial, now_ms))
            return;
    }
}

void rb_caller_set_network(struct rb_caller *caller, const struct rb_network *allow,
                           const struct rb_network *deny) {
    caller->allow = allow;
    caller->deny = deny;
    caller->known_peer[0] = '\0';
}

static int64_t clamp(int64_t value, int64_t low, int64_t high) {
    return value < low ? low : value > high ? high : value;
}

struct rb_caller *rb_caller_new(struct ev_loop *loop,
                                const struct rb_caller_options *options) {
    struct rb_caller *caller = calloc(1, sizeof *caller);
    if (!caller)
        return NULL;
    int64_t lanes = clamp(options->max_in_flight / LANE_IN_FLIGHT, 1, LANES_MAX);
    int64_t connections = 2 * options->max_in_flight / lanes;
    connections = clamp(connections, LANE_CONNECTIONS_MIN, INT32_MAX);
    if (connections > options->descriptors / lanes)
        connections = clamp(options->descriptors / lanes, 1, INT32_MAX);
    caller->loop = loop;
    caller->stats = options->stats;
    TAILQ_INIT(&caller->ended);
    TAILQ_INIT(&caller->spare);
    caller->trust_folder = rb_easy_has_trust_folder();
    caller->dial = rb_dial_new(loop, (unsigned)lanes, options->stats);
    caller->transfers =
        rb_transfers_new(loop, (unsigned)lanes, (long)connections, on_transfer_ended);
    if (!caller->dial || !caller->transfers) {
        rb_caller_free(caller);
        return NULL;
    }
    return caller;
}

void rb_caller_free(struct rb_caller *caller) {
    struct rb_call *call;
    if (!caller)
        return;
    while ((call = TAILQ_FIRST(&caller->spare))) {
        TAILQ_REMOVE(&caller->spare, call, link);
        call_free(call);
    }
    rb_transfers_free(caller->transfers);
    rb_dial_free(caller->dial);
    free(caller);
}
