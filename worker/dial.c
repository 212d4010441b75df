/* Hosts, their addresses, and who waits for them. */
#include "worker/dial.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "config/clock.h"
#include "config/log.h"
#include "worker/resolve.h"
#include "worker/stats.h"

#define TICK_S 0.002 /* how often those who wait for the pace are looked at */
#define HOST_NAME_MAX_BYTES 255
#define RESOLVE_LINE_MAX 2048

TAILQ_HEAD(dialers, rb_dialer);

struct rb_host {
    UT_hash_handle hh;
    char *origin; /* scheme://host[:port] as the definition writes it */
    CURLU *url;   /* of it */
    struct rb_dial *dial;
    char *name; /* as curl looks it up: lower case, without brackets */
    int port;
    bool literal; /* an address already */
    bool asking;
    int64_t fresh_until, stale_until, failed_until; /* 0: never, or not any more */
    int64_t answered_ms;                            /* when addresses came last */
    struct curl_slist *addresses;                   /* "name:port:address,…" */
    struct curl_slist *former; /* handles set up in this turn may still point there */
    bool known;                /* curl has the addresses in its cache */
    int64_t paced_ms;          /* when `tokens` was counted */
    int64_t tokens;            /* connections that may be opened now */
    unsigned next_lane;        /* where the next connection is opened */
    uint16_t *rest;            /* lanes in which connections rest, as far as known */
    size_t rests, rest_room;
    bool queued;
    TAILQ_ENTRY(rb_host) queue_link; /* on dial->queued while dialers wait for tokens */
    struct dialers waiting;
};
TAILQ_HEAD(host_list, rb_host);

struct rb_dial {
    struct ev_loop *loop;
    struct rb_stats *stats;
    struct rb_resolver *resolver;
    unsigned lanes;
    struct rb_host *hosts; /* as many as definitions name: few */
    struct rb_host *last;  /* asked for last: most likely the next one too */
    struct host_list queued;
    ev_timer tick;
};

/* What stands before the path. */
static struct rb_text origin_of(struct rb_text url) {
    size_t slashes = 0, end = 0;
    for (; end < url.len; end++) {
        char c = url.at[end];
        if (slashes == 2 && (c == '/' || c == '?' || c == '#'))
            break;
        slashes += c == '/';
    }
    return rb_text(url.at, end);
}

static enum rb_status parse_port(struct rb_text digits, int *port) {
    int64_t number;
    if (rb_text_int64(digits, &number) != RB_OK || number < 1 || number > 65535)
        return RB_INVALID;
    *port = (int)number;
    return RB_OK;
}

enum rb_status rb_dial_parse(struct rb_text url, struct rb_text *host, int *port) {
    static const struct rb_text plain = {"http://", 7}, secure = {"https://", 8};
    bool is_plain = rb_text_starts(url, plain);
    if (!is_plain && !rb_text_starts(url, secure))
        return RB_INVALID;
    size_t start = is_plain ? plain.len : secure.len;
    struct rb_text rest = origin_of(url);
    rest.at += start;
    rest.len -= start;
    *port = is_plain ? 80 : 443;
    if (rest.len == 0 || memchr(rest.at, '@', rest.len))
        return RB_INVALID;

    size_t behind = 0; /* where the port may follow */
    if (rest.at[0] == '[') {
        const char *close = memchr(rest.at, ']', rest.len);
        if (!close)
            return RB_INVALID;
        *host = rb_text(rest.at + 1, (size_t)(close - rest.at) - 1);
        behind = (size_t)(close - rest.at) + 1;
    } else {
        while (behind < rest.len && rest.at[behind] != ':')
            behind++;
        *host = rb_text(rest.at, behind);
    }
    if (host->len == 0 || host->len > HOST_NAME_MAX_BYTES)
        return RB_INVALID;
    if (behind == rest.len)
        return RB_OK;
    if (rest.at[behind] != ':')
        return RB_INVALID;
    return parse_port(rb_text(rest.at + behind + 1, rest.len - behind - 1), port);
}

static void host_free(struct rb_host *host) {
    curl_slist_free_all(host->addresses);
    curl_slist_free_all(host->former);
    curl_url_cleanup(host->url);
    free(host->name);
    free(host->origin);
    free(host->rest);
    free(host);
}

static struct rb_host *host_new(struct rb_dial *dial, struct rb_text origin,
                                struct rb_text name, int port) {
    struct rb_host *host = calloc(1, sizeof *host);
    if (!host)
        return NULL;
    host->origin = rb_text_copy(origin);
    host->name = rb_text_copy(name);
    host->url = curl_url();
    if (!host->origin || !host->name || !host->url ||
        curl_url_set(host->url, CURLUPART_URL, host->origin, 0) != CURLUE_OK) {
        host_free(host);
        return NULL;
    }
    rb_text_lower(host->name);
    struct in6_addr address;
    host->dial = dial;
    host->port = port;
    host->next_lane = HASH_COUNT(dial->hosts);
    host->literal = inet_pton(AF_INET, host->name, &address) == 1 ||
                    inet_pton(AF_INET6, host->name, &address) == 1;
    host->tokens = RB_DIAL_BURST;
    TAILQ_INIT(&host->waiting);
    HASH_ADD_KEYPTR(hh, dial->hosts, host->origin, origin.len, host);
    return host;
}

/* The host of a URL; made when it is seen first. */
static enum rb_status host_of(struct rb_dial *dial, struct rb_text url,
                              struct rb_host **host) {
    struct rb_text origin = origin_of(url), name;
    int port;
    *host = dial->last;
    if (!*host || !rb_text_is(origin, (*host)->origin))
        HASH_FIND(hh, dial->hosts, origin.at, origin.len, *host);
    dial->last = *host;
    if (*host)
        return RB_OK;
    enum rb_status status = rb_dial_parse(url, &name, &port);
    if (status != RB_OK)
        return status;
    *host = host_new(dial, origin, name, port);
    return *host ? RB_OK : RB_NOMEM;
}

static void start_tick(struct rb_dial *dial) {
    if (!ev_is_active(&dial->tick))
        ev_timer_again(dial->loop, &dial->tick);
}

static void queue_host(struct rb_host *host) {
    if (host->queued)
        return;
    host->queued = true;
    TAILQ_INSERT_TAIL(&host->dial->queued, host, queue_link);
    start_tick(host->dial);
}

static bool usable(const struct rb_host *host, int64_t now_ms) {
    return host->literal || now_ms < host->stale_until;
}

static void refill(struct rb_host *host, int64_t now_ms) {
    int64_t passed = now_ms - host->paced_ms;
    if (passed <= 0)
        return;
    host->paced_ms = now_ms;
    host->tokens += passed < RB_DIAL_BURST ? passed * RB_DIAL_PER_MS : RB_DIAL_BURST;
    if (host->tokens > RB_DIAL_BURST)
        host->tokens = RB_DIAL_BURST;
}

/* Takes the dialer off the queue, if it stands there, and lets it go. */
static void let_go(struct rb_dialer *dialer, bool resolved) {
    struct rb_host *host = dialer->host;
    if (dialer->waiting)
        TAILQ_REMOVE(&host->waiting, dialer, link);
    dialer->waiting = false;
    dialer->resting = resolved && host->rests > 0;
    dialer->token = resolved && !dialer->resting;
    if (dialer->resting) {
        dialer->lane = host->rest[--host->rests];
    } else if (dialer->token) {
        dialer->lane = host->next_lane++ % host->dial->lanes;
        host->tokens--;
    }
    dialer->go(dialer, resolved);
}

static bool may_go(const struct rb_host *host, int64_t now_ms) {
    return usable(host, now_ms) && (host->rests > 0 || host->tokens > 0);
}

static bool let_some_go(struct rb_host *host, int64_t now_ms) {
    bool any = false;
    refill(host, now_ms);
    while (may_go(host, now_ms) && !TAILQ_EMPTY(&host->waiting)) {
        let_go(TAILQ_FIRST(&host->waiting), true);
        any = true;
    }
    return any;
}

static void remember(struct rb_host *host, const char *addresses, int64_t now_ms) {
    char line[RESOLVE_LINE_MAX];
    int len = snprintf(line, sizeof line, "%s:%d:%s", host->name, host->port, addresses);
    host->answered_ms = now_ms;
    host->fresh_until = now_ms + RB_DIAL_FRESH_MS;
    host->failed_until = 0;
    if (len < 0 || (size_t)len >= sizeof line)
        return;
    if (!host->addresses || strcmp(host->addresses->data, line) != 0) {
        struct curl_slist *list = curl_slist_append(NULL, line);
        if (!list)
            return;
        curl_slist_free_all(host->former);
        host->former = host->addresses;
        host->addresses = list;
        host->known = false;
    }
    host->stale_until = now_ms + RB_DIAL_STALE_MS;
}

/* A name that is said not to exist is believed; a name server that fails is not a reason
 * to forget what it said before. */
static void on_resolved(void *ctx, const struct rb_resolved *resolved) {
    struct rb_host *host = ctx;
    int64_t now_ms = rb_clock_ms();

    host->asking = false;
    if (!resolved->error) {
        remember(host, resolved->addresses, now_ms);
    } else {
        rb_log(RB_LOG_WARN, "dns.failed", RB_S("host", host->name),
               RB_S("error", gai_strerror(resolved->error)));
        rb_stats_add(host->dial->stats, RB_STAT_DNS_FAILURES, 1);
        host->failed_until = now_ms + RB_DIAL_FAILED_MS;
        if (resolved->error == EAI_NONAME)
            host->stale_until = 0;
    }
    if (usable(host, now_ms)) {
        if (!TAILQ_EMPTY(&host->waiting))
            queue_host(host);
        return;
    }
    while (!TAILQ_EMPTY(&host->waiting))
        let_go(TAILQ_FIRST(&host->waiting), false);
}

/* Looks the name up when that is due. */
static enum rb_status look_up(struct rb_host *host, int64_t now_ms) {
    if (host->literal || host->asking || now_ms < host->fresh_until ||
        now_ms < host->failed_until)
        return RB_OK;
    enum rb_status status =
        rb_resolver_ask(host->dial->resolver, host->name, on_resolved, host);
    host->asking = status == RB_OK;
    rb_stats_add(host->dial->stats, RB_STAT_DNS_LOOKUPS, 1);
    return usable(host, now_ms) ? RB_OK : status;
}

enum rb_status rb_dial_start(struct rb_dial *dial, struct rb_dialer *dialer,
                             struct rb_text url, int64_t now_ms) {
    struct rb_host *host;
    enum rb_status status = host_of(dial, url, &host);
    if (status == RB_OK)
        status = look_up(host, now_ms);
    if (status != RB_OK)
        return status;

    dialer->host = host;
    dialer->waiting = false;
    dialer->token = false;
    refill(host, now_ms);
    if (!usable(host, now_ms) && !host->asking) {
        let_go(dialer, false);
    } else if (may_go(host, now_ms) && TAILQ_EMPTY(&host->waiting)) {
        let_go(dialer, true);
    } else {
        dialer->waiting = true;
        TAILQ_INSERT_TAIL(&host->waiting, dialer, link);
        if (usable(host, now_ms))
            queue_host(host);
    }
    return RB_OK;
}

void rb_dial_release(struct rb_dial *dial, struct rb_dialer *dialer) {
    (void)dial;
    if (!dialer->host)
        return;
    if (dialer->waiting)
        TAILQ_REMOVE(&dialer->host->waiting, dialer, link);
    if (dialer->token)
        dialer->host->tokens++;
    dialer->waiting = dialer->token = false;
}

struct curl_slist *rb_dial_addresses(struct rb_dialer *dialer) {
    return dialer->host->known ? NULL : dialer->host->addresses;
}

CURLU *rb_dial_url(const struct rb_dialer *dialer) { return dialer->host->url; }

size_t rb_dial_path_at(const struct rb_dialer *dialer) { return dialer->host->hh.keylen; }

bool rb_dial_has_choice(const struct rb_dialer *dialer) {
    const struct curl_slist *addresses = dialer->host->addresses;
    return addresses && strchr(addresses->data, ',');
}

/* Short of memory a connection is just not remembered. */
void rb_dial_rest(struct rb_dialer *dialer) {
    struct rb_host *host = dialer->host;
    if (host->rests == host->rest_room) {
        size_t room = host->rest_room ? host->rest_room * 2 : 16;
        uint16_t *grown = realloc(host->rest, room * sizeof *grown);
        if (!grown)
            return;
        host->rest = grown;
        host->rest_room = room;
    }
    host->rest[host->rests++] = (uint16_t)dialer->lane;
}

/* Curl has read the list when it opens a socket for it. Where a connection should have
 * rested, the host has closed it, and so the others. */
void rb_dial_opened(struct rb_dial *dial, struct rb_dialer *dialer) {
    if (dialer->resting)
        dialer->host->rests = 0;
    dialer->token = dialer->resting = false;
    dialer->host->known = true;
    rb_stats_add(dial->stats, RB_STAT_CONNECTIONS, 1);
}

void rb_dial_failed(struct rb_dialer *dialer) {
    struct rb_host *host = dialer->host;
    if (host && host->fresh_until > host->answered_ms + RB_DIAL_FAILED_MS)
        host->fresh_until = host->answered_ms + RB_DIAL_FAILED_MS;
}

bool rb_dial_turn(struct rb_dial *dial, int64_t now_ms) {
    struct rb_host *host, *next;
    bool any = false;
    for (host = TAILQ_FIRST(&dial->queued); host; host = next) {
        next = TAILQ_NEXT(host, queue_link);
        any |= let_some_go(host, now_ms);
        if (TAILQ_EMPTY(&host->waiting)) {
            TAILQ_REMOVE(&dial->queued, host, queue_link);
            host->queued = false;
        }
    }
    if (TAILQ_EMPTY(&dial->queued))
        ev_timer_stop(dial->loop, &dial->tick);
    return any;
}

/* Wakes the loop; the turn's end does the work. */
static void on_tick(struct ev_loop *loop, ev_timer *tick, int revents) {
    (void)loop, (void)tick, (void)revents;
}

struct rb_dial *rb_dial_new(struct ev_loop *loop, unsigned lanes,
                            struct rb_stats *stats) {
    struct rb_dial *dial = calloc(1, sizeof *dial);
    if (!dial)
        return NULL;
    dial->resolver = rb_resolver_new(loop);
    if (!dial->resolver) {
        free(dial);
        return NULL;
    }
    dial->loop = loop;
    dial->lanes = lanes;
    dial->stats = stats;
    TAILQ_INIT(&dial->queued);
    ev_timer_init(&dial->tick, on_tick, TICK_S, TICK_S);
    return dial;
}

void rb_dial_free(struct rb_dial *dial) {
    struct rb_host *host, *next;
    if (!dial)
        return;
    rb_resolver_free(dial->resolver);
    ev_timer_stop(dial->loop, &dial->tick);
    HASH_ITER(hh, dial->hosts, host, next) {
        HASH_DEL(dial->hosts, host);
        host_free(host);
    }
    free(dial);
}
