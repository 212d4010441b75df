/* Claiming the addresses to listen on, before the processes fork. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "config/address.h"
#include "config/process.h"
#include "notifier/listener.h"

#define BACKLOG 4096
#define TLS "tls://"
#define PASSED "systemd:"
#define MODE_PUBLIC 0666u /* whom it lets in is decided by what it serves */
#define MODE_ADMIN 0660u  /* whom it lets in is decided by its mode */

static enum rb_status fail(struct rb_error *error, const char *text, const char *what) {
    int saved = errno;
    rb_error_set(error, NULL, 0, 0, "%s: %s: %s", text, what, strerror(saved));
    return RB_SYSTEM;
}

/* "127.0.0.1:80", "[::1]:80" */
static void describe(const struct sockaddr_storage *at, char *out, size_t room) {
    char host[INET6_ADDRSTRLEN] = "";
    if (at->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)at;
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
        snprintf(out, room, "[%s]:%d", host, ntohs(v6->sin6_port));
    } else {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)at;
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
        snprintf(out, room, "%s:%d", host, ntohs(v4->sin_port));
    }
}

static void set(int fd, int level, int option, int value) {
    (void)setsockopt(fd, level, option, &value, sizeof value);
}

/* Binds; -1 with errno. "*" listens for both families on one socket. */
static int bind_inet(const struct rb_address *address, bool both, bool shared) {
    int family = address->at.ss_family;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (shared)
        set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (family == AF_INET6)
        set(fd, IPPROTO_IPV6, IPV6_V6ONLY, !both);
    set(fd, IPPROTO_TCP, TCP_NODELAY, 1); /* accepted sockets inherit it */
    if (bind(fd, (const struct sockaddr *)&address->at, address->len) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static bool is_any(const struct rb_address *address) {
    const struct sockaddr_in6 *v6 =
        (const struct sockaddr_in6 *)(const void *)&address->at;
    return address->at.ss_family == AF_INET6 && address->both &&
           IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr);
}

/* Without SO_REUSEPORT, so that an address in use is one, whoever uses it; and listening
 * for a moment, since another that is bound alone is no conflict yet. */
static enum rb_status claim_inet(struct rb_address *address, bool keep, const char *text,
                                 struct rb_error *error) {
    char resolved[INET6_ADDRSTRLEN + 16];
    int fd = bind_inet(address, is_any(address), false);
    if (fd < 0)
        return fail(error, text, "can't listen");
    if (listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&address->at, &address->len) != 0) {
        enum rb_status status = fail(error, text, "can't listen");
        close(fd);
        return status;
    }
    describe(&address->at, resolved, sizeof resolved);
    address->text = rb_text_copy(rb_text_of(resolved));
    address->fd = keep ? fd : -1;
    if (!keep)
        close(fd);
    return address->text ? RB_OK : RB_NOMEM;
}

static struct rb_address *add(struct rb_addresses *addresses, enum rb_side side) {
    if (addresses->count == RB_ADDRESSES)
        return NULL;
    struct rb_address *address = &addresses->list[addresses->count++];
    *address = (struct rb_address){.side = side, .fd = -1};
    return address;
}

static enum rb_status too_many(struct rb_error *error, const char *text) {
    rb_error_set(error, NULL, 0, 0, "%s: more than %d addresses to listen on", text,
                 RB_ADDRESSES);
    return RB_TOO_LARGE;
}

/* Each address that the name stands for. */
static enum rb_status claim_all(struct rb_addresses *addresses, enum rb_side side,
                                const struct addrinfo *found, bool both, bool keep,
                                const char *text, struct rb_error *error) {
    for (; found; found = found->ai_next) {
        struct rb_address *address = add(addresses, side);
        if (!address)
            return too_many(error, text);
        memcpy(&address->at, found->ai_addr, found->ai_addrlen);
        address->len = found->ai_addrlen;
        address->both = both;
        enum rb_status status = claim_inet(address, keep, text, error);
        if (status != RB_OK)
            return status;
    }
    return RB_OK;
}

static enum rb_status claim_host(struct rb_addresses *addresses, enum rb_side side,
                                 const char *text, bool keep, struct rb_error *error) {
    char host[256];
    const char *colon = strrchr(text, ':');
    struct rb_text name = colon ? rb_text(text, (size_t)(colon - text)) : RB_TEXT("");
    if (name.len > 1 && name.at[0] == '[')
        name = rb_text(name.at + 1, name.len - 2);
    if (name.len == 0 || name.len >= sizeof host)
        return rb_error_set(error, NULL, 0, 0, "%s: expected host:port", text);
    memcpy(host, name.at, name.len);
    host[name.len] = '\0';
    bool both = strcmp(host, "*") == 0;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
                             .ai_family = both ? AF_INET6 : AF_UNSPEC};
    struct addrinfo *found;
    int failed = getaddrinfo(both ? NULL : host, colon + 1, &hints, &found);
    if (failed != 0) {
        rb_error_set(error, NULL, 0, 0, "%s: %s", text, gai_strerror(failed));
        return RB_SYSTEM;
    }
    enum rb_status status = claim_all(addresses, side, found, both, keep, text, error);
    freeaddrinfo(found);
    if (both && status == RB_SYSTEM && errno == EAFNOSUPPORT) {
        addresses->count--; /* no IPv6 here */
        char v4[32];
        snprintf(v4, sizeof v4, "0.0.0.0:%.5s", colon + 1);
        return claim_host(addresses, side, v4, keep, error);
    }
    return status;
}

/* --- unix sockets --- */

/* A path that nobody answers on is what a process left behind that was killed. */
static bool is_stale(const struct sockaddr_un *at) {
    struct stat info;
    if (lstat(at->sun_path, &info) != 0 || !S_ISSOCK(info.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    bool stale = connect(fd, (const struct sockaddr *)at, sizeof *at) != 0 &&
                 errno == ECONNREFUSED;
    close(fd);
    return stale;
}

/* "/path?mode=0660" is cut to the path. */
static bool take_mode(char *path, mode_t *mode) {
    static const char key[] = "?mode=";
    char *mark = strstr(path, key), *end;
    if (!mark)
        return true;
    unsigned long value = strtoul(mark + sizeof key - 1, &end, 8);
    if (end == mark + sizeof key - 1 || *end != '\0' || value > 0777)
        return false;
    *mark = '\0';
    *mode = (mode_t)value;
    return true;
}

/* Bound with the mode it shall have from the first moment. */
static int bind_unix(const struct sockaddr_un *at, mode_t mode) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (is_stale(at))
        (void)unlink(at->sun_path);
    mode_t before = umask(0777 & ~mode);
    int bound = bind(fd, (const struct sockaddr *)at, sizeof *at);
    int saved = errno;
    umask(before);
    if (bound == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    if (bound == 0)
        saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static enum rb_status claim_unix(struct rb_addresses *addresses, enum rb_side side,
                                 const char *text, struct rb_error *error) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    mode_t mode = side == RB_SIDE_ADMIN ? MODE_ADMIN : MODE_PUBLIC;
    char *path = rb_text_copy(rb_text_of(text + strlen("unix:")));
    struct rb_address *address = path ? add(addresses, side) : NULL;
    enum rb_status status = RB_OK;
    struct stat info;
    if (!path)
        return RB_NOMEM;
    if (!address)
        status = too_many(error, text);
    else if (!take_mode(path, &mode) || strlen(path) >= sizeof at.sun_path)
        status =
            rb_error_set(error, NULL, 0, 0, "%s: expected unix:/path?mode=0660", text);
    if (status == RB_OK) {
        memcpy(at.sun_path, path, strlen(path) + 1);
        memcpy(&address->at, &at, sizeof at);
        address->len = sizeof at;
        address->fd = bind_unix(&at, mode);
        if (address->fd < 0)
            status = fail(error, text, "can't listen");
    }
    if (status == RB_OK) {
        if (lstat(path, &info) == 0) {
            address->device = info.st_dev;
            address->inode = info.st_ino;
        }
        address->text = rb_text_copy(rb_text_of(text));
        status = address->text ? RB_OK : RB_NOMEM;
    }
    free(path);
    return status;
}

/* --- passed ones --- */

/* Only the one who opened it closes it for good: connections wait in it from one process
 * to the next. */
static enum rb_status take_passed(struct rb_address *address, int fd, const char *text,
                                  struct rb_error *error) {
    int listens = 0;
    socklen_t len = sizeof listens;
    char resolved[sizeof(struct sockaddr_un) + 8];
    const struct sockaddr_un *un = (const struct sockaddr_un *)(const void *)&address->at;
    address->fd = fd;
    address->len = sizeof address->at;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) != 0 ||
        getsockname(fd, (struct sockaddr *)&address->at, &address->len) != 0)
        return fail(error, text, "can't be used");
    if (!listens)
        return rb_error_set(error, NULL, 0, 0,
                            "%s: a socket was passed that does not "
                            "listen",
                            text);
    if (un->sun_family == AF_UNIX) {
        snprintf(resolved, sizeof resolved, "unix:%.*s", (int)sizeof un->sun_path,
                 un->sun_path);
    } else {
        set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
        describe(&address->at, resolved, sizeof resolved);
    }
    address->text = rb_text_copy(rb_text_of(resolved));
    return address->text ? RB_OK : RB_NOMEM;
}

static enum rb_status claim_passed(struct rb_addresses *addresses, enum rb_side side,
                                   const char *text, const char *name,
                                   struct rb_error *error) {
    enum rb_status status = RB_OK;
    int nth = 0, fd;
    while (status == RB_OK && (fd = rb_process_passed(rb_text_of(name), nth)) >= 0) {
        struct rb_address *address = add(addresses, side);
        status = address ? take_passed(address, fd, text, error) : too_many(error, text);
        nth++;
    }
    if (nth > 0)
        return status;
    rb_error_set(error, NULL, 0, 0,
                 "%s: no socket of that name was passed to this process", text);
    return RB_SYSTEM;
}

/* --- all of them --- */

static bool starts(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static enum rb_status claim_one(struct rb_addresses *addresses, enum rb_side side,
                                const char *text, bool keep, struct rb_error *error) {
    if (starts(text, "unix:"))
        return claim_unix(addresses, side, text, error);
    if (starts(text, PASSED))
        return claim_passed(addresses, side, text, text + strlen(PASSED), error);
    return claim_host(addresses, side, text, keep, error);
}

static enum rb_status claim_text(struct rb_addresses *addresses, enum rb_side side,
                                 const char *item, bool keep, struct rb_error *error) {
    struct rb_text rest = rb_text_of(item);
    size_t before = addresses->count;
    bool proxy = rb_address_take_proxy(&rest), tls = starts(item, TLS);
    char *text = rb_text_copy(rest);
    if (!text)
        return RB_NOMEM;
    enum rb_status status =
        claim_one(addresses, side, tls ? text + strlen(TLS) : text, keep, error);
    free(text);
    for (size_t n = before; n < addresses->count; n++) {
        addresses->list[n].tls = tls;
        addresses->list[n].proxy = proxy;
    }
    return status;
}

static enum rb_status claim_list(struct rb_addresses *addresses, enum rb_side side,
                                 const struct rb_list *list, bool keep,
                                 struct rb_error *error) {
    enum rb_status status = RB_OK;
    for (size_t i = 0; status == RB_OK && i < list->count; i++)
        status = claim_text(addresses, side, list->items[i], keep, error);
    return status;
}

enum rb_status rb_addresses_claim(const struct rb_settings *settings, int processes,
                                  struct rb_addresses *addresses,
                                  struct rb_error *error) {
    bool keep = processes <= 1;
    addresses->count = 0;
    enum rb_status status =
        claim_list(addresses, RB_SIDE_PUBLIC, &settings->notifier.listen, keep, error);
    if (status == RB_OK)
        status =
            claim_list(addresses, RB_SIDE_ADMIN, &settings->notifier.admin, keep, error);
    if (status == RB_NOMEM)
        rb_error_set(error, NULL, 0, 0, "out of memory");
    if (status != RB_OK)
        rb_addresses_release(addresses, true);
    return status;
}

static void remove_path(const struct rb_address *address) {
    const struct sockaddr_un *at = (const struct sockaddr_un *)(const void *)&address->at;
    struct stat info;
    if (lstat(at->sun_path, &info) == 0 && info.st_dev == address->device &&
        info.st_ino == address->inode)
        (void)unlink(at->sun_path);
}

void rb_addresses_release(struct rb_addresses *addresses, bool unlink_paths) {
    for (size_t i = 0; i < addresses->count; i++) {
        struct rb_address *address = &addresses->list[i];
        if (address->fd >= 0)
            close(address->fd);
        if (unlink_paths && address->at.ss_family == AF_UNIX && address->inode != 0)
            remove_path(address);
        free(address->text);
    }
    addresses->count = 0;
}

enum rb_status rb_address_listen(struct rb_address *address, int *fd,
                                 struct rb_error *error) {
    *fd = address->fd;
    address->fd = -1;
    if (*fd >= 0)
        return RB_OK;
    *fd = bind_inet(address, is_any(address), true);
    if (*fd < 0)
        return fail(error, address->text, "can't listen");
    if (listen(*fd, BACKLOG) == 0)
        return RB_OK;
    enum rb_status status = fail(error, address->text, "can't listen");
    close(*fd);
    return status;
}
