/* The calls to the web app: libcurl's multi interface on libev. */
#include <curl/curl.h>
#include <stdlib.h>

#include "notifier/hook_core.h"
#include "notifier/server.h"

#define CONNECTIONS_KEPT 64L

struct rb_hook_caller {
    struct rb_server *server;
    CURLM *multi;
    ev_timer timer;
    LIST_HEAD(, rb_hook_call) calls;
    LIST_HEAD(, watch) watches;
};

struct watch {
    LIST_ENTRY(watch) entry;
    ev_io io;
    struct rb_hook_caller *caller;
};

struct rb_hook_call {
    LIST_ENTRY(rb_hook_call) entry;
    CURL *easy;
    struct curl_slist *fields;
    struct rb_buffer body;
    rb_hook_result_fn *fn;
    void *ctx;
};

static void call_free(struct rb_hook_caller *caller, struct rb_hook_call *call) {
    LIST_REMOVE(call, entry);
    if (call->easy)
        curl_multi_remove_handle(caller->multi, call->easy);
    curl_easy_cleanup(call->easy);
    curl_slist_free_all(call->fields);
    rb_buffer_fini(&call->body);
    free(call);
}

/* --- the loop --- */

static bool is_json(CURL *easy) {
    char *type = NULL;
    struct rb_text text, rest;
    if (curl_easy_getinfo(easy, CURLINFO_CONTENT_TYPE, &type) != CURLE_OK || !type)
        return false;
    rest = rb_text_of(type);
    return rb_text_next(&rest, ';', &text) &&
           rb_text_equal_nocase(rb_text_trim(text), RB_TEXT("application/json"));
}

static void finish(struct rb_hook_caller *caller, const CURLMsg *message) {
    struct rb_hook_call *call = NULL;
    struct rb_hook_result result = {.why = curl_easy_strerror(message->data.result)};
    long status = 0;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
    if (message->data.result == CURLE_OK) {
        curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &status);
        result.http_status = (int)status;
        result.json = is_json(message->easy_handle);
        result.body = rb_buffer_view(&call->body);
    }
    call->fn(call->ctx, &result);
    call_free(caller, call);
}

static void act(struct rb_hook_caller *caller, curl_socket_t fd, int events) {
    CURLMsg *message;
    int running, left;
    curl_multi_socket_action(caller->multi, fd, events, &running);
    while ((message = curl_multi_info_read(caller->multi, &left)))
        if (message->msg == CURLMSG_DONE)
            finish(caller, message);
}

static void on_io(struct ev_loop *loop, ev_io *io, int events) {
    struct watch *watch = io->data;
    (void)loop;
    act(watch->caller, io->fd,
        (events & EV_READ ? CURL_CSELECT_IN : 0) |
            (events & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events) {
    (void)loop;
    (void)events;
    act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static int set_timer(CURLM *multi, long ms, void *ctx) {
    struct rb_hook_caller *caller = ctx;
    (void)multi;
    ev_timer_stop(caller->server->loop, &caller->timer);
    if (ms >= 0) {
        ev_timer_set(&caller->timer, (double)ms / 1000, 0);
        ev_timer_start(caller->server->loop, &caller->timer);
    }
    return 0;
}

static void watch_free(struct watch *watch) {
    LIST_REMOVE(watch, entry);
    ev_io_stop(watch->caller->server->loop, &watch->io);
    free(watch);
}

static int set_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *own) {
    struct rb_hook_caller *caller = ctx;
    struct watch *watch = own;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (watch)
            watch_free(watch);
        return 0;
    }
    if (!watch) {
        watch = calloc(1, sizeof *watch);
        if (!watch)
            return -1; /* its call fails */
        watch->caller = caller;
        ev_io_init(&watch->io, on_io, fd, 0);
        watch->io.data = watch;
        LIST_INSERT_HEAD(&caller->watches, watch, entry);
        curl_multi_assign(caller->multi, fd, watch);
    }
    ev_io_stop(caller->server->loop, &watch->io);
    ev_io_set(&watch->io, fd,
              (what & CURL_POLL_IN ? EV_READ : 0) |
                  (what & CURL_POLL_OUT ? EV_WRITE : 0));
    ev_io_start(caller->server->loop, &watch->io);
    return 0;
}

/* --- one call --- */

static size_t take_body(char *bytes, size_t one, size_t len, void *ctx) {
    struct rb_hook_call *call = ctx;
    rb_buffer_add(&call->body, bytes, one * len);
    return call->body.status == RB_OK ? one * len : 0;
}

static bool add_field(struct rb_hook_call *call, const char *name, struct rb_text value) {
    struct rb_buffer line;
    if (value.len == 0)
        return true;
    rb_buffer_init(&line, (size_t)64 * 1024);
    rb_buffer_string(&line, name);
    rb_buffer_string(&line, ": ");
    rb_buffer_text(&line, value);
    struct curl_slist *longer =
        line.status == RB_OK ? curl_slist_append(call->fields, line.at) : NULL;
    rb_buffer_fini(&line);
    if (longer)
        call->fields = longer;
    return longer != NULL;
}

static bool add_fields(struct rb_hook_call *call,
                       const struct rb_hook_question *question) {
    static const struct {
        const char *name;
        enum rb_hook_field field;
    } sent[] = {{"X-Ringback-Channels", RB_HOOK_CHANNELS}, {"Cookie", RB_HOOK_COOKIE},
                {"Authorization", RB_HOOK_AUTHORIZATION},  {"Origin", RB_HOOK_ORIGIN},
                {"X-Forwarded-For", RB_HOOK_ADDRESS},      {"User-Agent", RB_HOOK_AGENT},
                {"Accept-Language", RB_HOOK_LANGUAGE}};
    for (size_t i = 0; i < sizeof sent / sizeof sent[0]; i++)
        if (!add_field(call, sent[i].name, question->field[sent[i].field]))
            return false;
    return add_field(call, "Accept", RB_TEXT("application/json"));
}

/* The channels stand in the query too: names need no escaping there. */
static bool set_url(CURL *easy, const char *url, struct rb_text channels) {
    struct rb_buffer full;
    rb_buffer_init(&full, (size_t)16 * 1024);
    rb_buffer_string(&full, url);
    rb_buffer_string(&full, strchr(url, '?') ? "&channels=" : "?channels=");
    rb_buffer_text(&full, channels);
    bool good =
        full.status == RB_OK && curl_easy_setopt(easy, CURLOPT_URL, full.at) == CURLE_OK;
    rb_buffer_fini(&full);
    return good;
}

static bool set_up(const struct rb_hook_caller *caller, struct rb_hook_call *call,
                   const struct rb_hook_question *question) {
    const struct rb_settings *settings = caller->server->settings;
    CURL *easy = call->easy;
    if (!set_url(easy, settings->notifier.auth_hook, question->field[RB_HOOK_CHANNELS]) ||
        !add_fields(call, question))
        return false;
    long timeout_ms = (long)settings->notifier.auth_hook_timeout;
    return curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->fields) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1) ==
               CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, call) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PRIVATE, call) == CURLE_OK;
}

struct rb_hook_call *rb_hook_call_start(struct rb_hook_caller *caller,
                                        const struct rb_hook_question *question,
                                        rb_hook_result_fn *fn, void *ctx) {
    struct rb_hook_call *call = calloc(1, sizeof *call);
    if (!call)
        return NULL;
    call->fn = fn;
    call->ctx = ctx;
    rb_buffer_init(&call->body, RB_HOOK_BODY);
    LIST_INSERT_HEAD(&caller->calls, call, entry);
    call->easy = curl_easy_init();
    if (call->easy && set_up(caller, call, question) &&
        curl_multi_add_handle(caller->multi, call->easy) == CURLM_OK)
        return call;
    call_free(caller, call);
    return NULL;
}

/* --- all of them --- */

struct rb_hook_caller *rb_hook_caller_new(struct rb_server *server) {
    struct rb_hook_caller *caller = calloc(1, sizeof *caller);
    if (!caller || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(caller);
        return NULL;
    }
    caller->server = server;
    LIST_INIT(&caller->calls);
    LIST_INIT(&caller->watches);
    ev_timer_init(&caller->timer, on_timer, 0, 0);
    caller->timer.data = caller;
    caller->multi = curl_multi_init();
    if (!caller->multi ||
        curl_multi_setopt(caller->multi, CURLMOPT_SOCKETFUNCTION, set_socket) ||
        curl_multi_setopt(caller->multi, CURLMOPT_SOCKETDATA, caller) ||
        curl_multi_setopt(caller->multi, CURLMOPT_TIMERFUNCTION, set_timer) ||
        curl_multi_setopt(caller->multi, CURLMOPT_TIMERDATA, caller) ||
        curl_multi_setopt(caller->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT)) {
        rb_hook_caller_free(caller);
        return NULL;
    }
    return caller;
}

void rb_hook_caller_free(struct rb_hook_caller *caller) {
    if (!caller)
        return;
    while (!LIST_EMPTY(&caller->calls))
        call_free(caller, LIST_FIRST(&caller->calls));
    curl_multi_cleanup(caller->multi);
    while (!LIST_EMPTY(&caller->watches))
        watch_free(LIST_FIRST(&caller->watches));
    ev_timer_stop(caller->server->loop, &caller->timer);
    free(caller);
    curl_global_cleanup();
}
