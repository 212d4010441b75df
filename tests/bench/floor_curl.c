/* The floor under a worker: bare libcurl making the same calls, with no Redis, no jobs
 * and no results.
 *
 *     floor_curl URL CALLS IN_FLIGHT
 *
 * Its transfers are spread over sixteen multi handles on one epoll loop, since one with
 * thousands of transfers walks through them. Easy handles are used again as they are, and
 * the URL is parsed once.
 * Prints one line of JSON; the rate is taken between a fifth and nine tenths of the
 * calls, when as many are in flight as there should be. */
#include <curl/curl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "config/clock.h"
#include "config/process.h"

#define LANES 16
#define RAMP 100 /* new transfers a millisecond: a backlog must not overflow */

struct lane {
    CURLM *multi;
    int64_t due_ms; /* when libcurl wants to be called, -1 = not */
};

struct mark {
    int64_t us, cpu_us;
};

struct floor {
    int epoll;
    struct lane lanes[LANES];
    struct lane *lane_of[65536]; /* by descriptor */
    bool watched[65536];
    CURLU *url;
    uint64_t total, started, done, failed, in_flight;
    long pss_kb;
    struct mark from, to;
};

static void die(const char *what) {
    perror(what);
    exit(1);
}

static size_t drop(char *at, size_t size, size_t n, void *ctx) {
    (void)at;
    (void)ctx;
    return size * n;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *known) {
    struct lane *lane = ctx;
    struct floor *f;
    (void)known;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &f);
    struct epoll_event event = {.data.fd = fd};
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(f->epoll, EPOLL_CTL_DEL, fd, NULL);
        f->watched[fd] = false;
        return 0;
    }
    event.events =
        (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
    f->lane_of[fd] = lane;
    epoll_ctl(f->epoll, f->watched[fd] ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
    f->watched[fd] = true;
    return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *ctx) {
    struct lane *lane = ctx;
    (void)multi;
    lane->due_ms = timeout_ms < 0 ? -1 : rb_clock_ms() + timeout_ms;
    return 0;
}

static struct mark now(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (struct mark){
        .us = rb_clock_us(),
        .cpu_us = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
                  usage.ru_utime.tv_usec + usage.ru_stime.tv_usec,
    };
}

static long pss_kb(void) {
    char line[256];
    long kb = 0;
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "Pss: %ld", &kb) == 1)
            break;
    }
    if (file)
        fclose(file);
    return kb;
}

static void start_one(struct floor *f) {
    struct lane *lane = &f->lanes[f->started++ % LANES];
    CURL *easy = curl_easy_init();
    if (!easy)
        die("curl_easy_init");
    curl_easy_setopt(easy, CURLOPT_CURLU, f->url);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, f);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 1024L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_multi_add_handle(lane->multi, easy);
}

static void count(struct floor *f, CURLcode result) {
    f->failed += result != CURLE_OK;
    f->done++;
    if (f->done == f->total / 5)
        f->from = now();
    if (f->done == f->total / 2)
        f->pss_kb = pss_kb();
    if (f->done == f->total / 10 * 9)
        f->to = now();
}

static void reap(struct floor *f, struct lane *lane) {
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(lane->multi, &left))) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURL *easy = message->easy_handle;
        count(f, message->data.result);
        curl_multi_remove_handle(lane->multi, easy);
        if (f->started < f->total) {
            f->started++;
            curl_multi_add_handle(lane->multi, easy);
        } else {
            curl_easy_cleanup(easy);
        }
    }
}

static void act(struct floor *f, struct lane *lane, int fd, int what) {
    int running;
    curl_multi_socket_action(lane->multi, fd, what, &running);
    reap(f, lane);
}

static void turn(struct floor *f, int timeout_ms) {
    struct epoll_event events[512];
    int64_t now_ms = rb_clock_ms();
    for (int i = 0; i < LANES; i++) {
        int64_t left = f->lanes[i].due_ms < 0 ? 1000 : f->lanes[i].due_ms - now_ms;
        timeout_ms = left < timeout_ms ? (left < 0 ? 0 : (int)left) : timeout_ms;
    }
    int n = epoll_wait(f->epoll, events, 512, timeout_ms);
    for (int i = 0; i < n; i++) {
        int fd = events[i].data.fd;
        if (f->watched[fd])
            act(f, f->lane_of[fd], fd,
                (events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
                    (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0));
    }
    now_ms = rb_clock_ms();
    for (int i = 0; i < LANES; i++) {
        struct lane *lane = &f->lanes[i];
        if (lane->due_ms >= 0 && lane->due_ms <= now_ms) {
            lane->due_ms = -1;
            act(f, lane, CURL_SOCKET_TIMEOUT, 0);
        }
    }
}

static void open_lanes(struct floor *f) {
    for (int i = 0; i < LANES; i++) {
        struct lane *lane = &f->lanes[i];
        lane->due_ms = -1;
        lane->multi = curl_multi_init();
        curl_multi_setopt(lane->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
        curl_multi_setopt(lane->multi, CURLMOPT_SOCKETDATA, lane);
        curl_multi_setopt(lane->multi, CURLMOPT_TIMERFUNCTION, on_timer);
        curl_multi_setopt(lane->multi, CURLMOPT_TIMERDATA, lane);
        curl_multi_setopt(lane->multi, CURLMOPT_MAXCONNECTS,
                          (long)(f->in_flight / LANES + 1));
    }
}

int main(int argc, char **argv) {
    static struct floor f;
    if (argc != 4) {
        fprintf(stderr, "usage: %s URL CALLS IN_FLIGHT\n", argv[0]);
        return 64;
    }
    f.total = strtoul(argv[2], NULL, 10) / 10 * 10;
    f.in_flight = strtoul(argv[3], NULL, 10);
    rb_process_prepare();
    curl_global_init(CURL_GLOBAL_DEFAULT);
    f.url = curl_url();
    if (!f.url || curl_url_set(f.url, CURLUPART_URL, argv[1], 0) != CURLUE_OK) {
        fprintf(stderr, "%s is no url\n", argv[1]);
        return 64;
    }
    f.epoll = epoll_create1(EPOLL_CLOEXEC);
    open_lanes(&f);
    long idle_kb = pss_kb();
    int64_t begun_us = rb_clock_us();
    uint64_t open = 0;
    while (f.done < f.total) {
        for (int i = 0; i < RAMP && open < f.in_flight && f.started < f.total; i++) {
            start_one(&f);
            open++;
        }
        turn(&f, open < f.in_flight ? 1 : 1000);
    }
    double measured = (double)(f.total / 10 * 9 - f.total / 5);
    double span_us = (double)(f.to.us - f.from.us);
    printf("{\"calls\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"span_s\":%.4f,"
           "\"per_s\":%.0f,\"cpu_us\":%.2f,\"bytes\":%.0f}\n",
           f.done, f.failed, (double)(rb_clock_us() - begun_us) / 1e6,
           measured * 1e6 / span_us, (double)(f.to.cpu_us - f.from.cpu_us) / measured,
           (double)(f.pss_kb - idle_kb) * 1024 / (double)f.in_flight);
    curl_url_cleanup(f.url);
    return f.failed ? 1 : 0;
}
