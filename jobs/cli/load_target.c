/* Finding the notifier that the many clients connect to. */
#include "jobs/cli/load_target.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config/buffer.h"

struct place {
    struct rb_text host, port, prefix;
};

static enum rb_status read_url(struct rb_text url, struct place *place,
                               struct rb_error *error) {
    struct rb_text http = RB_TEXT("http://"), rest = url;
    if (!rb_text_starts(url, http))
        return rb_error_set(error, NULL, 0, 0,
                            "expected http://host:port, got \"" RB_TEXT_FMT "\"",
                            RB_TEXT_ARG(url));
    rest = rb_text(url.at + http.len, url.len - http.len);
    const char *slash = rest.len > 0 ? memchr(rest.at, '/', rest.len) : NULL;
    size_t len = slash ? (size_t)(slash - rest.at) : rest.len;
    place->prefix = rb_text(rest.at + len, rest.len - len);
    while (place->prefix.len > 0 && place->prefix.at[place->prefix.len - 1] == '/')
        place->prefix.len--;
    place->host = rb_text(rest.at, len);
    place->port = RB_TEXT("80");
    for (size_t i = len; i > 0 && rest.at[i - 1] != ']'; i--)
        if (rest.at[i - 1] == ':') {
            place->host.len = i - 1;
            place->port = rb_text(rest.at + i, len - i);
            break;
        }
    bool text = true;
    for (size_t i = 0; i < url.len; i++)
        text = text && url.at[i] > ' ' && url.at[i] < 0x7f && !strchr("?#@\"", url.at[i]);
    if (!text || place->host.len == 0 || place->port.len == 0)
        return rb_error_set(error, NULL, 0, 0,
                            "expected http://host:port, got \"" RB_TEXT_FMT "\"",
                            RB_TEXT_ARG(url));
    return RB_OK;
}

/* The first listener that speaks HTTP over TCP; one on all addresses is asked on
 * loopback. */
static enum rb_status of_settings(const struct rb_settings *settings, char *url,
                                  size_t size, struct rb_error *error) {
    const struct rb_list *listen = &settings->notifier.listen;
    for (size_t i = 0; i < listen->count; i++) {
        const char *item = listen->items[i];
        if (strchr(item, '/') || strchr(item, '?') || strncmp(item, "systemd:", 8) == 0)
            continue;
        bool all = item[0] == '*' || strncmp(item, "0.0.0.0:", 8) == 0;
        snprintf(url, size, "http://%s%s", all ? "127.0.0.1" : "",
                 all ? strrchr(item, ':') : item);
        return RB_OK;
    }
    return rb_error_set(error, NULL, 0, 0,
                        "notifier.listen has no plain TCP address: give one with --url");
}

/* One connection, closed again: what does not answer at all is told once, not thousands
 * of times. */
static int try_address(const struct addrinfo *info) {
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    int failed = connect(fd, info->ai_addr, info->ai_addrlen) == 0 ? 0 : errno;
    close(fd);
    return failed;
}

static enum rb_status connect_once(const char *host, const char *port,
                                   struct rb_load_target *target,
                                   struct rb_error *error) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int failed = getaddrinfo(host, port, &hints, &found);
    const char *why = failed ? gai_strerror(failed) : "there is no address";
    bool up = false;
    for (struct addrinfo *a = found; a && !up; a = a->ai_next) {
        int number = try_address(a);
        up = number == 0;
        why = strerror(number);
        memcpy(&target->address, a->ai_addr, a->ai_addrlen);
        target->address_len = a->ai_addrlen;
    }
    if (found)
        freeaddrinfo(found);
    if (up)
        return RB_OK;
    rb_error_set(error, NULL, 0, 0, "can't reach http://%s: %s", target->host, why);
    return RB_UNAVAILABLE;
}

enum rb_status rb_load_target_find(const char *url, const struct rb_settings *settings,
                                   struct rb_load_target *target,
                                   struct rb_error *error) {
    char own[512], host[RB_LOAD_HOST], port[16];
    struct place place = {0};
    *target = (struct rb_load_target){0};
    if (!url && of_settings(settings, own, sizeof own, error) != RB_OK)
        return RB_INVALID;
    enum rb_status status = read_url(rb_text_of(url ? url : own), &place, error);
    if (status != RB_OK)
        return status;
    if (place.host.len >= sizeof host || place.port.len >= sizeof port ||
        place.prefix.len >= sizeof target->prefix)
        return rb_error_set(error, NULL, 0, 0, "the address is too long");
    snprintf(target->host, sizeof target->host, RB_TEXT_FMT ":" RB_TEXT_FMT,
             RB_TEXT_ARG(place.host), RB_TEXT_ARG(place.port));
    snprintf(target->prefix, sizeof target->prefix, RB_TEXT_FMT,
             RB_TEXT_ARG(place.prefix));
    if (place.host.at[0] == '[') { /* the resolver wants it without */
        place.host.at++;
        place.host.len -= place.host.len > 1 ? 2 : 1;
    }
    snprintf(host, sizeof host, RB_TEXT_FMT, RB_TEXT_ARG(place.host));
    snprintf(port, sizeof port, RB_TEXT_FMT, RB_TEXT_ARG(place.port));
    return connect_once(host, port, target, error);
}
