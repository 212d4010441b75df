/* Reads where Redis is. No message here repeats what stands behind the scheme: a password
 * whose escapes were forgotten could be anywhere in it. */
#include "jobs/redis_address.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>

#define DEFAULT_PORT 6379
#define SENTINEL_PORT 26379

#define wrong(error, ...) rb_error_set((error), NULL, 0, 0, __VA_ARGS__)

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The byte that the text starts with, and how long it is written; -1 on a broken escape
 * and on a NUL, which could not be sent. */
static int decode_byte(struct rb_text text, size_t *step) {
    *step = 1;
    if (text.at[0] != '%')
        return text.at[0] == '\0' ? -1 : (unsigned char)text.at[0];
    *step = 3;
    int high = text.len >= 3 ? hex_digit(text.at[1]) : -1;
    int low = text.len >= 3 ? hex_digit(text.at[2]) : -1;
    return high < 0 || low < 0 || high + low == 0 ? -1 : high * 16 + low;
}

static enum rb_status percent_decode(struct rb_text text, const char *what, char **out,
                                     struct rb_error *error) {
    char *decoded = malloc(text.len + 1);
    if (!decoded)
        return RB_NOMEM;
    size_t len = 0;
    while (text.len > 0) {
        size_t step;
        int byte = decode_byte(text, &step);
        if (byte < 0) {
            free(decoded);
            return wrong(error,
                         "the %s holds a broken escape: write a percent sign as %%25",
                         what);
        }
        decoded[len++] = (char)byte;
        text = rb_text(text.at + step, text.len - step);
    }
    decoded[len] = '\0';
    *out = decoded;
    return RB_OK;
}

static enum rb_status parse_number(struct rb_text text, int64_t min, int64_t max,
                                   const char *what, int *value, struct rb_error *error) {
    uint64_t n;
    if (rb_text_uint64(text, &n) != RB_OK || n < (uint64_t)min || n > (uint64_t)max)
        return wrong(error, "expected a %s from %lld to %lld", what, (long long)min,
                     (long long)max);
    *value = (int)n;
    return RB_OK;
}

/* [user]:password */
static enum rb_status parse_credentials(struct rb_text text,
                                        struct rb_redis_address *address,
                                        struct rb_error *error) {
    const char *colon = text.len > 0 ? memchr(text.at, ':', text.len) : NULL;
    if (!colon || colon + 1 == text.at + text.len)
        return wrong(error, "expected [user]:password before the @");
    size_t user_len = (size_t)(colon - text.at);
    if (user_len > 0) {
        enum rb_status status =
            percent_decode(rb_text(text.at, user_len), "user", &address->user, error);
        if (status != RB_OK)
            return status;
    }
    return percent_decode(rb_text(colon + 1, text.len - user_len - 1), "password",
                          &address->password, error);
}

/* A host may not hold what only belongs elsewhere in a URL, or on a terminal. */
static bool is_host(struct rb_text host) {
    for (size_t i = 0; i < host.len; i++)
        if ((unsigned char)host.at[i] <= ' ' || strchr("/?#@[]\\\x7f", host.at[i]))
            return false;
    return host.len > 0 && host.len <= 255;
}

/* host[:port], [v6][:port] */
static enum rb_status parse_host(struct rb_text text, struct rb_redis_address *address,
                                 struct rb_error *error) {
    struct rb_text host, port = {NULL, 0};
    const char *end, *text_end = text.at + text.len;
    if (text.len > 0 && text.at[0] == '[') {
        end = memchr(text.at, ']', text.len);
        if (!end || (end + 1 < text_end && end[1] != ':'))
            return wrong(error, "expected an IPv6 address in brackets, then :port or "
                                "nothing");
        host = rb_text(text.at + 1, (size_t)(end - text.at) - 1);
        end++;
    } else {
        end = text.len > 0 ? memchr(text.at, ':', text.len) : NULL;
        host = end ? rb_text(text.at, (size_t)(end - text.at)) : text;
        end = end ? end : text_end;
    }
    if (!is_host(host))
        return wrong(error, "expected a host name or an address behind redis://");
    if (end < text_end) {
        port = rb_text(end + 1, (size_t)(text_end - end) - 1);
        enum rb_status status =
            parse_number(port, 1, 65535, "port", &address->port, error);
        if (status != RB_OK)
            return status;
    }
    address->host = rb_text_copy(host);
    return address->host ? RB_OK : RB_NOMEM;
}

/* What follows redis:// */
static enum rb_status parse_tcp(struct rb_text authority, struct rb_text rest,
                                struct rb_redis_address *address,
                                struct rb_error *error) {
    enum rb_status status = parse_host(authority, address, error);
    if (status != RB_OK || rest.len == 0)
        return status;
    if (rest.at[0] != '/')
        return wrong(error, "expected redis://[[user]:password@]host[:port][/db]; "
                            "? and # in a password are written %%3F and %%23");
    if (rest.len == 1)
        return RB_OK;
    return parse_number(rb_text(rest.at + 1, rest.len - 1), 0, INT_MAX, "database number",
                        &address->db, error);
}

/* What follows unix:// */
static enum rb_status parse_unix(struct rb_text authority, struct rb_text rest,
                                 struct rb_redis_address *address,
                                 struct rb_error *error) {
    if (authority.len > 0 || rest.len == 0 || rest.at[0] != '/')
        return wrong(error, "expected unix:///path[?db=n]: an absolute path");
    const char *question = memchr(rest.at, '?', rest.len);
    struct rb_text path = rest;
    if (question) {
        path.len = (size_t)(question - rest.at);
        struct rb_text query = rb_text(question + 1, rest.len - path.len - 1);
        if (!rb_text_starts(query, RB_TEXT("db=")))
            return wrong(error, "expected nothing but ?db=n behind the path");
        enum rb_status status =
            parse_number(rb_text(query.at + 3, query.len - 3), 0, INT_MAX,
                         "database number", &address->db, error);
        if (status != RB_OK)
            return status;
    }
    if (path.len >= sizeof((struct sockaddr_un *)NULL)->sun_path ||
        memchr(path.at, '\0', path.len))
        return wrong(error, "expected a path of at most %zu bytes, without NUL",
                     sizeof((struct sockaddr_un *)NULL)->sun_path - 1);
    address->path = rb_text_copy(path);
    return address->path ? RB_OK : RB_NOMEM;
}

/* Takes [user]:password@ off what stands behind a scheme. */
static enum rb_status take_credentials(struct rb_text *authority,
                                       struct rb_redis_address *address,
                                       struct rb_error *error) {
    const char *at =
        authority->len > 0 ? memrchr(authority->at, '@', authority->len) : NULL;
    if (!at)
        return RB_OK;
    size_t before = (size_t)(at - authority->at);
    struct rb_text credentials = rb_text(authority->at, before);
    *authority = rb_text(at + 1, authority->len - before - 1);
    return parse_credentials(credentials, address, error);
}

static enum rb_status parse(struct rb_text url, struct rb_redis_address *address,
                            struct rb_error *error) {
    bool tcp = rb_text_starts(url, RB_TEXT("redis://"));
    size_t scheme = tcp ? 8 : 7;
    if (rb_text_starts(url, RB_TEXT("rediss://")))
        return wrong(error, "TLS to Redis is not supported: use a unix socket or a "
                            "tunnel on this host");
    if (!tcp && !rb_text_starts(url, RB_TEXT("unix://")))
        return wrong(error, "expected redis://[[user]:password@]host[:port][/db] or "
                            "unix:///path[?db=n]");
    struct rb_text rest = rb_text(url.at + scheme, url.len - scheme);
    struct rb_text authority = {rest.at, 0};
    while (authority.len < rest.len && !strchr("/?#", rest.at[authority.len]))
        authority.len++;
    rest = rb_text(rest.at + authority.len, rest.len - authority.len);

    enum rb_status status = take_credentials(&authority, address, error);
    if (status != RB_OK)
        return status;
    address->port = DEFAULT_PORT;
    return tcp ? parse_tcp(authority, rest, address, error)
               : parse_unix(authority, rest, address, error);
}

enum rb_status rb_redis_address_parse(struct rb_text url,
                                      struct rb_redis_address *address,
                                      struct rb_error *error) {
    *address = (struct rb_redis_address){0};
    enum rb_status status = parse(url, address, error);
    if (status == RB_NOMEM)
        wrong(error, "out of memory");
    if (status != RB_OK)
        rb_redis_address_fini(address);
    return status;
}

enum rb_status rb_redis_address_parse_node(struct rb_text node,
                                           struct rb_redis_address *address,
                                           struct rb_error *error) {
    *address = (struct rb_redis_address){.port = SENTINEL_PORT};
    enum rb_status status = take_credentials(&node, address, error);
    if (status == RB_OK)
        status = parse_host(node, address, error);
    if (status == RB_NOMEM)
        wrong(error, "out of memory");
    if (status != RB_OK)
        rb_redis_address_fini(address);
    return status;
}

static void sentinel_free(struct rb_redis_sentinel *sentinel) {
    if (!sentinel)
        return;
    for (size_t i = 0; i < sentinel->node_count; i++)
        rb_redis_address_fini(&sentinel->nodes[i]);
    free(sentinel->nodes);
    free(sentinel->master);
    free(sentinel);
}

void rb_redis_address_fini(struct rb_redis_address *address) {
    sentinel_free(address->sentinel);
    free(address->path);
    free(address->host);
    free(address->user);
    free(address->password);
    *address = (struct rb_redis_address){0};
}

void rb_redis_address_describe(const struct rb_redis_address *address, char *out,
                               size_t room) {
    if (address->sentinel)
        snprintf(out, room, "%s by Sentinel, database %d", address->sentinel->master,
                 address->db);
    else if (address->path && address->db != 0)
        snprintf(out, room, "%s?db=%d", address->path, address->db);
    else if (address->path)
        snprintf(out, room, "%s", address->path);
    else if (strchr(address->host, ':'))
        snprintf(out, room, "[%s]:%d/%d", address->host, address->port, address->db);
    else
        snprintf(out, room, "%s:%d/%d", address->host, address->port, address->db);
}
